//! What a release of a site must answer, and what comes of danger that is found after it.

use safelane::rpc::pb;
use safelane::rpc::pb::safety_stop::Target;
use tonic::{Code, Status};

use super::land::{by_survey, cleared, close, part, remeasurement, splitting, survey, surveyed, totals};
use super::sites::{authority, created, refused, site};
use super::tasks::Works;
use crate::bad_input::{day, names};
use crate::desk::reason;
use crate::harness::{World, fresh_id, in_world};

pub(super) fn reopening(site: &pb::Site, code: &str, area_m2: i64, on: pb::Date) -> pb::ReopenSiteRequest {
    pb::ReopenSiteRequest {
        site_id: site.site_id.clone(),
        new_site_id: fresh_id(),
        code: code.to_owned(),
        area_m2,
        class: pb::HazardClass::Cha.into(),
        information_on: Some(on),
        evidence: "a mine was found while ploughing".to_owned(),
        boundary_geojson: String::new(),
        reason: "missed ordnance".to_owned(),
    }
}

async fn reopened(world: &World, request: pb::ReopenSiteRequest) -> Result<pb::Site, Status> {
    Ok(world.sites().reopen_site(request).await?.into_inner().site.unwrap())
}

async fn current(world: &World, site_id: &str) -> pb::Site {
    let get = pb::GetSiteRequest { site_id: site_id.to_owned(), min_revision: 0 };
    world.sites().get_site(get).await.unwrap().into_inner().site.unwrap()
}

async fn resumed(world: &World, site: &pb::Site) -> Result<pb::Site, Status> {
    let request = pb::ResumeSiteRequest {
        request_id: fresh_id(),
        site_id: site.site_id.clone(),
        reason: "safe again".to_owned(),
        expected_revision: site.revision,
    };
    Ok(world.sites().resume_site(request).await?.into_inner().site.unwrap())
}

async fn handed_over(world: &World, site: &pb::Site) -> Result<pb::Site, Status> {
    let request = pb::HandOverSiteRequest {
        request_id: fresh_id(),
        site_id: site.site_id.clone(),
        handed_over_on: Some(day(1998, 6, 14)),
        expected_revision: site.revision,
    };
    Ok(world.sites().hand_over_site(request).await?.into_inner().site.unwrap())
}

/// Expects that something is not ready, and why.
fn lacks<T: std::fmt::Debug>(answer: Result<T, Status>, says: &str) {
    let status = answer.expect_err(says);
    assert_eq!(
        (status.code(), reason(&status).0.as_str()),
        (Code::FailedPrecondition, "NOT_READY"),
        "{status}"
    );
    assert!(status.message().contains(says), "{}", status.message());
}

#[tokio::test]
async fn danger_that_is_learned_of_after_a_release_is_recorded_with_its_true_day() {
    in_world(async |world| {
        let authority = authority(world).await;
        let site = created(world, site(&authority, "ZW-1", 5_000)).await;
        let site = close(world, &site, cleared(day(1998, 5, 31))).await.unwrap();
        let learned = day(1998, 4, 15);
        let made = reopened(world, reopening(&site, "ZW-1-R", 400, learned)).await.unwrap();
        assert_eq!((made.information_on, made.evidence_on), (Some(learned), Some(learned)));
        assert_eq!(made.conflict, "information of 1998-04-15 is older than the release of 1998-05-31");
        let ledger = |last| pb::GetLandLedgerRequest {
            authority_id: authority.clone(),
            first_day: Some(day(1998, 1, 1)),
            last_day: Some(last),
            ..pb::GetLandLedgerRequest::default()
        };
        for (last, closing) in [(day(1998, 5, 30), 5_000), (day(1998, 5, 31), 400)] {
            let sums =
                world.sites().get_land_ledger(ledger(last)).await.unwrap().into_inner().totals.unwrap();
            assert_eq!(sums.closing_m2, closing, "the ground is not in the ledger twice");
        }
    })
    .await;
}

