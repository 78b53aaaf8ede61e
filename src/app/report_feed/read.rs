//! What a stream of reports reads: pages, each on one snapshot of the database.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::domain::field_report::StoredReport;
use crate::domain::ids::{OrganizationId, ReportId};
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::store::Connection;
use crate::store::field_report::changed::{Changed, Followed, Position, list_changed};
use crate::store::field_report::listing::find_newest;
use crate::store::journal::find_heads;

use super::place::Place;

/// Reports that are looked at together.
const REPORTS_MAX: usize = 200;
/// A page ends when the reports on it have this many bytes: one may have half a mebibyte.
const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// A report that changed, and the place after it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) at: Position,
    pub(super) report: ReportId,
    /// None for one that does not match.
    pub(super) shown: Option<Box<StoredReport>>,
}

/// One page.
#[derive(Debug)]
pub(super) struct Part {
    /// The head of the operator's journal when it was read.
    pub(super) head: i64,
    /// What to send.
    pub(super) told: Vec<Told>,
    /// Whether there is nothing after it, up to the end of the snapshot or the head.
    pub(super) last: bool,
}

/// The head of an operator's journal.
pub(super) async fn read_head(conn: &mut Connection, operator: OrganizationId) -> Result<i64, Error> {
    let heads = find_heads(conn, &[operator.uuid()]).await?;
    let head = heads.first().ok_or_else(|| Error::not_found(Kind::Organization, operator))?;
    Ok(head.revision)
}

/// What comes after a place.
pub(super) async fn read_part(
    conn: &mut Connection,
    followed: Followed,
    place: Place,
) -> Result<Part, Error> {
    let head = read_head(&mut *conn, followed.operator).await?;
    let limit = i64::try_from(REPORTS_MAX).unwrap_or(i64::MAX);
    let mut changed = list_changed(&mut *conn, followed, place.after, place.snapshot, limit).await?;
    let fitting = fitting(&changed);
    let last = changed.len() < REPORTS_MAX && fitting == changed.len();
    changed.truncate(fitting);
    let ids: Vec<Uuid> = changed.iter().filter(|of| of.matching).map(|of| of.report().uuid()).collect();
    let found = if ids.is_empty() { Vec::new() } else { find_newest(conn, followed.operator, &ids).await? };
    let mut found: BTreeMap<ReportId, StoredReport> = found.into_iter().map(|of| (of.id, of)).collect();
    let told = changed.into_iter().map(|of| {
        let shown = found.remove(&of.report()).map(Box::new);
        if of.matching && shown.is_none() {
            return Err(Error::bug(format!("report {} has no newest version", of.report())));
        }
        Ok(Told { at: of.position(), report: of.report(), shown })
    });
    Ok(Part { head, told: told.collect::<Result<_, _>>()?, last })
}

/// How many of them fit a page: at least one.
fn fitting(changed: &[Changed]) -> usize {
    let mut bytes = 0;
    let large = changed.iter().position(|of| {
        let size = if of.matching { usize::try_from(of.size).unwrap_or(0) } else { 0 };
        bytes += size;
        PAGE_BYTES < bytes
    });
    large.map_or(changed.len(), |at| at.max(1))
}
