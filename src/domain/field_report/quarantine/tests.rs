use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::*;
use crate::domain::activity::ActivityType;
use crate::domain::field_report::clock::DeviceClock;
use crate::domain::field_report::{ClaimedArea, Claims, ReportKind, Terrain};
use crate::domain::ids::{DeviceId, TaskId, TeamId};
use crate::domain::site::{Position, ReleaseType};

const SITE: SiteId = SiteId::new(Uuid::from_u128(7));
const DAY: Date = date(2026, 5, 4);

/// A progress report that nothing holds.
pub(in crate::domain::field_report) fn report() -> FieldReport {
    let id = Uuid::from_u128;
    FieldReport {
        id: ReportId::new(id(1)),
        device: DeviceId::new(id(2)),
        sequence: 3,
        team: TeamId::new(id(4)),
        task: Some(TaskId::new(id(5))),
        work_date: DAY,
        captured: DeviceClock {
            wall_time: Timestamp::UNIX_EPOCH,
            utc_offset_minutes: 0,
            elapsed: Some(Duration::from_secs(1)),
            boot_id: String::new(),
            gnss_time: None,
        },
        position: None,
        base_version: 0,
        kind: ReportKind::Progress,
        attachments: Vec::new(),
        claims: Claims {
            activity: Some(ActivityType::ManualClearance),
            sites: [SITE].into(),
            areas: vec![ClaimedArea {
                site: SITE,
                release: ReleaseType::Cleared,
                area_m2: 200,
                depth_cm: 13,
                outline: None,
            }],
            searchers: 1,
            search_minutes: 480,
            ..Claims::default()
        },
        personal: Vec::new(),
        content: Bytes::new(),
        content_sha256: [0; 32],
    }
}

fn known() -> Known {
    let bounds = BoundingBox {
        south_e7: -190_000_000,
        west_e7: 320_000_000,
        north_e7: -189_000_000,
        east_e7: 321_000_000,
    };
    let site = KnownSite { id: SITE, code: "ZW-7".to_owned(), area_m2: 10_000, bounds: Some(bounds) };
    let task = KnownTask { state: TaskState::Active, sites: vec![site], has_cover: true, activity: None };
    Known {
        today: DAY,
        team: true,
        task: Some(task),
        stops: Vec::new(),
        assigned: true,
        accredited: true,
        members: None,
        spent: None,
        alike: None,
        repeats: None,
        under_this_number: None,
        base_missing: false,
        files: BTreeMap::new(),
    }
}

fn reasons(report: &FieldReport, known: &Known) -> Vec<HoldReason> {
    holds(report, known).into_iter().map(|hold| hold.reason).collect()
}

#[test]
fn a_days_good_work_is_not_held() {
    assert_eq!(holds(&report(), &known()), []);
}

#[test]
fn every_reason_is_found_at_once() {
    let mut report = report();
    report.work_date = date(2026, 5, 5);
    report.claims.areas[0].area_m2 = 20_000;
    report.position = Some(Position { latitude_e7: 0, longitude_e7: 0, accuracy_m: 5 });
    report.claims.sites.insert(SiteId::new(Uuid::from_u128(8)));
    let mut known = known();
    (known.team, known.assigned, known.accredited, known.base_missing) = (false, false, false, true);
    known.alike = Some(ReportId::new(Uuid::from_u128(9)));
    known.under_this_number = known.alike;
    let task = known.task.as_mut().unwrap();
    (task.state, task.has_cover) = (TaskState::Issued, false);
    known.stops = vec![(SafetyStopId::new(Uuid::from_u128(6)), Days::new(DAY, None).unwrap())];
    let all: Vec<HoldReason> = HoldReason::ALL.to_vec();
    let not_here = [HoldReason::UnknownTask, HoldReason::ImplausibleDate, HoldReason::MediaType];
    let expected: Vec<HoldReason> = all.into_iter().filter(|reason| !not_here.contains(reason)).collect();
    assert_eq!(reasons(&report, &known), expected);
    known.task = None;
    assert!(reasons(&report, &known).contains(&HoldReason::UnknownTask));
}

#[test]
fn a_reset_clock_is_held_and_not_lost() {
    let report = FieldReport { work_date: date(1970, 1, 1), ..report() };
    assert_eq!(reasons(&report, &known()), [HoldReason::ImplausibleDate]);
}

#[test]
fn a_stop_holds_the_work_of_its_days_only() {
    let mut known = known();
    let stop = SafetyStopId::new(Uuid::from_u128(6));
    let days = |first, last| Days::new(first, Some(last)).unwrap();
    known.stops = vec![(stop, days(date(2026, 5, 1), date(2026, 5, 3)))];
    assert_eq!(reasons(&report(), &known), []);
    known.stops[0].1 = days(DAY, DAY);
    assert_eq!(reasons(&report(), &known), [HoldReason::AfterSafetyStop]);
}

