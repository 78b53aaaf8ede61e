//! What a change of a team, its people or its equipment must not break in assignments that stand.

use jiff::Timestamp;
use uuid::Uuid;

use crate::app::assignment::facts::{load_crews, named_work};
use crate::app::team::known_team;
use crate::domain::assignment::facts::{Asked, AskedCover, Facts, Operator};
use crate::domain::assignment::gate::findings;
use crate::domain::assignment::joining::{Held, Moved};
use crate::domain::assignment::{Finding, FindingReason};
use crate::domain::days::Days;
use crate::domain::kind::Kind;
use crate::domain::policy::Policy;
use crate::domain::refusal::Refusal;
use crate::domain::team::Member;
use crate::error::Error;
use crate::store::Connection;
use crate::store::assignment::facts::{Window, find_paramedic};
use crate::store::assignment::held::list_of_paramedic;

/// What stands in the way of a person who joins.
const OF_PERSON: [FindingReason; 3] =
    [FindingReason::PersonNotAccredited, FindingReason::PersonStoodDown, FindingReason::ParamedicBusy];

/// Refuses a membership, which is written already, that puts a person on a standing assignment who may not work there,
/// or leaves one without anybody or without its paramedic. Nobody may override that here: that is for a new
/// assignment. Only days from today on count.
pub(crate) async fn expect_fit(
    conn: &mut Connection,
    now: Timestamp,
    policy: Policy,
    (member, moved, of_team): (&Member, Moved, &[Held]),
) -> Result<(), Error> {
    for held in of_team {
        let Some(ahead) = held.ahead(now) else { continue };
        if let Some(days) = moved.joins.and_then(|joins| joins.intersect(ahead)) {
            let mut found = crew_findings(conn, held, days, policy).await?;
            found.retain(|of| of.subject == member.person.uuid() && OF_PERSON.contains(&of.reason));
            expect_none(held, found)?;
        }
        if let Some(days) = moved.leaves.and_then(|leaves| leaves.intersect(ahead)) {
            let mut found = crew_findings(conn, held, days, policy).await?;
            found.retain(|of| of.reason == FindingReason::TeamEmpty);
            expect_none(held, found)?;
        }
    }
    let Some(uncovers) = moved.uncovers else { return Ok(()) };
    for held in list_of_paramedic(&mut *conn, member.person).await? {
        let days = held.ahead(now).and_then(|ahead| ahead.intersect(uncovers));
        if let Some(days) = days {
            expect_none(&held, uncovered(conn, &held, member, days).await?)?;
        }
    }
    Ok(())
}

/// What the gate finds about the team of an assignment on some of its days.
async fn crew_findings(
    conn: &mut Connection,
    held: &Held,
    days: Days,
    policy: Policy,
) -> Result<Vec<Finding>, Error> {
    let (first_day, last_day) = (days.first(), days.last().unwrap_or(days.first()));
    let (work, _) = named_work(conn, held.task, held.operator).await?;
    let team = known_team(conn, held.team).await?;
    let window = own(held, days);
    let (accredited, crews) = load_crews(conn, held.operator, vec![team], &work, window).await?;
    let crew = crews.first().ok_or_else(|| Error::bug("a team without its crew"))?;
    let operator = Operator { id: held.operator, accredited, licensed: None };
    let facts = Facts { work: &work, operator: &operator, crew, gear: None };
    let asked = Asked { first_day, last_day, cover: AskedCover::default() };
    // Today matters to the drill only, which is not looked at here.
    findings(facts, &asked, first_day, policy).map_err(Error::bug)
}

/// Days of an assignment, whose own bookings are not in its way.
fn own(held: &Held, days: Days) -> Window {
    let last = days.last().unwrap_or(days.first());
    Window { first: days.first(), last, task: held.task, except: Some(held.id) }
}

/// What is found when the paramedic of an assignment is none on some of its days.
async fn uncovered(
    conn: &mut Connection,
    held: &Held,
    member: &Member,
    days: Days,
) -> Result<Vec<Finding>, Error> {
    let whose = (held.operator, held.team, member.person);
    let found = find_paramedic(conn, whose, own(held, days)).await?;
    let Some(day) = found.and_then(|paramedic| paramedic.fit.first_missing(days)) else {
        return Ok(Vec::new());
    };
    let text = format!(
        "person {} gives medical cover to assignment {} and would be no PARAMEDIC of the operator on {day}; end that with \
         EndAssignment first",
        member.person, held.id
    );
    let (reason, subject) = (FindingReason::ParamedicUnfit, member.person.uuid());
    Ok(vec![Finding { reason, text, subject, first_day: Some(day), blocking: None }])
}

fn expect_none(held: &Held, mut findings: Vec<Finding>) -> Result<(), Error> {
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &mut findings {
        finding.blocking.get_or_insert(held.id);
    }
    Err(Refusal::AssignmentRefused { team: held.team, task: held.task, findings }.into())
}

/// Refuses what would take away something that assignments need from today on.
pub(crate) fn expect_unused(
    held: &[Held],
    now: Timestamp,
    (kind, id): (Kind, Uuid),
    action: &'static str,
) -> Result<(), Error> {
    let needs = held.iter().filter_map(|of| of.ahead(now).map(|ahead| (of, ahead)));
    let missing: Vec<String> = needs
        .map(|(of, ahead)| {
            let last = ahead.last().unwrap_or(ahead.first());
            format!("assignment {} needs it until {last}; end that with EndAssignment", of.id)
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::NotReady { kind, id, action, missing }.into())
}
