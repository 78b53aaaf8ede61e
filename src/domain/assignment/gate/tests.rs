//! Every reason of the gate, alone and in any company.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;
use crate::domain::activity::ActivityType;
use crate::domain::assignment::facts::{
    Ambulance, AskedCover, Busy, Crew, CrewMember, Gear, GearItem, Operator, OtherWork, Paramedic, Stop,
    Work, WorkSite,
};
use crate::domain::days::DaySet;
use crate::domain::ids::{
    AssetId, OrganizationId, PersonId, ProgramId, SafetyStopId, SiteId, TaskId, TeamId,
};
use crate::domain::site::SiteStatus;
use crate::domain::task::TaskState;
use crate::domain::team::{AssetKind, AssetState, MemberRole, Team, TeamState, TeamType};
use crate::domain::text::{Code, Note, Title};

/// All that the gate looks at, owned.
#[derive(Debug, Clone)]
struct Ready {
    work: Work,
    operator: Operator,
    crew: Crew,
    gear: Gear,
    asked: Asked,
    policy: Policy,
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn code(text: &str) -> Code {
    Code::parse(text).unwrap()
}

fn title(text: &str) -> Title {
    Title::parse(text).unwrap()
}

/// Days of February and March 2024, a leap year.
fn days(first: i8, last: Option<i8>) -> Days {
    let day = |number: i8| date(2024, 2, 1).saturating_add(jiff::Span::new().days(number - 1));
    Days::new(day(first), last.map(day)).unwrap()
}

fn always() -> DaySet {
    DaySet::of([days(5, None)])
}

fn busy(number: u128, task: u128, first: i8, last: i8) -> Busy {
    Busy {
        assignment: AssignmentId::new(id(number)),
        task: TaskId::new(id(task)),
        days: days(first, Some(last)),
    }
}

fn asset(number: u128, kind: AssetKind, shared_tasks_max: i32) -> GearItem {
    GearItem {
        id: AssetId::new(id(number)),
        kind,
        code: code(&format!("A-{number}")),
        valid_until: Some(date(2024, 3, 31)),
        shared_tasks_max,
        state: AssetState::InUse,
        busy: None,
    }
}

fn member(number: u128, role: MemberRole) -> CrewMember {
    CrewMember {
        person: PersonId::new(id(number)),
        role,
        first_day: date(2024, 2, 10),
        last_day: date(2024, 3, 5),
        accredited: always(),
        last_worked: None,
        last_refresher: Some(date(2024, 2, 10)),
        busy: None,
        covers: None,
    }
}

/// When the team is to be sent: on its first day.
const TODAY: Date = date(2024, 2, 10);

/// A task that a team may be sent to from 10 February to 5 March 2024.
fn ready() -> Ready {
    let operator = OrganizationId::new(id(1));
    let team = Team {
        id: TeamId::new(id(2)),
        organization: operator,
        code: code("MT-1"),
        name: title("Manual team 1"),
        kind: TeamType::Manual,
        state: TeamState::Active,
        note: Note::default(),
        created_at: Timestamp::UNIX_EPOCH,
        revision: 1,
    };
    let driver = CrewMember { accredited: DaySet::default(), ..member(11, MemberRole::Driver) };
    let work = Work {
        task: TaskId::new(id(3)),
        program: ProgramId::new(id(4)),
        office: OrganizationId::new(id(5)),
        code: code("T-1"),
        state: TaskState::Issued,
        operator: Some(operator),
        authority: None,
        activity: Some(ActivityType::ManualClearance),
        team_type: Some(TeamType::Manual),
        days: Some(days(1, Some(60))),
        sites: vec![WorkSite { id: SiteId::new(id(6)), code: code("ZW-1"), status: SiteStatus::Open }],
        time_zone: "Africa/Harare".to_owned(),
        stops: Vec::new(),
    };
    let cover = AskedCover {
        paramedic: Some(PersonId::new(id(20))),
        ambulance: Some(AssetId::new(id(30))),
        hospital: Some(title("Mutare")),
        evacuation_minutes: Some(120),
        drill_on: Some(date(2024, 2, 10)),
    };
    let ambulance = Ambulance {
        asset: asset(30, AssetKind::Ambulance, 2),
        // Another task until 15 February, and this one once more.
        covers: vec![busy(90, 93, 1, 15), busy(91, 3, 1, 40)],
    };
    let paramedic =
        Paramedic { id: PersonId::new(id(20)), fit: always(), other_work: Vec::new(), elsewhere: Vec::new() };
    Ready {
        work,
        operator: Operator { id: operator, accredited: always(), licensed: None },
        crew: Crew {
            team,
            accredited: always(),
            busy: Vec::new(),
            members: vec![member(10, MemberRole::TeamLeader), driver],
        },
        gear: Gear {
            assets: vec![asset(31, AssetKind::Detector, 0)],
            ambulance: Some(ambulance),
            paramedic: Some(paramedic),
        },
        asked: Asked { first_day: date(2024, 2, 10), last_day: date(2024, 3, 5), cover },
        policy: Policy::default(),
    }
}

impl Ready {
    fn findings(&self) -> Vec<Finding> {
        let Self { work, operator, crew, gear, asked, policy } = self;
        findings(Facts { work, operator, crew, gear: Some(gear) }, asked, TODAY, *policy).unwrap()
    }

