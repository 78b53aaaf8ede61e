//! Personal data on the wire: what is kept of victims, what remains of whom was erased, and who read it.

use prost::Message as _;

use crate::domain::ids::ReportId;
use crate::domain::personal::{ErasedPerson, ErasedVictim, PersonalAccess, VictimRecord};
use crate::error::Error;
use crate::rpc::convert::timestamp;
use crate::rpc::pb;

/// What remains of a victim whose details were erased.
#[must_use]
pub fn erased(of: &ErasedVictim) -> pb::ErasedVictim {
    pb::ErasedVictim {
        report_id: of.report.to_string(),
        victim_id: of.victim.to_string(),
        reason: of.reason.clone(),
        erased_by: of.by.clone(),
        erased_at: Some(timestamp(of.at)),
        revision: of.revision,
    }
}

/// What remains of a person whose name was erased.
#[must_use]
pub fn erased_person(of: &ErasedPerson) -> pb::ErasedPerson {
    pb::ErasedPerson {
        person_id: of.person.to_string(),
        organization_id: of.operator.to_string(),
        reason: of.reason.clone(),
        erased_by: of.by.clone(),
        erased_at: Some(timestamp(of.at)),
        revision: of.revision,
    }
}

/// What is kept of a victim.
///
/// # Errors
/// A bug when stored details cannot be read.
pub fn record(of: &VictimRecord) -> Result<pb::VictimRecord, Error> {
    Ok(match of {
        VictimRecord::Kept(victim, version, details, stored_at) => {
            let read = pb::VictimDetails::decode(details.0.clone());
            // What the decoder says might quote them.
            let details =
                read.map_err(|_| Error::bug(format!("details of victim {victim} are unreadable")))?;
            pb::VictimRecord {
                victim_id: victim.to_string(),
                version: *version,
                details: Some(details),
                stored_at: Some(timestamp(*stored_at)),
                erased: None,
            }
        }
        VictimRecord::Erased(of) => pb::VictimRecord {
            victim_id: of.victim.to_string(),
            erased: Some(erased(of)),
            ..pb::VictimRecord::default()
        },
    })
}

/// One reading of details.
#[must_use]
pub fn access(of: &PersonalAccess) -> pb::PersonalAccess {
    pb::PersonalAccess {
        report_id: of.report.as_ref().map(ReportId::to_string).unwrap_or_default(),
        subject: of.subject.clone(),
        role: of.role.clone(),
        organization_id: of.reader.map(|id| id.to_string()).unwrap_or_default(),
        purpose: of.purpose.clone(),
        accessed_at: Some(timestamp(of.at)),
        victim_ids: of.victims.iter().map(ToString::to_string).collect(),
        person_ids: of.persons.iter().map(ToString::to_string).collect(),
    }
}
