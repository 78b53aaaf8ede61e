//! Days: leap days, time zones, validity without end, validity that overlaps, and ranges that are refused.

use safelane::rpc::pb;
use tonic::Code;

use super::yard::{Yard, day, name_of, names};
use crate::desk::bad_fields;
use crate::harness::{fresh_id, in_world};

/// The yard's assignment on days of any year.
fn on(yard: &Yard, first: &str, last: &str) -> pb::Assignment {
    yard.assignment(first, last)
}

#[tokio::test]
async fn a_leap_day_without_accreditation_is_found() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        world.clock.set("2000-02-25T12:00:00Z");
        yard.run(
            "UPDATE tasks SET last_day = '2000-12-31';
             UPDATE assets SET valid_until = '2000-02-28' WHERE kind = 'DETECTOR';
             UPDATE accreditations SET last_day = '2000-02-28' WHERE level <> 'ORGANIZATION'"
                .to_owned(),
        )
        .await;
        let (team, leader) = (yard.team.clone(), yard.leader.clone());
        // The next ones begin on 1 March: only the leap day is missing.
        yard.accredit("TEAM", &team, "2000-03-01", None).await;
        yard.accredit("PERSON", &leader, "2000-03-01", None).await;
        let (operator, person) = (yard.operator.clone(), leader.clone());
        yard.run(format!(
            "INSERT INTO refreshers VALUES ('{operator}', gen_random_uuid(), '{person}', '2000-02-20', '', now(), 1)"
        ))
        .await;
        let findings = yard.findings(on(&yard, "2000-02-27", "2000-03-02")).await;
        let leap = Some(day("2000-02-29"));
        assert_eq!(names(&findings), ["TEAM_NOT_ACCREDITED", "PERSON_NOT_ACCREDITED", "ASSET_INVALID"]);
        assert!(findings.iter().all(|finding| finding.first_day == leap), "{findings:?}");
        yard.run("UPDATE assets SET valid_until = '2000-03-02' WHERE kind = 'DETECTOR'".to_owned()).await;
        // One that overlaps both sides closes the gap.
        yard.accredit("TEAM", &team, "2000-02-28", Some("2000-03-05")).await;
        yard.accredit("PERSON", &leader, "2000-02-29", Some("2000-02-29")).await;
        assert_eq!(yard.findings(on(&yard, "2000-02-27", "2000-03-02")).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_person_who_worked_until_ten_days_ago_or_had_a_refresher_is_fit() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        yard.assign(yard.assignment("06-15", "06-20")).await.unwrap();
        assert_eq!(yard.findings(yard.assignment("06-30", "07-05")).await, []);
        let findings = yard.findings(yard.assignment("07-01", "07-05")).await;
        assert_eq!(findings.iter().map(name_of).collect::<Vec<_>>(), ["PERSON_STOOD_DOWN"]);
        assert!(findings[0].text.contains("since 1998-07-01"), "{findings:?}");
        let (operator, person) = (yard.operator.clone(), yard.leader.clone());
        yard.run(format!(
            "INSERT INTO refreshers VALUES ('{operator}', gen_random_uuid(), '{person}', '1998-07-01', '', now(), 1)"
        ))
        .await;
        assert_eq!(yard.findings(yard.assignment("07-01", "07-05")).await, []);
    })
    .await;
}

#[tokio::test]
async fn days_may_lie_thirty_days_back_where_the_site_is() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        // In Harare it is 15 July already.
        world.clock.set("1998-07-14T22:30:00Z");
        assert_eq!(yard.findings(yard.assignment("06-15", "06-25")).await, []);
        let refused = yard.check(yard.assignment("06-14", "06-25")).await.unwrap_err();
        assert_eq!(bad_fields(&refused), ["assignment.first_day"]);
        assert!(refused.message().contains("Africa/Harare"), "{refused:?}");
        let refused = yard.assign(yard.assignment("06-14", "06-25")).await.unwrap_err();
        assert_eq!(bad_fields(&refused), ["assignment.first_day"]);
    })
    .await;
}

#[tokio::test]
async fn every_bad_field_is_told_at_once() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let refused = yard.assign(pb::Assignment::default()).await.unwrap_err();
        let missing = ["assignment_id", "team_id", "task_id", "first_day", "last_day"];
        assert_eq!(bad_fields(&refused), missing.map(|field| format!("assignment.{field}")));
        let mut bad = yard.assignment("06-25", "06-24");
        bad.asset_ids =
            vec![yard.detector.clone(), yard.detector.clone(), "x".to_owned(), yard.ambulance.clone()];
        let cover = bad.medical_cover.as_mut().unwrap();
        (cover.evacuation_minutes, cover.paramedic_id) = (-1, "y".to_owned());
        let refused = yard.check(bad).await.unwrap_err();
        let expected = [
            "last_day",
            "asset_ids[1]",
            "asset_ids[2]",
            "medical_cover.paramedic_id",
            "medical_cover.evacuation_minutes",
        ];
        assert_eq!(bad_fields(&refused), expected.map(|field| format!("assignment.{field}")));
        // A leap year is the longest.
        let long = yard.check(on(&yard, "1998-06-15", "1999-06-16")).await.unwrap_err();
        assert_eq!(
            (long.code(), bad_fields(&long)),
            (Code::InvalidArgument, vec!["assignment.last_day".to_owned()])
        );
        yard.check(on(&yard, "1998-06-15", "1999-06-15")).await.unwrap();
        let mut many = yard.assignment("06-15", "06-16");
        many.asset_ids = (0..201).map(|_| fresh_id()).collect();
        assert_eq!(bad_fields(&yard.check(many).await.unwrap_err()), ["assignment.asset_ids"]);
        let mut along = yard.assignment("06-15", "06-16");
        along.medical_cover.as_mut().unwrap().ambulance_id = String::new();
        along.asset_ids = vec![yard.ambulance.clone()];
        assert_eq!(bad_fields(&yard.check(along).await.unwrap_err()), ["assignment.asset_ids[0]"]);
    })
    .await;
}
