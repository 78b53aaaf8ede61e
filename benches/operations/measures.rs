//! What is measured, each over real gRPC, with every answer checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use safelane::clock::{Clock as _, SystemClock};
use safelane::rpc::pb;
use safelane::rpc::pb::site_service_client::SiteServiceClient;
use safelane::rpc::pb::team_service_client::TeamServiceClient;
use tonic::transport::Channel;

use crate::ids::{Of, id};
use crate::load::{Outcome, measure};
use crate::options::Sizes;
use crate::{Failure, progress};

/// Sites in the box that is asked for: columns and rows of the grid.
const BOX: (i64, i64) = (20, 10);
/// A prime, so that neighbours in time are not neighbours in the tables.
const STRIDE: i64 = 7_919;
/// Callers of each measure: one alone, a few, and so many that both processors are always busy: then each waits for the
/// others.
const CALLERS: [usize; 3] = [1, 4, 16];
/// Teams on a page of candidates.
const CANDIDATES: usize = 50;

/// One measure and the limit of its p99 in milliseconds, where there is one.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) target_ms: Option<u64>,
    pub(crate) outcomes: Vec<Outcome>,
}

pub(crate) async fn all(address: &str, sizes: Sizes) -> Result<Vec<Measured>, Failure> {
    let mut measured = Vec::new();
    let mut add = |name, target_ms, outcomes: Vec<Outcome>| {
        for outcome in &outcomes {
            progress(&format!("{name}: {outcome:?}"));
        }
        measured.push(Measured { name, target_ms, outcomes });
    };
    let mut outcomes = Vec::new();
    for callers in CALLERS {
        outcomes.push(
            measure(address, sizes, callers, move |channel, number| check(channel, sizes, number)).await?,
        );
    }
    add("CheckAssignment", Some(15), outcomes);
    let mut outcomes = Vec::new();
    // Goes on counting from one load to the next: whoever was sent is not sent again.
    let next = Arc::new(AtomicI64::new(0));
    for callers in CALLERS {
        let next = Arc::clone(&next);
        let call = move |channel, _| assign(channel, sizes, next.fetch_add(1, Ordering::Relaxed));
        outcomes.push(measure(address, sizes, callers, call).await?);
    }
    add("AssignTeam", None, outcomes);
    let mut outcomes = Vec::new();
    for callers in CALLERS {
        outcomes.push(
            measure(address, sizes, callers, move |channel, number| find(channel, sizes, number)).await?,
        );
    }
    add("FindAvailableTeams, a page of 50", None, outcomes);
    let mut outcomes = Vec::new();
    for callers in CALLERS {
        outcomes.push(
            measure(address, sizes, callers, move |channel, number| sites(channel, sizes, number)).await?,
        );
    }
    add("ListSites, a box of 200", Some(30), outcomes);
    Ok(measured)
}

/// Today at the sites.
fn today() -> Result<Date, Failure> {
    Ok(SystemClock.now().to_zoned(TimeZone::get("Africa/Harare")?).date())
}

fn wire(day: Date) -> pb::Date {
    pb::Date { year: day.year().into(), month: day.month().into(), day: day.day().into() }
}

/// A team to its task, with two detectors and full medical cover.
fn proposal(team: i64, first: Date, last: Date) -> pb::Assignment {
    pb::Assignment {
        team_id: id(Of::Team, team),
        task_id: id(Of::Task, team),
        first_day: Some(wire(first)),
        last_day: Some(wire(last)),
        asset_ids: vec![id(Of::Detector, team * 5), id(Of::Detector, team * 5 + 1)],
        medical_cover: Some(pb::MedicalCover {
            paramedic_id: id(Of::Person, team * 10 + 9),
            ambulance_id: id(Of::Ambulance, team),
            hospital: "Mutare Provincial Hospital".to_owned(),
            evacuation_minutes: 55,
            drill_on: Some(wire(first)),
        }),
        ..Default::default()
    }
}

async fn check(channel: Channel, sizes: Sizes, number: i64) -> Result<(), Failure> {
    let (team, today) = (number * STRIDE % sizes.teams(), today()?);
    let assignment = Some(proposal(team, today, today.saturating_add(10.days())));
    let request = pb::CheckAssignmentRequest { assignment, min_revision: 0 };
    let checked = TeamServiceClient::new(channel).check_assignment(request).await?.into_inner();
    match checked.findings.first() {
        None => Ok(()),
        Some(finding) => Err(format!("team {team}: {}", finding.text).into()),
    }
}

/// Three days for each team in turn, then the three after them, until the teams have something else to do.
async fn assign(channel: Channel, sizes: Sizes, number: i64) -> Result<(), Failure> {
    let (team, round) = (number * STRIDE % sizes.teams(), number / sizes.teams());
    let first = today()?.saturating_add((round * 3).days());
    let mut assignment = proposal(team, first, first.saturating_add(2.days()));
    assignment.assignment_id = id(Of::Later, number + 1);
    let request = pb::AssignTeamRequest { assignment: Some(assignment), override_reason: String::new() };
    let sent = TeamServiceClient::new(channel).assign_team(request).await?.into_inner();
    match sent.assignment {
        Some(assignment) if assignment.people.len() == 10 => Ok(()),
        other => Err(format!("team {team} was sent as {other:?}").into()),
    }
}

async fn find(channel: Channel, sizes: Sizes, number: i64) -> Result<(), Failure> {
    let (task, today) = (number * STRIDE % sizes.teams(), today()?);
    let request = pb::FindAvailableTeamsRequest {
        page_size: 50,
        task_id: id(Of::Task, task),
        first_day: Some(wire(today.saturating_add(30.days()))),
        last_day: Some(wire(today.saturating_add(40.days()))),
        ..Default::default()
    };
    let found = TeamServiceClient::new(channel).find_available_teams(request).await?.into_inner();
    let expected = CANDIDATES.min(usize::try_from(sizes.teams)?);
    if found.candidates.len() == expected {
        return Ok(());
    }
    Err(format!("{} candidates on a page", found.candidates.len()).into())
}

#[expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "the contract has degrees as doubles"
)]
async fn sites(channel: Channel, sizes: Sizes, number: i64) -> Result<(), Failure> {
    let (columns, rows) = sizes.grid;
    let column = number * STRIDE % (columns - BOX.0);
    let row = number * STRIDE / columns % (rows - BOX.1);
    // Half a step beside the sites, so that no rounding decides whether one is inside.
    let degrees = |origin: f64, steps: i64| origin + (steps as f64 - 0.5) * 0.02;
    let bounding_box = pb::BoundingBox {
        south: degrees(-22.0, row),
        west: degrees(25.0, column),
        north: degrees(-22.0, row + BOX.1),
        east: degrees(25.0, column + BOX.0),
    };
    let request =
        pb::ListSitesRequest { page_size: 1_000, bounding_box: Some(bounding_box), ..Default::default() };
    let found = SiteServiceClient::new(channel).list_sites(request).await?.into_inner().sites.len();
    if i64::try_from(found)? == BOX.0 * BOX.1 {
        return Ok(());
    }
    Err(format!("{found} sites in a box").into())
}
