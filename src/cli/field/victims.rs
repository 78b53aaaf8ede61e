//! Victims of an accident on the device: their ids, and what is hashed of their details.

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::cli::field::clock;
use crate::error::StartError;
use crate::rpc::pb;
use crate::rpc::pb::field_report::Body;

/// Gives each victim an id, and its details a salt and their hash, where they have none.
pub(super) fn complete(report: &mut pb::FieldReport) -> Result<(), StartError> {
    for victim in of_mut(report) {
        if victim.victim_id.is_empty() {
            victim.victim_id = clock::fresh_id();
        }
        let Some(details) = &mut victim.details else { continue };
        if details.salt.is_empty() {
            let mut salt = vec![0; 16];
            getrandom::fill(&mut salt)
                .map_err(|error| StartError::Refused(format!("no random numbers: {error}; try again")))?;
            details.salt = salt;
        }
        victim.details_sha256 = Sha256::digest(details.encode_to_vec()).to_vec();
    }
    Ok(())
}

/// Gives the victims of a new version the ids that they have: a person with two ids is not erased by one of them. Without
/// ids in the new version they are told by their places, which needs as many as before. Of whom nothing new is told, the
/// hash and the details stay.
pub(super) fn take_over(before: &pb::FieldReport, report: &mut pb::FieldReport) -> Result<(), StartError> {
    let before = of(before).to_vec();
    let now = of_mut(report);
    let unnamed = now.iter().filter(|victim| victim.victim_id.is_empty()).count();
    if 0 < unnamed && !before.is_empty() {
        if unnamed != now.len() || now.len() != before.len() {
            return Err(ask_for_ids(&before, unnamed));
        }
        for (victim, known) in now.iter_mut().zip(&before) {
            victim.victim_id.clone_from(&known.victim_id);
        }
    }
    for victim in now.iter_mut().filter(|victim| victim.details.is_none() && victim.details_sha256.is_empty())
    {
        let Some(known) = before.iter().find(|known| known.victim_id == victim.victim_id) else { continue };
        victim.details_sha256.clone_from(&known.details_sha256);
        // They are here as long as the service does not have them.
        victim.details.clone_from(&known.details);
    }
    Ok(())
}

fn ask_for_ids(before: &[pb::Victim], unnamed: usize) -> StartError {
    let known: Vec<&str> = before.iter().map(|victim| &*victim.victim_id).collect();
    StartError::Refused(format!(
        "{unnamed} victims have no victimId, and there are not as many as in the version before, so that nobody can tell \
         who is who; nothing was captured: give each the victimId that it has, of {}, or a new UUID to one who is new",
        known.join(", ")
    ))
}

/// The victims whom a report names.
#[must_use]
pub(super) fn of(report: &pb::FieldReport) -> &[pb::Victim] {
    match &report.body {
        Some(Body::Accident(accident)) => &accident.victims,
        _ => &[],
    }
}

fn of_mut(report: &mut pb::FieldReport) -> &mut [pb::Victim] {
    match &mut report.body {
        Some(Body::Accident(accident)) => &mut accident.victims,
        _ => &mut [],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::field::content::{sha256_of, without_details};

    fn victim(id: &str, name: &str) -> pb::Victim {
        let details = pb::VictimDetails { name: name.to_owned(), ..pb::VictimDetails::default() };
        pb::Victim { victim_id: id.to_owned(), details: Some(details), ..pb::Victim::default() }
    }

    fn accident(victims: Vec<pb::Victim>) -> pb::FieldReport {
        let accident = pb::AccidentReport { victims, ..pb::AccidentReport::default() };
        pb::FieldReport { body: Some(Body::Accident(accident)), ..pb::FieldReport::default() }
    }

    fn ids(report: &pb::FieldReport) -> Vec<&str> {
        of(report).iter().map(|victim| &*victim.victim_id).collect()
    }

    #[test]
    fn a_hash_is_the_same_whatever_is_known_of_a_victim() {
        let mut report = accident(vec![victim("", "A")]);
        complete(&mut report).unwrap();
        let hash = sha256_of(&report);
        assert_eq!(of(&report)[0].details_sha256.len(), 32);
        assert_eq!(of(&report)[0].details.as_ref().unwrap().salt.len(), 16);
        assert_eq!(sha256_of(&without_details(&report)), hash);
    }

    #[test]
    fn a_new_version_knows_its_victims_by_their_places_or_by_their_ids() {
        let before = accident(vec![victim("a", "A"), victim("b", "B")]);
        let mut same = accident(vec![victim("", "Aa"), victim("", "B")]);
        take_over(&before, &mut same).unwrap();
        assert_eq!(ids(&same), ["a", "b"]);
        let mut turned = accident(vec![victim("b", "B"), victim("a", "A"), victim("c", "C")]);
        take_over(&before, &mut turned).unwrap();
        assert_eq!(ids(&turned), ["b", "a", "c"]);
        for unclear in [vec![victim("", "B")], vec![victim("b", "B"), victim("", "A")]] {
            let told = take_over(&before, &mut accident(unclear)).unwrap_err().to_string();
            assert!(told.contains("a, b"), "{told}");
        }
        let mut first = accident(vec![victim("", "A")]);
        take_over(&accident(vec![]), &mut first).unwrap();
        assert_eq!(ids(&first), [""]);
    }

    #[test]
    fn a_victim_of_whom_nothing_new_is_told_keeps_the_details_and_their_hash() {
        let mut before = accident(vec![victim("a", "A")]);
        complete(&mut before).unwrap();
        let mut now = accident(vec![pb::Victim::default()]);
        take_over(&before, &mut now).unwrap();
        complete(&mut now).unwrap();
        assert_eq!(of(&now), of(&before));
        // The service has them, and they are forgotten here.
        let taken = without_details(&before);
        let mut later = accident(vec![pb::Victim::default()]);
        take_over(&taken, &mut later).unwrap();
        complete(&mut later).unwrap();
        assert_eq!(of(&later), of(&taken));
    }
}
