//! What stands today: drills that were held, paramedics who serve elsewhere, and checks of what was sent before.

use safelane::rpc::pb;

use super::yard::{Yard, day, names};
use crate::harness::{World, in_world};

#[tokio::test]
async fn a_drill_that_is_planned_was_not_held() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let mut asked = yard.assignment("06-20", "06-25");
        asked.medical_cover.as_mut().unwrap().drill_on = Some(day("06-16"));
        let findings = yard.findings(asked.clone()).await;
        assert_eq!(names(&findings), ["DRILL_MISSING"]);
        assert!(findings[0].text.contains("1998-06-16 is not held yet"), "{findings:?}");
        // 22:30 UTC is half past midnight of the 16th in Harare.
        world.clock.set("1998-06-15T22:30:00Z");
        assert_eq!(yard.findings(asked).await, []);
    })
    .await;
}

/// A second team that may be sent to a second task, with an ambulance and a paramedic of its own.
async fn second(world: &World) -> (Yard, pb::Assignment) {
    let mut yard = Yard::open(world).await;
    let (team, task) = (yard.new_team("MT-2", "MANUAL").await, yard.new_task("T-2").await);
    yard.new_member(&team, "Farai", "DRIVER").await;
    yard.accredit("TEAM", &team, "1998-06-14", None).await;
    let medics = yard.new_team("MED-2", "MEDICAL").await;
    let mut other = yard.assignment("06-18", "06-20");
    (other.team_id, other.task_id, other.asset_ids) = (team, task, Vec::new());
    let cover = other.medical_cover.as_mut().unwrap();
    cover.ambulance_id = yard.new_asset("AMBULANCE", "AMB-2", None, 2).await;
    cover.paramedic_id = yard.new_member(&medics, "Nyasha", "PARAMEDIC").await;
    (yard, other)
}

#[tokio::test]
async fn a_paramedic_does_not_ride_in_two_ambulances() {
    in_world(async |world| {
        let (mut yard, mut other) = second(world).await;
        other.medical_cover.as_mut().unwrap().paramedic_id = yard.paramedic.clone();
        let sent = yard.assign(other).await.unwrap().assignment.unwrap();
        let mut asked = yard.assignment("06-15", "06-25");
        let findings = yard.findings(asked.clone()).await;
        assert_eq!(names(&findings), ["PARAMEDIC_BUSY"]);
        assert_eq!(
            (findings[0].first_day, &findings[0].blocking_id),
            (Some(day("06-18")), &sent.assignment_id)
        );
        assert_eq!(yard.findings(yard.assignment("06-21", "06-25")).await, [], "no day in common");
        asked.medical_cover.as_mut().unwrap().ambulance_id = sent.medical_cover.unwrap().ambulance_id;
        assert_eq!(yard.findings(asked).await, [], "one ambulance may cover both");
    })
    .await;
}

#[tokio::test]
async fn a_paramedic_who_is_in_a_team_at_another_task_covers_none_here() {
    in_world(async |world| {
        let (mut yard, other) = second(world).await;
        let chipo = yard.paramedic.clone();
        yard.join(&other.team_id, &chipo, "PARAMEDIC", "1998-06-01", None).await;
        let sent = yard.assign(other.clone()).await.unwrap().assignment.unwrap();
        let findings = yard.findings(yard.assignment("06-15", "06-25")).await;
        assert_eq!(names(&findings), ["PARAMEDIC_BUSY"]);
        assert_eq!(
            (findings[0].first_day, &findings[0].blocking_id),
            (Some(day("06-18")), &sent.assignment_id)
        );
        // The other way round: she gives cover here, and would go there with the team.
        let covers = yard.assign(yard.assignment("06-21", "06-25")).await.unwrap().assignment.unwrap();
        let mut later = pb::Assignment { assignment_id: crate::harness::fresh_id(), ..other };
        (later.first_day, later.last_day) = (Some(day("06-21")), Some(day("06-22")));
        let findings = yard.findings(later.clone()).await;
        assert_eq!(names(&findings), ["PARAMEDIC_BUSY"]);
        assert_eq!(findings[0].blocking_id, covers.assignment_id);
        later.task_id = yard.task.clone();
        assert_eq!(yard.findings(later).await, [], "for the same task she may do both");
    })
    .await;
}

#[tokio::test]
async fn what_was_sent_is_not_in_its_own_way() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let sent = yard.assign(yard.assignment("06-15", "08-25")).await.unwrap().assignment.unwrap();
        let unnamed = pb::Assignment { assignment_id: String::new(), ..sent.clone() };
        let busy = ["TEAM_BUSY", "ASSET_BUSY"];
        assert_eq!(names(&yard.check(unnamed.clone()).await.unwrap().findings), busy);
        // Its first day is further back than a new one may begin.
        world.clock.set("1998-08-01T12:00:00Z");
        assert_eq!(yard.check(sent.clone()).await.unwrap().findings, []);
        assert_eq!(yard.check(unnamed).await.unwrap_err().code(), tonic::Code::InvalidArgument);
        yard.run(
            "INSERT INTO suspensions SELECT accreditation_id, '1998-08-01', '1998-08-09', 'Ill'
               FROM accreditations WHERE level = 'PERSON'"
                .to_owned(),
        )
        .await;
        assert_eq!(names(&yard.check(sent.clone()).await.unwrap().findings), ["PERSON_NOT_ACCREDITED"]);
        yard.run("DELETE FROM suspensions; UPDATE assignments SET state = 'ENDED'".to_owned()).await;
        let over = pb::Assignment { first_day: Some(day("08-01")), ..sent };
        assert_eq!(names(&yard.check(over).await.unwrap().findings), busy, "only what stands is left out");
    })
    .await;
}
