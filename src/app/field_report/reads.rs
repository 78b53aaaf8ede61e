//! Reading reports, and what is there of a device's numbering.

use jiff::civil::Date;
use uuid::Uuid;

use crate::app::App;
use crate::app::page::{Page, PageRequest};
use crate::app::token::Filter;
use crate::domain::caller::{Caller, Role};
use crate::domain::field_report::sequence::{Received, SyncState};
use crate::domain::field_report::{HoldReason, ReportKind, ReportState, StoredReport};
use crate::domain::ids::{DeviceId, OrganizationId, ReportId, TaskId, TeamId};
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::store::field_report::known::{find_devices, find_operator_of_device};
use crate::store::field_report::listing::{Listed, ReportFilter, find_operator, find_report, list_reports};

impl App {
    /// What is there of a device's numbering: at the caller's operator, or where the device sent last for those who see
    /// all. A device that never sent anything has nothing.
    ///
    /// # Errors
    /// `Forbidden` for a caller without an organization.
    pub async fn get_sync_state(&self, caller: &Caller, device: DeviceId) -> Result<SyncState, Error> {
        let sees_all = matches!(caller.role(), Role::Admin | Role::Auditor);
        let operator = match caller.organization_id() {
            _ if sees_all => find_operator_of_device(self.store.pool(), device).await?,
            Some(own) => Some(OrganizationId::new(own)),
            None => return Err(Error::Forbidden),
        };
        let Some(operator) = operator else { return Ok(Received::default().state(device)) };
        let found = find_devices(self.store.pool(), operator, &[device.uuid()]).await?;
        let received = found.into_iter().next().map(|(_, received)| received);
        Ok(received.unwrap_or_default().state(device))
    }

    /// One version of a report; the newest for 0.
    ///
    /// # Errors
    /// `NotFound` when there is none that the caller may see.
    pub async fn get_report(
        &self,
        caller: &Caller,
        id: ReportId,
        version: i32,
        min_revision: i64,
    ) -> Result<StoredReport, Error> {
        let missing = || Error::not_found(Kind::Report, id);
        let operator = find_operator(self.store.pool(), id).await?.ok_or_else(missing)?;
        self.expect_seen(caller, operator, Kind::Report, id).await?;
        self.feed.reach(operator.scope(), min_revision).await?;
        let found = find_report(self.store.pool(), id, version).await?;
        found.ok_or_else(|| match version {
            0 => missing(),
            version => Error::not_found(Kind::Report, format!("{id} version {version}")),
        })
    }

    /// Newest versions of an operator's reports, those first that were received first. A page ends early when it is
    /// large.
    ///
    /// # Errors
    /// `NotFound` when the caller may not see the operator's reports; `PageToken` when the token is of another list.
    pub async fn list_reports(
        &self,
        caller: &Caller,
        mut filter: ReportFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<StoredReport>, Error> {
        self.expect_seen(caller, filter.operator, Kind::Organization, filter.operator).await?;
        self.feed.reach(filter.operator.scope(), min_revision).await?;
        let bound = bound_to(&filter);
        if let Some(after) = page.position(self, bound)? {
            filter.after = placed(&after)?;
        }
        let limit = page.limit();
        let read = self.store.snapshot(move |conn| {
            let filter = filter.clone();
            Box::pin(async move { list_reports(conn, &filter, limit).await })
        });
        let mut rows: Vec<Listed> = read.await?;
        let found = rows.first().map_or(0, |row| row.found);
        rows.truncate(usize::from(page.size));
        let more = i64::try_from(rows.len()).is_ok_and(|shown| shown < found);
        let next = rows.last().filter(|_| more).map(|row| self.sealer.seal(bound, &place(row)));
        Ok(Page { rows: rows.into_iter().map(|row| row.report).collect(), next })
    }
}

fn bound_to(filter: &ReportFilter) -> Filter {
    let id = |id: Option<Uuid>| id.map(Uuid::into_bytes).unwrap_or_default();
    let day = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
    Filter::of(&[
        b"field reports",
        filter.operator.uuid().as_bytes(),
        &id(filter.task.map(TaskId::uuid)),
        &id(filter.team.map(TeamId::uuid)),
        &id(filter.device.map(DeviceId::uuid)),
        filter.kind.map_or("", ReportKind::word).as_bytes(),
        filter.state.map_or("", ReportState::word).as_bytes(),
        filter.hold.map_or("", HoldReason::word).as_bytes(),
        day(filter.from).as_bytes(),
        day(filter.until).as_bytes(),
        &[u8::from(filter.to_review)],
        filter.received_before.map(|at| at.to_string()).unwrap_or_default().as_bytes(),
    ])
}

/// A place in the list: first revision and id.
fn place(of: &Listed) -> Vec<u8> {
    [&of.first_revision.to_be_bytes()[..], of.report.id.uuid().as_bytes()].concat()
}

fn placed(at: &[u8]) -> Result<(i64, Uuid), Error> {
    let (revision, id) = at.split_first_chunk::<8>().ok_or(Error::PageToken)?;
    Ok((i64::from_be_bytes(*revision), Uuid::from_slice(id).map_err(|_| Error::PageToken)?))
}
