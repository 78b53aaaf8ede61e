//! Safety stops on the wire.

use crate::domain::safety_stop::{SafetyStop, StopTarget};
use crate::rpc::convert::timestamp;
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::pb;
use crate::rpc::pb::safety_stop::Target;

/// A safety stop for the wire.
#[must_use]
pub fn safety_stop(of: &SafetyStop) -> pb::SafetyStop {
    let target = match of.target {
        StopTarget::Task(program, task) => {
            Target::Task(pb::StoppedTask { program_id: program.to_string(), task_id: task.to_string() })
        }
        StopTarget::Site(_, site) => Target::SiteId(site.to_string()),
        StopTarget::Operator(operator) => Target::OperatorId(operator.to_string()),
    };
    let lifted = of.lifted.as_ref();
    pb::SafetyStop {
        safety_stop_id: of.id.to_string(),
        cause: of.cause.wire(),
        reason: of.reason.as_str().to_owned(),
        issued_by: of.issued_by.clone(),
        issued_at: Some(timestamp(of.issued_at)),
        lifted_by: lifted.map(|lifted| lifted.by.clone()).unwrap_or_default(),
        lifted_at: lifted.map(|lifted| timestamp(lifted.at)),
        lift_reason: lifted.map(|lifted| lifted.reason.as_str().to_owned()).unwrap_or_default(),
        suspended_task_ids: of.suspended_tasks.iter().map(ToString::to_string).collect(),
        revision: of.revision,
        target: Some(target),
    }
}