    fn ambulance(&mut self) -> &mut Ambulance {
        self.gear.ambulance.as_mut().unwrap()
    }

    fn paramedic(&mut self) -> &mut Paramedic {
        self.gear.paramedic.as_mut().unwrap()
    }
}

/// What can be wrong, the reason for which it is found, and the day of 2024.
type Fault = (FindingReason, Option<(i8, i8)>, fn(&mut Ready));

/// Faults of which none hides another.
const FAULTS: [Fault; 25] = [
    (FindingReason::TeamBusy, Some((2, 29)), |of| of.crew.busy.push(busy(50, 51, 29, 29))),
    (FindingReason::PersonBusy, Some((2, 20)), |of| of.crew.members[0].busy = Some(busy(52, 51, 20, 21))),
    (FindingReason::AssetBusy, Some((2, 10)), |of| of.gear.assets[0].busy = Some(busy(53, 51, 1, 10))),
    (FindingReason::TeamEmpty, Some((2, 29)), |of| {
        // Both leave the day before the leap day.
        of.crew.members.iter_mut().for_each(|member| member.last_day = date(2024, 2, 28));
    }),
    (FindingReason::TeamDisbanded, None, |of| of.crew.team.state = TeamState::Disbanded),
    (FindingReason::TaskState, None, |of| of.work.state = TaskState::Completed),
    (FindingReason::SiteState, None, |of| of.work.sites[0].status = SiteStatus::HandedOver),
    (FindingReason::SafetyStop, None, |of| {
        of.work.stops.push(Stop { id: SafetyStopId::new(id(60)), target: "SITE".to_owned() });
    }),
    (FindingReason::OutsideTaskDays, Some((2, 10)), |of| of.work.days = Some(days(11, None))),
    (FindingReason::WrongTeamType, None, |of| of.work.team_type = Some(TeamType::Mdd)),
    (FindingReason::NotLicensed, Some((3, 1)), |of| {
        of.operator.licensed = Some(DaySet::of([days(1, Some(29))]));
    }),
    (FindingReason::OrganizationNotAccredited, Some((2, 29)), |of| {
        of.operator.accredited = DaySet::of([days(1, Some(28)), days(30, None)]);
    }),
    (FindingReason::TeamNotAccredited, Some((2, 10)), |of| of.crew.accredited = DaySet::default()),
    (FindingReason::PersonNotAccredited, Some((2, 12)), |of| {
        of.crew.members[0].accredited = DaySet::of([days(1, Some(11)), days(13, None)]);
    }),
    (FindingReason::PersonStoodDown, Some((2, 10)), |of| {
        let mut another = member(12, MemberRole::Deminer);
        (another.accredited, another.last_refresher) =
            (DaySet::of([Days::new(date(2024, 1, 30), None).unwrap()]), None);
        of.crew.members.push(another);
    }),
    (FindingReason::AssetInvalid, Some((3, 1)), |of| of.gear.assets[0].valid_until = Some(date(2024, 2, 29))),
    (FindingReason::AssetWithdrawn, None, |of| of.gear.assets[0].state = AssetState::Withdrawn),
    (FindingReason::NoMedicalCover, None, |of| of.asked.cover.hospital = None),
    (FindingReason::ParamedicUnfit, Some((2, 10)), |of| of.paramedic().fit = DaySet::of([days(11, None)])),
    (FindingReason::ParamedicBusy, Some((2, 18)), |of| {
        let assignment = Some(AssignmentId::new(id(54)));
        of.paramedic().other_work.push(OtherWork {
            role: MemberRole::Driver,
            first_day: date(2024, 2, 18),
            assignment,
        });
    }),
    (FindingReason::ParamedicBusy, Some((2, 25)), |of| {
        of.crew.members[1].covers = Some(busy(55, 51, 25, 40));
    }),
    (FindingReason::AmbulanceFull, Some((2, 13)), |of| of.ambulance().covers.push(busy(56, 57, 13, 14))),
    (FindingReason::EvacuationTooLong, None, |of| of.asked.cover.evacuation_minutes = Some(121)),
    (FindingReason::DrillMissing, Some((2, 10)), |of| of.asked.cover.drill_on = Some(date(2024, 2, 11))),
    (FindingReason::ParamedicBusy, Some((2, 22)), |of| of.paramedic().elsewhere.push(busy(58, 59, 22, 23))),
];

fn told(findings: &[Finding]) -> Vec<(FindingReason, Option<(i8, i8)>)> {
    findings.iter().map(|of| (of.reason, of.first_day.map(|day| (day.month(), day.day())))).collect()
}

#[test]
fn nothing_stands_in_the_way_of_what_is_ready() {
    assert_eq!(ready().findings(), []);
}

#[test]
fn each_fault_alone_is_found_on_its_day() {
    for (reason, day, fault) in FAULTS {
        let mut facts = ready();
        fault(&mut facts);
        assert_eq!(told(&facts.findings()), [(reason, day)]);
    }
}

#[test]
fn every_reason_is_found_by_some_fault() {
    let found: Vec<FindingReason> = FAULTS.iter().map(|(reason, ..)| *reason).collect();
    // These two hide others, and have tests of their own.
    let apart = [FindingReason::OtherOperator, FindingReason::NotAnAmbulance];
    for reason in FindingReason::ALL {
        assert!(found.contains(reason) || apart.contains(reason), "{reason}");
    }
}

#[test]
fn another_operator_hears_only_that_the_task_is_not_its_own() {
    let mut facts = ready();
    facts.work.operator = None;
    facts.work.state = TaskState::Closed;
    facts.work.sites[0].status = SiteStatus::Closed;
    facts.crew.team.state = TeamState::Disbanded;
    facts.asked.cover = AskedCover::default();
    assert_eq!(told(&facts.findings()), [(FindingReason::OtherOperator, None)]);
}

#[test]
fn what_is_no_ambulance_in_use_gives_no_cover() {
    let mut facts = ready();
    facts.ambulance().asset = asset(30, AssetKind::Vehicle, 0);
    assert_eq!(told(&facts.findings()), [(FindingReason::NotAnAmbulance, None)]);
    let mut facts = ready();
    facts.ambulance().asset.state = AssetState::Withdrawn;
    assert_eq!(told(&facts.findings()), [(FindingReason::NotAnAmbulance, None)]);
}

#[test]
fn a_drill_after_today_was_not_held() {
    let facts = ready();
    let Ready { work, operator, crew, gear, asked, policy } = &facts;
    let yesterday = TODAY.yesterday().unwrap();
    let found =
        findings(Facts { work, operator, crew, gear: Some(gear) }, asked, yesterday, *policy).unwrap();
    assert_eq!(told(&found), [(FindingReason::DrillMissing, Some((2, 10)))]);
}

#[test]
fn an_ambulance_must_be_valid_too() {
    let mut facts = ready();
    facts.ambulance().asset.valid_until = Some(date(2024, 1, 1));
    assert_eq!(told(&facts.findings()), [(FindingReason::AssetInvalid, Some((2, 10)))]);
}

#[test]
fn a_multi_task_team_and_a_task_for_anyone_fit() {
    let mut facts = ready();
    facts.crew.team.kind = TeamType::MultiTask;
    assert_eq!(facts.findings(), []);
    facts.crew.team.kind = TeamType::Eod;
    facts.work.team_type = None;
    assert_eq!(facts.findings(), []);
}

#[test]
fn states_from_the_order_to_the_end_of_work_take_teams_and_no_others() {
    for state in TaskState::ALL.iter().copied() {
        let mut facts = ready();
        facts.work.state = state;
        let takes = ["ISSUED", "ACCEPTED", "MOBILISED", "ACTIVE", "SUSPENDED"].contains(&state.word());
        assert_eq!(facts.findings().is_empty(), takes, "{state}");
    }
}

#[test]
fn only_who_searches_or_clears_must_be_accredited() {
    for role in MemberRole::ALL.iter().copied() {
        let mut facts = ready();
        facts.crew.members.push(CrewMember { accredited: DaySet::default(), ..member(12, role) });
        let free = ["DRIVER", "COMMUNITY_LIAISON", "PARAMEDIC", "OTHER"].contains(&role.word());
        assert_eq!(facts.findings().is_empty(), free, "{role}");
    }
}

#[test]
fn who_comes_back_within_the_assignment_has_worked_until_the_break() {
    let mut facts = ready();
    let first = CrewMember { last_day: date(2024, 2, 12), ..member(12, MemberRole::Deminer) };
    let back = |day| CrewMember { first_day: day, last_refresher: None, ..member(12, MemberRole::Deminer) };
    facts.crew.members.extend([first.clone(), back(date(2024, 2, 22))]);
    assert_eq!(facts.findings(), []);
    facts.crew.members.truncate(2);
    facts.crew.members.extend([first, back(date(2024, 2, 23))]);
    assert_eq!(told(&facts.findings()), [(FindingReason::PersonStoodDown, Some((2, 23)))]);
}

#[test]
fn equipment_and_cover_are_asked_only_with_the_gear() {
    let mut facts = ready();
    facts.asked.cover = AskedCover::default();
    let Ready { work, operator, crew, asked, policy, .. } = &facts;
    assert_eq!(findings(Facts { work, operator, crew, gear: None }, asked, TODAY, *policy), Ok(Vec::new()));
}

#[test]
fn empty_days_are_refused() {
    let mut facts = ready();
    facts.asked.last_day = date(2024, 2, 9);
    let Ready { work, operator, crew, gear, asked, policy } = &facts;
    let refused = findings(Facts { work, operator, crew, gear: Some(gear) }, asked, TODAY, *policy);
    assert!(refused.unwrap_err().contains("2024-02-09"));
}

proptest! {
    /// In any company each fault is found, and it is gone when it is mended while the others stay.
    #[test]
    fn faults_neither_hide_nor_outlive_each_other(
        chosen in proptest::sample::subsequence((0..FAULTS.len()).collect::<Vec<_>>(), 1..FAULTS.len()),
        mended in any::<proptest::sample::Index>(),
    ) {
        let with = |faults: &[usize]| {
            let mut facts = ready();
            // The empty team changes everyone in it, so it comes first.
            faults.iter().filter(|index| **index == 3).for_each(|index| FAULTS[*index].2(&mut facts));
            faults.iter().filter(|index| **index != 3).for_each(|index| FAULTS[*index].2(&mut facts));
            facts.findings()
        };
        let expected = |faults: &[usize]| {
            let mut reasons: Vec<FindingReason> = faults.iter().map(|index| FAULTS[*index].0).collect();
            // Whoever is added to an empty team is in it.
            if faults.contains(&14) {
                reasons.retain(|reason| *reason != FindingReason::TeamEmpty);
            }
            reasons.sort_unstable();
            reasons
        };
        let reasons = |found: &[Finding]| found.iter().map(|of| of.reason).collect::<Vec<_>>();
        let found = with(&chosen);
        prop_assert_eq!(reasons(&found), expected(&chosen));
        prop_assert_eq!(overridable(&found), chosen.iter().all(|index| FAULTS[*index].0.overridable())
            || found.iter().all(|of| of.reason.overridable()));
        let mut left = chosen.clone();
        left.remove(mended.index(chosen.len()));
        prop_assert_eq!(reasons(&with(&left)), expected(&left));
    }
}
