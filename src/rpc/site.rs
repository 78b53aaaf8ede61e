//! `SiteService`.

use crate::app::App;
use crate::rpc::pb::site_service_server::SiteService;

/// Answers the calls of `SiteService`.
#[derive(Clone)]
pub struct SiteRpc {
    /// The use cases.
    pub app: App,
}

#[tonic::async_trait]
impl SiteService for SiteRpc {}