#[tokio::test]
async fn the_same_ground_is_found_dangerous_once() {
    in_world(async |world| {
        let authority = authority(world).await;
        let site = created(world, site(&authority, "ZW-1", 5_000)).await;
        let site = close(world, &site, cleared(day(1998, 5, 31))).await.unwrap();
        let on = day(1998, 6, 10);
        lacks(reopened(world, reopening(&site, "ZW-1-A", 5_101, on)).await, "5000 m2");
        let first = reopened(world, reopening(&site, "ZW-1-A", 400, on)).await.unwrap();
        lacks(reopened(world, reopening(&site, "ZW-1-B", 4_701, on)).await, "ZW-1-A");
        reopened(world, reopening(&site, "ZW-1-B", 4_700, on)).await.unwrap();
        // What was released again may be found again, but not beside what it came from.
        let first = close(world, &first, cleared(day(1998, 6, 12))).await.unwrap();
        reopened(world, reopening(&site, "ZW-1-C", 400, day(1998, 6, 13))).await.unwrap();
        lacks(reopened(world, reopening(&first, "ZW-1-D", 400, day(1998, 6, 13))).await, "ZW-1-C");
    })
    .await;
}

#[tokio::test]
async fn what_is_older_than_what_is_booked_does_not_change_it() {
    in_world(async |world| {
        let authority = authority(world).await;
        let site = created(world, site(&authority, "ZW-1", 10_000)).await;
        let measured = remeasurement(&site, 9_000, day(1998, 5, 1));
        let site = world.sites().record_remeasurement(measured).await.unwrap().into_inner().site.unwrap();
        let older = world.sites().record_remeasurement(remeasurement(&site, 9_500, day(1998, 4, 30))).await;
        assert!(older.as_ref().unwrap_err().message().contains("the measurement of 1998-05-01 that rules"));
        names(older, &["measured_on"]);
        let parts = || vec![part("A", 4_000), part("B", 5_000)];
        names(world.sites().split_site(splitting(&site, day(1998, 4, 30), parts())).await, &["split_on"]);
        names(close(world, &site, cleared(day(1998, 4, 30))).await, &["release.decided_on"]);
        let mut released = parts();
        released[1].release = cleared(day(1998, 5, 31));
        let early = world.sites().split_site(splitting(&site, day(1998, 6, 1), released)).await;
        names(early, &["parts[1].release.decided_on"]);
        world.sites().split_site(splitting(&site, day(1998, 5, 1), parts())).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_survey_releases_only_land_that_it_has_seen() {
    in_world(async |world| {
        let authority = authority(world).await;
        let sha = pb::Site { class: pb::HazardClass::Sha.into(), ..site(&authority, "ZW-1", 10_000) };
        let site = created(world, sha).await;
        let (nts, clean) = (pb::SurveyKind::Nts, pb::SurveyResult::NoEvidence);
        let same_day = survey(&site, nts, clean, day(1998, 3, 1));
        surveyed(world, same_day.clone()).await.unwrap();
        let early = survey(&site, nts, clean, day(1998, 5, 1));
        let site = surveyed(world, early.clone()).await.unwrap().site.unwrap();
        let released = |id: &str| Some(by_survey(pb::ReleaseType::Cancelled, id, day(1998, 6, 10)));
        lacks(close(world, &site, released(&same_day.survey_id)).await, "is not after the last evidence");
        let more = remeasurement(&site, 12_000, day(1998, 6, 1));
        let site = world.sites().record_remeasurement(more).await.unwrap().into_inner().site.unwrap();
        lacks(close(world, &site, released(&early.survey_id)).await, "was added on 1998-06-01");
        let late = survey(&site, nts, clean, day(1998, 6, 1));
        let site = surveyed(world, late.clone()).await.unwrap().site.unwrap();
        close(world, &site, released(&late.survey_id)).await.unwrap();
        assert_eq!(totals(world, &authority, 1998, 1998).await.cancelled_m2, -12_000);
    })
    .await;
}

#[tokio::test]
async fn the_last_open_site_of_a_task_at_work_is_kept() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let task = works.mobilised("T-1").await;
        let [one, two] = [current(world, &works.site_ids[0]).await, current(world, &works.site_ids[1]).await];
        let one = close(world, &one, cleared(day(1998, 6, 12))).await.unwrap();
        lacks(close(world, &two, cleared(day(1998, 6, 12))).await, "task T-1");
        let mut released = vec![part("A", 4_000), part("B", 6_000)];
        for part in &mut released {
            part.release = cleared(day(1998, 6, 12));
        }
        lacks(world.sites().split_site(splitting(&two, day(1998, 6, 12), released)).await, "task T-1");
        let task = works.step(&task, "Start").await.unwrap();
        lacks(close(world, &two, cleared(day(1998, 6, 12))).await, "is ACTIVE");
        let task = works.step(&task, "Complete").await.unwrap();
        close(world, &two, cleared(day(1998, 6, 12))).await.unwrap();
        let task = works.step(&task, "Fail").await.unwrap();
        lacks(handed_over(world, &one).await, "is QC_FAILED");
        assert_eq!(task.state(), pb::TaskState::QcFailed);
    })
    .await;
}

