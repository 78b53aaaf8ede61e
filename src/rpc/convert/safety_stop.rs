//! Safety stops on the wire.

use prost::Message as _;

use crate::app::safety_stop::{Halt, Halted};
use crate::domain::ids::{OrganizationId, ProgramId, SafetyStopId, SiteId, TaskId};
use crate::domain::safety_stop::{SafetyStop, StopTarget};
use crate::domain::text::Reason;
use crate::rpc::convert::timestamp;
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::pb;
use crate::rpc::pb::safety_stop::Target;
use crate::rpc::read::Reader;

/// Reads a safety stop to issue.
pub fn read_halt(reader: &mut Reader, sent: &pb::SafetyStop) -> Option<Halt> {
    let id = reader.id("safety_stop.safety_stop_id", &sent.safety_stop_id, SafetyStopId::new);
    let what = read_target(reader, sent.target.as_ref());
    let cause = reader.word("safety_stop.cause", sent.cause);
    let reason = reader.parse("safety_stop.reason", Reason::parse(&sent.reason));
    Some(Halt { id: id?, what: what?, cause: cause?, reason: reason? })
}

fn read_target(reader: &mut Reader, sent: Option<&Target>) -> Option<Halted> {
    match sent {
        None => {
            reader.bad("safety_stop.target", "is missing; give task, site_id or operator_id");
            None
        }
        Some(Target::Task(of)) => {
            let program = reader.id("safety_stop.task.program_id", &of.program_id, ProgramId::new);
            let task = reader.id("safety_stop.task.task_id", &of.task_id, TaskId::new);
            Some(Halted::Task(program?, task?))
        }
        Some(Target::SiteId(id)) => reader.id("safety_stop.site_id", id, SiteId::new).map(Halted::Site),
        Some(Target::OperatorId(id)) => {
            reader.id("safety_stop.operator_id", id, OrganizationId::new).map(Halted::Operator)
        }
    }
}

/// The request for a safety stop, as a caller sends it.
#[must_use]
pub fn encode_halt(of: &Halt) -> Vec<u8> {
    let target = match of.what {
        Halted::Task(program, task) => task_target(program, task),
        Halted::Site(site) => Target::SiteId(site.to_string()),
        Halted::Operator(operator) => Target::OperatorId(operator.to_string()),
    };
    let safety_stop = pb::SafetyStop {
        safety_stop_id: of.id.to_string(),
        cause: of.cause.wire(),
        reason: of.reason.as_str().to_owned(),
        target: Some(target),
        ..pb::SafetyStop::default()
    };
    pb::IssueSafetyStopRequest { safety_stop: Some(safety_stop) }.encode_to_vec()
}

fn task_target(program: ProgramId, task: TaskId) -> Target {
    Target::Task(pb::StoppedTask { program_id: program.to_string(), task_id: task.to_string() })
}

/// A safety stop for the wire.
#[must_use]
pub fn safety_stop(of: &SafetyStop) -> pb::SafetyStop {
    let target = match of.target {
        StopTarget::Task(program, task) => task_target(program, task),
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
