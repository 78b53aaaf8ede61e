//! Reading what to send, each time in one snapshot: safety stops first, so that nothing that a stop brought about is
//! sent before the stop itself.

use std::collections::BTreeMap;

use crate::domain::ids::{OrganizationId, SafetyStopId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::safety_stop::SafetyStop;
use crate::domain::team_feed::{Item, Plan, Sees, Step, View, changes};
use crate::error::Error;
use crate::store::Connection;
use crate::store::assignment::find_assignments;
use crate::store::field_report::listing::find_newest;
use crate::store::field_report::review::{list_mended, list_returned};
use crate::store::journal::find_heads;
use crate::store::safety_stop::find_safety_stops;
use crate::store::site::find_sites;
use crate::store::task::find_tasks;
use crate::store::team_feed::{
    Position, StoppedBy, list_left, list_standing, list_stops, list_touched, list_touched_stops,
};

use super::Record;

/// Subjects of the journal that are looked at together.
const SUBJECTS_MAX: usize = 1_000;
/// Records that are read together. A site with its boundary may have some hundred kilobytes.
pub(super) const RECORDS_MAX: usize = 200;

/// Whose feed it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) team: TeamId,
    pub(super) operator: OrganizationId,
}

/// What is told in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// A record as it is.
    Shown(Record),
    /// A record that left the view.
    Removed(Item),
}

/// What one snapshot of the database holds for a team.
#[derive(Debug)]
pub(super) struct Part {
    /// The head of the operator's journal.
    pub(super) head: i64,
    /// Safety stops to send first.
    pub(super) stops: Vec<SafetyStop>,
    /// What to send then.
    pub(super) told: Vec<Told>,
    /// What is to be read and sent after that.
    pub(super) rest: Vec<Step>,
    /// How far the journal's subjects were looked at: where the next part begins.
    pub(super) reached: Position,
}

/// How far a follower is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// Subjects up to here were looked at.
    pub(super) subjects: Position,
    /// Safety stops up to this revision were sent.
    pub(super) stops: i64,
}

/// The head of the operator's journal.
pub(super) async fn read_head(conn: &mut Connection, whose: Whose) -> Result<i64, Error> {
    let heads = find_heads(conn, &[whose.operator.uuid()]).await?;
    let head = heads.first().ok_or_else(|| Error::not_found(Kind::Organization, whose.operator))?;
    Ok(head.revision)
}

/// Everything that the team sees.
pub(super) async fn read_snapshot(conn: &mut Connection, whose: Whose) -> Result<Part, Error> {
    let head = read_head(&mut *conn, whose).await?;
    let view = read_sees(&mut *conn, whose).await?.view();
    let on = StoppedBy { operator: Some(whose.operator), view: &view };
    let stops = list_stops(&mut *conn, on).await?;
    let stops = find_safety_stops(&mut *conn, &stops).await?;
    let (told, rest) = load(conn, whose, &view, view.steps()).await?;
    Ok(Part { head, stops, told, rest, reached: Position::after(head) })
}

/// What the team must be told of the next subjects of the journal.
pub(super) async fn read_changes(conn: &mut Connection, whose: Whose, known: Known) -> Result<Part, Error> {
    let head = read_head(&mut *conn, whose).await?;
    let limit = i64::try_from(SUBJECTS_MAX).unwrap_or(i64::MAX);
    let touched = list_touched(&mut *conn, whose.operator.scope(), known.subjects, limit).await?;
    let last = touched.last().filter(|_| SUBJECTS_MAX <= touched.len());
    let reached = last.map_or(Position::after(head), |last| last.position);
    let sees = read_sees(&mut *conn, whose).await?;
    let items: Vec<Item> = touched.iter().map(|touched| touched.item).collect();
    let left = read_left(&mut *conn, whose, &items).await?;
    let (view, Plan { steps, entered }) = (sees.view(), changes(&sees, &items, &left));
    let mut stops = touched_stops(&mut *conn, whose, &view, known.stops).await?;
    if entered != View::default() {
        stops.extend(list_stops(&mut *conn, StoppedBy { operator: None, view: &entered }).await?);
    }
    let stops = find_safety_stops(&mut *conn, &stops).await?;
    let (told, rest) = load(conn, whose, &view, steps).await?;
    Ok(Part { head, stops, told, rest, reached })
}