#[tokio::test]
async fn a_clearance_names_quality_control_that_passed_to_the_depth_that_was_ordered() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let mut task =
            works.walked("T-1", &["Plan", "Issue", "Accept", "Mobilise", "Start", "Complete"]).await;
        let site = current(world, &works.site_ids[0]).await;
        let release = |quality_control: &str, depth_cm| {
            let quality_control = quality_control.to_owned();
            Some(pb::LandRelease { depth_cm, quality_control, ..cleared(day(1998, 6, 14)).unwrap() })
        };
        task = works.step(&task, "Fail").await.unwrap();
        for named in ["QC-12", "QC-OF-1976"] {
            lacks(close(world, &site, release(named, 13)).await, "QC-12 of task T-1 failed on 1998-06-13");
        }
        let mut parts = vec![part("A", 4_000), part("B", 6_000)];
        parts[0].release = release("QC-12", 13);
        lacks(world.sites().split_site(splitting(&site, day(1998, 6, 14), parts)).await, "failed on");
        task = works.step(&task, "Start").await.unwrap();
        let completed = pb::CompleteTaskRequest {
            request_id: fresh_id(),
            task_id: task.task_id.clone(),
            expected_revision: task.revision,
            completion: Some(pb::Completion {
                completed_on: Some(day(1998, 6, 13)),
                reference: "CR-13".to_owned(),
                not_done: String::new(),
            }),
        };
        task = works.tasks.clone().complete_task(completed).await.unwrap().into_inner().task.unwrap();
        works.step(&task, "Pass").await.unwrap();
        lacks(close(world, &site, release("QC-12", 12)).await, "was ordered to clear to 13");
        lacks(close(world, &site, release("QC-OF-1976", 12)).await, "was ordered to clear to 13");
        close(world, &site, release("QC-12", 13)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_safety_stop_holds_the_ground_whatever_site_is_made_of_it() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let site = current(world, &works.site_ids[0]).await;
        let site = close(world, &site, cleared(day(1998, 6, 1))).await.unwrap();
        let stop = works.stop(Target::SiteId(site.site_id.clone())).await.unwrap();
        let made = reopened(world, reopening(&site, "ZW-R", 400, day(1998, 6, 10))).await.unwrap();
        let halted = (pb::SiteStatus::Suspended, pb::SuspensionCause::SafetyStop);
        assert_eq!((made.status(), made.suspension_cause()), halted);
        refused(resumed(world, &made).await, "SAFETY_STOPPED", &[("safety_stop_id", &stop.safety_stop_id)]);
        works.lift(&stop).await.unwrap();
        assert_eq!(resumed(world, &made).await.unwrap().status(), pb::SiteStatus::Open);
    })
    .await;
}

#[tokio::test]
async fn a_safety_stop_leaves_another_suspension_as_it_is() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let site = current(world, &works.site_ids[0]).await;
        let request = pb::SuspendSiteRequest {
            request_id: fresh_id(),
            site_id: site.site_id.clone(),
            cause: pb::SuspensionCause::Season.into(),
            reason: "rains".to_owned(),
            expected_revision: site.revision,
        };
        let still = world.sites().suspend_site(request).await.unwrap().into_inner().site.unwrap();
        let stop = works.stop(Target::SiteId(site.site_id.clone())).await.unwrap();
        assert_eq!(current(world, &site.site_id).await, still);
        refused(resumed(world, &still).await, "SAFETY_STOPPED", &[]);
        works.lift(&stop).await.unwrap();
        assert_eq!(current(world, &site.site_id).await.suspension_cause(), pb::SuspensionCause::Season);
        let history = pb::GetSiteHistoryRequest { site_id: site.site_id, ..Default::default() };
        let changes = world.sites().get_site_history(history).await.unwrap().into_inner().changes;
        let told: Vec<&str> = changes.iter().map(|change| change.reason.as_str()).collect();
        assert_eq!(told, ["", "rains"]);
    })
    .await;
}

