//! Victims of an accident. Their details are no part of the report: it keeps only the hash of them.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::app::personal_key::hex;
use crate::domain::ids::VictimId;
use crate::domain::personal::Details;
use crate::domain::text::Text;
use crate::error::Error;
use crate::rpc::pb;
use crate::rpc::pb::field_report::Body;
use crate::rpc::read::Reader;

use super::calendar_day;
use super::files::read_sha256;

/// The most victims of an accident.
const VICTIMS_MAX: usize = 100;
/// Bytes that a salt may have.
const SALT_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

pub(super) fn read_victims(reader: &mut Reader, field: &str, sent: &[pb::Victim]) -> Option<()> {
    if VICTIMS_MAX < sent.len() {
        reader.bad(field, format!("are {}; give at most {VICTIMS_MAX}", sent.len()));
        return None;
    }
    let mut known = BTreeSet::new();
    for (index, victim) in sent.iter().enumerate() {
        let at = |name: &str| format!("{field}[{index}].{name}");
        let id = reader.id(&at("victim_id"), &victim.victim_id, VictimId::new);
        if id.is_some_and(|id| !known.insert(id)) {
            reader.bad(at("victim_id"), "is that of another victim of this report; make one for each");
        }
        let Some(details) = &victim.details else {
            read_sha256(reader, &at("details_sha256"), &victim.details_sha256);
            continue;
        };
        read_details(reader, &at("details"), details);
        if !victim.details_sha256.is_empty() {
            expect_hash(reader, &at("details_sha256"), &victim.details_sha256, details);
        }
    }
    Some(())
}

fn expect_hash(reader: &mut Reader, field: &str, sent: &[u8], details: &pb::VictimDetails) {
    let hash = hash_of(details);
    if sent != hash.as_slice() {
        let rule = format!(
            "is not the SHA-256 of the details in protobuf binary, which is {}; leave it empty to have it filled in",
            hex(&hash)
        );
        reader.bad(field, rule);
    }
}

fn hash_of(details: &pb::VictimDetails) -> [u8; 32] {
    Sha256::digest(details.encode_to_vec()).into()
}

/// What is bad is told by its path and its length, and never quoted.
fn read_details(reader: &mut Reader, field: &str, sent: &pb::VictimDetails) {
    let at = |name: &str| format!("{field}.{name}");
    if !SALT_BYTES.contains(&sent.salt.len()) {
        let (low, high) = (SALT_BYTES.start(), SALT_BYTES.end());
        reader.bad(at("salt"), format!("has {} bytes; draw {low} to {high}", sent.salt.len()));
    }
    reader.parse(&at("name"), Text::<0, 200>::parse(&sent.name));
    reader.parse(&at("identification"), Text::<0, 200>::parse(&sent.identification));
    if pb::PersonGroup::try_from(sent.group).is_err() {
        reader.bad(at("group"), "is no value of the enum; see its comments");
    }
    if sent.born_on.is_some_and(|day| calendar_day(day).is_none()) {
        reader.bad(at("born_on"), "is not a day of the calendar");
    }
    reader.parse(&at("address"), Text::<0, 500>::parse(&sent.address));
    let outcome = pb::VictimOutcome::try_from(sent.outcome);
    if !outcome.is_ok_and(|outcome| outcome != pb::VictimOutcome::Unspecified) {
        reader.bad(at("outcome"), "is not given, or no value of the enum; see its comments");
    }
    reader.parse(&at("activity"), Text::<0, 500>::parse(&sent.activity));
    if pb::Tampering::try_from(sent.tampering).is_err() {
        reader.bad(at("tampering"), "is no value of the enum; see its comments");
    }
}

fn victims_in(report: &pb::FieldReport) -> &[pb::Victim] {
    match &report.body {
        Some(Body::Accident(accident)) => &accident.victims,
        _ => &[],
    }
}

/// The content of a report, in which every victim holds nothing but id and hash, and the details by themselves. The
/// report was read before.
pub(super) fn split(sent: &pb::FieldReport) -> (Bytes, Vec<(VictimId, Details)>) {
    if victims_in(sent).iter().all(|victim| victim.details.is_none()) {
        return (Bytes::from(sent.encode_to_vec()), Vec::new());
    }
    let mut report = sent.clone();
    let mut personal = Vec::new();
    if let Some(Body::Accident(accident)) = &mut report.body {
        for victim in &mut accident.victims {
            let Some(details) = victim.details.take() else { continue };
            victim.details_sha256 = hash_of(&details).to_vec();
            if let Ok(id) = Uuid::try_parse(&victim.victim_id) {
                personal.push((VictimId::new(id), Details(Bytes::from(details.encode_to_vec()))));
            }
        }
    }
    (Bytes::from(report.encode_to_vec()), personal)
}

/// The victims whom the stored content of a report names.
///
/// # Errors
/// A bug when the content cannot be read.
pub fn victims_of(content: &[u8]) -> Result<Vec<VictimId>, Error> {
    let report = pb::FieldReport::decode(content).map_err(|error| Error::Internal(Box::new(error)))?;
    let ids = victims_in(&report).iter().filter_map(|victim| Uuid::try_parse(&victim.victim_id).ok());
    Ok(ids.map(VictimId::new).collect())
}
