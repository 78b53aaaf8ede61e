//! Changes on the wire: requests as they are kept, events as they are stored, answers as they are read from them.

use bytes::Bytes;
use prost::Message;
use prost_reflect::DynamicMessage;
use uuid::Uuid;

use crate::app::change::{Change, Changed, Record, Request};
use crate::domain::kind::Kind;
use crate::domain::personal::RecordedName;
use crate::error::Error;
use crate::rpc::convert;
use crate::rpc::difference::{POOL, first_difference};
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record as Sent;
use crate::store::journal::EventKind;

/// What a caller sent, as it is kept. The message is encoded anew from its typed form, so that unknown fields and the
/// order of fields make no difference.
pub(super) fn request(id: Uuid, kind: Kind, method: &'static str, message: &impl Message) -> Request {
    Request { id, kind, method, message: Bytes::from(message.encode_to_vec()) }
}

/// Encodes the event of a change.
pub(super) fn encode(change: &Change) -> Vec<u8> {
    let message = pb::Change {
        revision: change.revision,
        recorded_at: Some(convert::timestamp(change.recorded_at)),
        recorded_by: change.recorded_by.clone(),
        method: change.request.method.to_owned(),
        request: change.request.message.to_vec(),
        records: change.records.iter().map(record).collect(),
    };
    message.encode_to_vec()
}

fn record(of: &Record) -> pb::ChangedRecord {
    let record = match of {
        Record::Team(of) => Sent::Team(convert::team::team(of)),
        Record::Site(of) => Sent::Site(convert::site::site(of)),
        Record::Survey(of) => Sent::Survey(convert::survey::survey(of)),
        Record::Member(of) => Sent::Member(convert::member::member(of, None)),
        Record::Asset(of) => Sent::Asset(convert::asset::asset(of)),
        Record::Accreditation(of) => Sent::Accreditation(convert::accreditation::accreditation(of)),
        Record::Refresher(of) => Sent::Refresher(convert::accreditation::refresher(of)),
        Record::Licence(of) => Sent::Licence(convert::accreditation::licence(of)),
        Record::Assignment(of) => Sent::Assignment(convert::assignment::assignment(of)),
        Record::Task(of) => Sent::Task(convert::task::task(of)),
        Record::SafetyStop(of) => Sent::SafetyStop(convert::safety_stop::safety_stop(of)),
        Record::Review(of) => Sent::ReportReview(convert::field_report::review::review(of)),
        Record::Credit(of) => Sent::ReportCredit(convert::field_report::review::credit(of)),
        Record::ReportingPeriod(of) => Sent::ReportingPeriod(convert::restatement::reporting_period(of)),
        Record::ErasedVictim(of) => Sent::ErasedVictim(convert::personal::erased(of)),
        Record::ErasedPerson(of) => Sent::ErasedPerson(convert::personal::erased_person(of)),
    };
    pb::ChangedRecord { record: Some(record) }
}

/// Path of the first field in which a request differs from the one that made a stored event.
pub(super) fn differs(kind: EventKind, stored: &[u8], request: &Request) -> Option<String> {
    let other = || Some("kind of request".to_owned());
    if kind != EventKind::Changed {
        return other();
    }
    let Ok(first) = pb::Change::decode(stored) else { return Some("content".to_owned()) };
    if first.method != request.method {
        return other();
    }
    let before = convert::member::without_name(request.method, first.request);
    if before == request.message {
        return None;
    }
    let path = input_of(request.method).and_then(|name| first_difference(&name, &before, &request.message));
    path.or_else(|| Some("content".to_owned()))
}

/// What the event of a change says of the name that was given to a member with it. It is the first member of the event.
pub(super) fn recorded_name(stored: &[u8]) -> Option<RecordedName> {
    let change = pb::Change::decode(stored).ok()?;
    let mut records = change.records.into_iter().filter_map(|record| record.record);
    let pick = |record| if let Sent::Member(member) = record { Some(member) } else { None };
    let pb::Member { name, name_digest, .. } = records.find_map(pick)?;
    Some(if name_digest.is_empty() { RecordedName::Plain(name) } else { RecordedName::Digest(name_digest) })
}

/// Full name of the input of a method.
fn input_of(method: &str) -> Option<String> {
    let (service, method) = method.split_once('/')?;
    let service = POOL.as_ref()?.get_service_by_name(&format!("safelane.v1.{service}"))?;
    let found = service.methods().find(|found| found.name() == method)?;
    Some(found.input().full_name().to_owned())
}

/// The first record of a kind in the event of a change, as it was answered first.
pub(super) fn answered<T>(changed: &Changed, pick: impl Fn(Sent) -> Option<T>) -> Result<T, Error> {
    let found = all_answered(changed, pick)?.into_iter().next();
    found.ok_or_else(|| Error::bug("a change answered without its record"))
}

/// All records of a kind in the event of a change, in the order in which they were recorded.
pub(super) fn all_answered<T>(changed: &Changed, pick: impl Fn(Sent) -> Option<T>) -> Result<Vec<T>, Error> {
    let event =
        pb::Change::decode(changed.message.clone()).map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(event.records.into_iter().filter_map(|record| record.record).filter_map(pick).collect())
}

/// The reason that the caller of a change gave: the field `reason` of the request, or of the record in it. None where
/// there is no such field.
pub(super) fn reason_of(change: &pb::Change) -> Option<String> {
    let descriptor = POOL.as_ref()?.get_message_by_name(&input_of(&change.method)?)?;
    let request = DynamicMessage::decode(descriptor.clone(), change.request.as_slice()).ok()?;
    let of = |message: &DynamicMessage| Some(message.get_field_by_name("reason")?.as_str()?.to_owned());
    let records = descriptor.fields().filter_map(|field| request.get_field(&field).as_message().and_then(of));
    of(&request).or_else(|| records.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(name: &str, role: i32) -> pb::AddMemberRequest {
        pb::AddMemberRequest {
            member: Some(pb::Member { name: name.to_owned(), role, ..pb::Member::default() }),
        }
    }

    #[test]
    fn events_that_are_older_than_digests_are_compared_by_the_name_that_they_hold() {
        let sent = add("Tendai", 3);
        let old = pb::Change {
            method: convert::member::ADD.to_owned(),
            request: sent.encode_to_vec(),
            records: vec![pb::ChangedRecord { record: Some(Sent::Member(sent.member.clone().unwrap())) }],
            ..pb::Change::default()
        };
        let differs = |sent: &pb::AddMemberRequest| {
            let kept = convert::member::added_without_name(sent);
            let asked = request(Uuid::nil(), Kind::Member, convert::member::ADD, &kept);
            differs(EventKind::Changed, &old.encode_to_vec(), &asked)
        };
        assert_eq!(differs(&sent), None);
        assert_eq!(differs(&add("Farai", 3)), None, "the name is compared apart");
        assert_eq!(differs(&add("Tendai", 4)).as_deref(), Some("member.role"));
        let recorded = recorded_name(&old.encode_to_vec());
        assert_eq!(recorded, Some(RecordedName::Plain("Tendai".to_owned())));
    }
}
