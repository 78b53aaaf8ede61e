//! `TaskService`.

use crate::app::App;
use crate::rpc::pb::task_service_server::TaskService;

/// Answers the calls of `TaskService`.
#[derive(Clone)]
pub struct TaskRpc {
    /// The use cases.
    pub app: App,
}

#[tonic::async_trait]
impl TaskService for TaskRpc {}
