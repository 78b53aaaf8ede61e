//! Accreditations, refreshers and task licences on the wire.

use jiff::Timestamp;
use uuid::Uuid;

use crate::app::accreditation::ShownAccreditation;
use crate::app::licence::GrantTaskLicence;
use crate::app::refresher::RecordRefresher;
use crate::domain::accreditation::{Accreditation, NewAccreditation, Refresher, Suspension, TaskLicence};
use crate::domain::ids::{AccreditationId, LicenceId, OrganizationId, PersonId, RefresherId, TaskId};
use crate::domain::text::{Note, Reference};
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::convert::{date, timestamp};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// Reads an accreditation to ask for or to grant.
pub fn read_accreditation(reader: &mut Reader, sent: &pb::Accreditation) -> Option<NewAccreditation> {
    let field = |name: &str| format!("accreditation.{name}");
    let id = reader.id(&field("accreditation_id"), &sent.accreditation_id, AccreditationId::new);
    let level = reader.word(&field("level"), sent.level);
    let subject = reader.id(&field("subject_id"), &sent.subject_id, |id: Uuid| id);
    let authority = reader.id(&field("authority_id"), &sent.authority_id, OrganizationId::new);
    let activity = reader.word(&field("activity"), sent.activity);
    let certificate = reader.parse(&field("certificate"), Reference::parse(&sent.certificate));
    let days = reader.days(&field(""), sent.first_day, sent.last_day);
    Some(NewAccreditation {
        id: id?,
        level: level?,
        subject: subject?,
        authority: authority?,
        activity: activity?,
        certificate: certificate?,
        days: days?,
    })
}

/// An accreditation for the wire, as it is stored.
#[must_use]
pub fn accreditation(of: &Accreditation) -> pb::Accreditation {
    let (withdrawn_on, withdrawal_reason) = of.withdrawn.clone().unzip();
    pb::Accreditation {
        accreditation_id: of.id.to_string(),
        level: of.level.wire(),
        subject_id: of.subject.to_string(),
        organization_id: of.organization.to_string(),
        authority_id: of.authority.to_string(),
        activity: of.activity.wire(),
        certificate: of.certificate.as_str().to_owned(),
        first_day: Some(date(of.days.first())),
        last_day: of.days.last().map(date),
        state: of.state.wire(),
        suspensions: of.suspensions.iter().map(suspension).collect(),
        withdrawn_on: withdrawn_on.map(date),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
        granted_at: of.granted_at.map(timestamp),
        withdrawal_reason: withdrawal_reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        stood_down_since: None,
    }
}

fn suspension(of: &Suspension) -> pb::Suspension {
    pb::Suspension {
        first_day: Some(date(of.days.first())),
        last_day: of.days.last().map(date),
        reason: of.reason.as_str().to_owned(),
    }
}

/// An accreditation for the wire, as it is on a day.
#[must_use]
pub fn shown(of: &ShownAccreditation) -> pb::Accreditation {
    pb::Accreditation { stood_down_since: of.stood_down_since.map(date), ..accreditation(&of.accreditation) }
}

/// Reads a refresher to record.
pub fn read_refresher(reader: &mut Reader, sent: &pb::Refresher, now: Timestamp) -> Option<RecordRefresher> {
    let id = reader.id("refresher.refresher_id", &sent.refresher_id, RefresherId::new);
    let person = reader.id("refresher.person_id", &sent.person_id, PersonId::new);
    let held_on = reader.past_date("refresher.held_on", sent.held_on, now);
    let note = reader.parse("refresher.note", Note::parse(&sent.note));
    Some(RecordRefresher { id: id?, person: person?, held_on: held_on?, note: note? })
}

/// A refresher for the wire.
#[must_use]
pub fn refresher(of: &Refresher) -> pb::Refresher {
    pb::Refresher {
        refresher_id: of.id.to_string(),
        person_id: of.person.to_string(),
        held_on: Some(date(of.held_on)),
        note: of.note.as_str().to_owned(),
        organization_id: of.organization.to_string(),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
    }
}

/// Reads a task licence to give.
pub fn read_licence(reader: &mut Reader, sent: &pb::TaskLicence) -> Option<GrantTaskLicence> {
    let id = reader.id("licence.licence_id", &sent.licence_id, LicenceId::new);
    let operator = reader.id("licence.organization_id", &sent.organization_id, OrganizationId::new);
    let authority = reader.id("licence.authority_id", &sent.authority_id, OrganizationId::new);
    let task = reader.id("licence.task_id", &sent.task_id, TaskId::new);
    let certificate = reader.parse("licence.certificate", Reference::parse(&sent.certificate));
    let days = reader.days("licence.", sent.first_day, sent.last_day);
    Some(GrantTaskLicence {
        id: id?,
        operator: operator?,
        authority: authority?,
        task: task?,
        certificate: certificate?,
        days: days?,
    })
}

/// A task licence for the wire.
#[must_use]
pub fn licence(of: &TaskLicence) -> pb::TaskLicence {
    pb::TaskLicence {
        licence_id: of.id.to_string(),
        organization_id: of.organization.to_string(),
        authority_id: of.authority.to_string(),
        task_id: of.task.to_string(),
        program_id: of.program.to_string(),
        certificate: of.certificate.as_str().to_owned(),
        first_day: Some(date(of.days.first())),
        last_day: of.days.last().map(date),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
    }
}
