//! What the office, the authority and the operator do, as it reaches a team's tablet: every change is made by its own
//! call, so that this fails when one of them forgets the operator's journal.

use std::collections::BTreeSet;

use safelane::rpc::pb;
use safelane::rpc::pb::safety_stop::Target;
use tonic::Streaming;

use super::accreditations::{accreditation, granted};
use super::feed_rig::{about, next, open, several, told};
use super::members::{added, day, member};
use super::tasks::Works;
use super::teams::recorded_team;
use crate::harness::{World, fresh_id, in_world};

/// A team of one deminer who may work for the task, accredited since a day.
pub(super) async fn ready_team(world: &World, works: &Works, code: &str, since: &str) -> String {
    let team = recorded_team(world, &works.desk.operator_id, code).await;
    let person = fresh_id();
    added(world, member(&team, &person)).await;
    for (level, subject) in [(pb::AccreditationLevel::Team, &team), (pb::AccreditationLevel::Person, &person)]
    {
        let of = accreditation(&works.authority_id, level, subject);
        // Freshly accredited, so that nobody has stood down.
        granted(world, pb::Accreditation { first_day: day(since), ..of }).await;
    }
    team
}

pub(super) async fn assign(
    world: &World,
    works: &Works,
    (team, task): (&str, &pb::Task),
    (first, last): (&str, &str),
) -> pb::Assignment {
    let assignment = pb::Assignment {
        assignment_id: fresh_id(),
        team_id: team.to_owned(),
        program_id: task.program_id.clone(),
        task_id: task.task_id.clone(),
        first_day: day(first),
        last_day: day(last),
        medical_cover: Some(works.cover.clone()),
        ..pb::Assignment::default()
    };
    let request = pb::AssignTeamRequest { assignment: Some(assignment), ..pb::AssignTeamRequest::default() };
    world.teams().assign_team(request).await.expect("it is assigned").into_inner().assignment.unwrap()
}

/// The next messages, whatever their order.
async fn set(
    feed: &mut Streaming<pb::StreamTeamFeedResponse>,
    count: usize,
) -> BTreeSet<(&'static str, String)> {
    several(feed, count).await.into_iter().collect()
}

#[tokio::test]
async fn what_others_do_reaches_the_tablet_of_the_team_that_it_concerns() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let task = works.walked("T-1", &["Plan", "Issue", "Accept"]).await;
        let team = ready_team(world, &works, "MT-1", "1998-06-25").await;
        let mut feed = open(world.teams(), &team, "").await.unwrap();
        assert_eq!(several(&mut feed, 2).await, [("begin", String::new()), ("end", String::new())]);

        let assignment = assign(world, &works, (&team, &task), ("1998-07-01", "1998-07-10")).await;
        let mut all = BTreeSet::from([
            ("assignment", assignment.assignment_id.clone()),
            ("task", task.task_id.clone()),
        ]);
        all.extend(works.site_ids.iter().map(|id| ("site", id.clone())));
        assert_eq!(set(&mut feed, 4).await, all);

        let (site_id, mut sites) = (works.site_ids[0].clone(), world.sites());
        let get = pb::GetSiteRequest { site_id: site_id.clone(), min_revision: 0 };
        let site = sites.get_site(get).await.unwrap().into_inner().site.unwrap();
        let rename = pb::RenameSiteRequest {
            request_id: fresh_id(),
            site_id: site_id.clone(),
            name: "Beacon Hill".to_owned(),
            expected_revision: site.revision,
        };
        sites.rename_site(rename).await.unwrap();
        assert_eq!(about(&told(&mut feed).await), ("site", site_id.clone()));

        let mobilised = works.step(&task, "Mobilise").await.unwrap();
        // Its sites come along: some may be new.
        let mut of_task = BTreeSet::from([("task", task.task_id.clone())]);
        of_task.extend(works.site_ids.iter().map(|id| ("site", id.clone())));
        assert_eq!(set(&mut feed, 3).await, of_task);
        let stop = pb::SafetyStop {
            safety_stop_id: fresh_id(),
            target: Some(Target::SiteId(site_id.clone())),
            cause: pb::SafetyStopCause::Accident.into(),
            reason: "A deminer was hurt".to_owned(),
            ..pb::SafetyStop::default()
        };
        let request = pb::IssueSafetyStopRequest { safety_stop: Some(stop) };
        let stop = world.tasks().issue_safety_stop(request).await.unwrap().into_inner().safety_stop.unwrap();
        assert_eq!(stop.suspended_task_ids, [mobilised.task_id]);
        assert_eq!(
            about(&told(&mut feed).await),
            ("stop", stop.safety_stop_id.clone()),
            "the stop comes first"
        );
        assert_eq!(set(&mut feed, 3).await, of_task);

        // Cut here, and resumed: what came meanwhile, and what left.
        let cursor = next(&mut feed).await.cursor;
        drop(feed);
        let end = pb::EndAssignmentRequest {
            request_id: fresh_id(),
            assignment_id: assignment.assignment_id.clone(),
            last_day: day("1998-06-30"),
            reason: "The stop lasts".to_owned(),
            expected_revision: assignment.revision,
        };
        world.teams().end_assignment(end).await.unwrap();
        let mut feed = open(world.teams(), &team, &cursor).await.unwrap();
        assert_eq!(about(&told(&mut feed).await), ("begin", String::new()));
        let mut gone = BTreeSet::from([
            ("removed", assignment.assignment_id.clone()),
            ("removed", task.task_id.clone()),
        ]);
        gone.extend(works.site_ids.iter().map(|id| ("removed", id.clone())));
        assert_eq!(set(&mut feed, 4).await, gone);
    })
    .await;
}