#[test]
fn a_stop_holds_every_kind_of_work_with_or_without_a_task_and_nothing_else() {
    let stops = vec![(SafetyStopId::new(Uuid::from_u128(6)), Days::new(DAY, None).unwrap())];
    let under_stop = Known { stops, ..known() };
    let nowhere = Known { task: None, ..under_stop.clone() };
    for kind in ReportKind::ALL {
        let with_task = FieldReport { kind: *kind, claims: Claims::default(), ..report() };
        let without = FieldReport { task: None, ..with_task.clone() };
        let work = !matches!(
            kind,
            ReportKind::Accident
                | ReportKind::RiskEducation
                | ReportKind::Inspection
                | ReportKind::ExpenseClaim
        );
        let expected = if work { vec![HoldReason::AfterSafetyStop] } else { Vec::new() };
        assert_eq!(reasons(&with_task, &under_stop), expected, "{kind}");
        assert_eq!(reasons(&without, &nowhere), expected, "{kind} without a task");
    }
}

#[test]
fn land_is_held_against_hours_machines_and_terrain() {
    let mut report = report();
    report.claims.areas[0].area_m2 = 201;
    let told = holds(&report, &known());
    assert_eq!(told.len(), 1);
    assert!(
        told[0].text.starts_with("201 m2 are more than 200 m2, the most for 480 minutes"),
        "{}",
        told[0].text
    );
    report.claims.machine_minutes = 60;
    assert_eq!(reasons(&report, &known()), []);
    report.claims.areas[0].area_m2 = 2_000;
    report.claims.terrain = Some(Terrain::Hard);
    assert_eq!(reasons(&report, &known()), [HoldReason::ImplausibleArea]);
    report.claims.areas[0].release = ReleaseType::Cancelled;
    assert_eq!(reasons(&report, &known()), []);
}

#[test]
fn hours_that_nobody_can_work_are_held_with_the_figures() {
    let mut report = report();
    report.claims.search_minutes = 720;
    assert_eq!(reasons(&report, &known()), []);
    // More land would be plausible by as many minutes.
    report.claims.search_minutes = 721;
    let told = holds(&report, &known());
    assert_eq!(told.len(), 1);
    assert!(
        told[0].text.starts_with("721 minutes are more than 1 people can search in a day, 720"),
        "{told:?}"
    );
    report.claims.searchers = 2;
    assert_eq!(reasons(&report, &known()), []);
}

#[test]
fn more_people_than_the_team_has_are_held_with_the_figures_and_so_is_the_land() {
    let mut report = report();
    (report.claims.searchers, report.claims.search_minutes) = (9, 9 * 480);
    let crew = |members| Known { members, ..known() };
    assert_eq!(reasons(&report, &crew(None)), []);
    assert_eq!(reasons(&report, &crew(Some(9))), []);
    let told = holds(&report, &crew(Some(8)));
    assert!(told[0].text.starts_with("9 people who search are more than the 8 members"), "{told:?}");
    report.claims.areas[0].area_m2 = 1_801;
    assert_eq!(reasons(&report, &crew(Some(8))), [HoldReason::ImplausibleArea; 2]);
    report.kind = ReportKind::Completion;
    assert_eq!(reasons(&report, &crew(Some(8))), [], "others tell no hours of a day");
}

#[test]
fn land_of_a_completion_is_held_against_the_days_that_were_spent() {
    let mut report = FieldReport { kind: ReportKind::Completion, ..report() };
    report.claims.activity = None;
    report.claims.areas[0].area_m2 = 2_001;
    let spent = |people, machines, activity| {
        let mut known = Known { spent: Some(DaysSpent { people, machines }), ..known() };
        known.task.as_mut().unwrap().activity = Some(activity);
        known
    };
    assert_eq!(reasons(&report, &known()), [], "nobody knows who was there");
    let manual = ActivityType::ManualClearance;
    let told = holds(&report, &spent(10, 0, manual));
    assert!(
        told[0]
            .text
            .starts_with("2001 m2 are more than 2000 m2, the most for the 10 days of people and 0 of"),
        "{told:?}"
    );
    assert_eq!(reasons(&report, &spent(11, 0, manual)), []);
    assert_eq!(reasons(&report, &spent(0, 1, manual)), [], "a machine was there");
    assert_eq!(reasons(&report, &spent(10, 0, ActivityType::Bac)), []);
    assert_eq!(reasons(&report, &spent(1, 0, ActivityType::Mechanical)), [], "nobody noted the machine");
    report.claims.terrain = Some(Terrain::Hard);
    assert_eq!(reasons(&report, &spent(11, 0, manual)), [HoldReason::ImplausibleArea]);
    report.claims.areas[0].release = ReleaseType::Cancelled;
    assert_eq!(reasons(&report, &spent(0, 0, manual)), []);
}

#[test]
fn an_accident_is_not_held_for_what_only_work_needs() {
    let accident = FieldReport { kind: ReportKind::Accident, claims: Claims::default(), ..report() };
    let mut known = known();
    (known.assigned, known.accredited) = (false, false);
    assert_eq!(reasons(&accident, &known), []);
}