#[tokio::test]
async fn of_two_who_end_a_site_at_once_one_does() {
    in_world(async |world| {
        let authority = authority(world).await;
        for round in 0..20 {
            let site = created(world, site(&authority, &format!("ZW-{round}"), 10_000)).await;
            let halves = |name: &str| {
                vec![part(&format!("{name}A-{round}"), 4_000), part(&format!("{name}B-{round}"), 6_000)]
            };
            let (mut one, mut other) = (world.sites(), world.sites());
            let done = if round % 2 == 0 {
                let closed = close(world, &site, cleared(day(1998, 6, 1)));
                let split = other.split_site(splitting(&site, day(1998, 6, 1), halves("X")));
                let (closed, split) = tokio::join!(closed, split);
                [closed.map(|_| ()), split.map(|_| ())]
            } else {
                let first = one.split_site(splitting(&site, day(1998, 6, 1), halves("X")));
                let second = other.split_site(splitting(&site, day(1998, 6, 1), halves("Y")));
                let (first, second) = tokio::join!(first, second);
                [first.map(|_| ()), second.map(|_| ())]
            };
            let failed: Vec<&Status> = done.iter().filter_map(|done| done.as_ref().err()).collect();
            assert_eq!(failed.len(), 1, "round {round}: {done:?}");
            assert_eq!(reason(failed[0]).0, "STALE_REVISION", "round {round}");
        }
        let sums = totals(world, &authority, 1998, 1998).await;
        assert_eq!(sums.closing_m2 - sums.cleared_m2, 200_000);
    })
    .await;
}

#[tokio::test]
async fn an_id_that_is_a_site_already_is_told_where_it_stands() {
    in_world(async |world| {
        let authority = authority(world).await;
        let known = created(world, site(&authority, "ZW-1", 10_000)).await;
        let other = created(world, site(&authority, "ZW-2", 10_000)).await;
        let taken = pb::SitePart { site_id: known.site_id.clone(), ..part("B", 6_000) };
        let split = splitting(&other, day(1998, 6, 1), vec![part("A", 4_000), taken]);
        names(world.sites().split_site(split).await, &["parts[1].site_id"]);
        let closed = close(world, &other, cleared(day(1998, 6, 1))).await.unwrap();
        let made = reopened(world, reopening(&closed, "ZW-2-R", 400, day(1998, 6, 2))).await.unwrap();
        // An id that made a site in another journal.
        let elsewhere =
            super::teams::organization(world, pb::OrganizationKind::Authority, "OTHER", "ZW").await;
        let abroad = pb::Site { site_id: made.site_id.clone(), ..site(&elsewhere, "ZW-3", 10) };
        let request = pb::CreateSiteRequest { site: Some(abroad) };
        let status = world.sites().create_site(request).await.unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists);
        assert!(status.message().contains("another site.authority_id"), "{}", status.message());
        let strange = created(world, site(&elsewhere, "ZW-4", 10)).await;
        let again = pb::ReopenSiteRequest {
            new_site_id: strange.site_id,
            ..reopening(&closed, "ZW-2-S", 400, day(1998, 6, 2))
        };
        names(world.sites().reopen_site(again).await, &["new_site_id"]);
    })
    .await;
}

#[tokio::test]
async fn a_site_that_is_too_large_is_told_the_limit_of_sites() {
    in_world(async |world| {
        let authority = authority(world).await;
        let large = pb::Site { evidence: "x".repeat(1_100_000), ..site(&authority, "ZW-1", 10) };
        let status =
            world.sites().create_site(pb::CreateSiteRequest { site: Some(large) }).await.unwrap_err();
        assert!(status.message().contains("1048576"), "{}", status.message());
        names(Err::<(), _>(status), &["request"]);
    })
    .await;
}