/// The next records of a batch that was too large for one snapshot. What left the view meanwhile is left out: the
/// journal will say so.
pub(super) async fn read_rest(
    conn: &mut Connection,
    whose: Whose,
    known: Known,
    pending: Vec<Step>,
) -> Result<Part, Error> {
    let head = read_head(&mut *conn, whose).await?;
    let view = read_sees(&mut *conn, whose).await?.view();
    let stops = touched_stops(&mut *conn, whose, &view, known.stops).await?;
    let stops = find_safety_stops(&mut *conn, &stops).await?;
    let (told, rest) = load(conn, whose, &view, pending).await?;
    Ok(Part { head, stops, told, rest, reached: known.subjects })
}

/// What the team sees, and why.
async fn read_sees(conn: &mut Connection, whose: Whose) -> Result<Sees, Error> {
    Ok(Sees {
        standing: list_standing(&mut *conn, whose.team).await?,
        returned: list_returned(conn, whose.operator, whose.team).await?,
    })
}

/// What of some records the team saw once and may have left its view.
async fn read_left(conn: &mut Connection, whose: Whose, items: &[Item]) -> Result<Sees, Error> {
    let assignment = |item: &Item| if let Item::Assignment(id) = item { Some(*id) } else { None };
    let report = |item: &Item| if let Item::Returned(id) = item { Some(*id) } else { None };
    let assignments: Vec<_> = items.iter().filter_map(assignment).collect();
    let reports: Vec<_> = items.iter().filter_map(report).collect();
    let mut left = Sees::default();
    if !assignments.is_empty() {
        left.standing = list_left(&mut *conn, whose.team, &assignments).await?;
    }
    if !reports.is_empty() {
        left.returned = list_mended(conn, &reports).await?;
    }
    Ok(left)
}

async fn touched_stops(
    conn: &mut Connection,
    whose: Whose,
    view: &View,
    after: i64,
) -> Result<Vec<SafetyStopId>, Error> {
    let on = StoppedBy { operator: Some(whose.operator), view };
    list_touched_stops(conn, whose.operator.scope(), after, on).await
}

/// Reads the records of the first steps, as far as the team sees them; the other steps are for later.
async fn load(
    conn: &mut Connection,
    whose: Whose,
    view: &View,
    mut steps: Vec<Step>,
) -> Result<(Vec<Told>, Vec<Step>), Error> {
    let rest = steps.split_off(steps.len().min(RECORDS_MAX));
    let (mut assignments, mut tasks, mut sites, mut reports) = (vec![], vec![], vec![], vec![]);
    for step in &steps {
        match step {
            Step::Show(item) if !view.has(*item) => {}
            Step::Show(Item::Assignment(id)) => assignments.push(*id),
            Step::Show(Item::Task(id)) => tasks.push(*id),
            Step::Show(Item::Site(id)) => sites.push(*id),
            Step::Show(Item::Returned(id)) => reports.push(id.uuid()),
            Step::Remove(_) => {}
        }
    }
    let mut found = BTreeMap::new();
    if !assignments.is_empty() {
        let rows = find_assignments(&mut *conn, &assignments).await?;
        found.extend(
            rows.into_iter().map(|row| (Item::Assignment(row.id), Record::Assignment(Box::new(row)))),
        );
    }
    if !tasks.is_empty() {
        let rows = find_tasks(&mut *conn, &tasks).await?;
        found.extend(rows.into_iter().map(|row| (Item::Task(row.id), Record::Task(Box::new(row)))));
    }
    if !sites.is_empty() {
        let rows = find_sites(&mut *conn, &sites).await?;
        found.extend(rows.into_iter().map(|row| (Item::Site(row.id), Record::Site(Box::new(row)))));
    }
    if !reports.is_empty() {
        let rows = find_newest(&mut *conn, whose.operator, &reports).await?;
        found.extend(rows.into_iter().map(|row| (Item::Returned(row.id), Record::Returned(Box::new(row)))));
    }
    // In the order of the steps, whatever order they were found in.
    let told = steps.into_iter().filter_map(|step| match step {
        Step::Show(item) => found.remove(&item).map(Told::Shown),
        // What came back meanwhile is not removed: the journal will say that it came back.
        Step::Remove(item) => (!view.has(item)).then_some(Told::Removed(item)),
    });
    Ok((told.collect(), rest))
}
