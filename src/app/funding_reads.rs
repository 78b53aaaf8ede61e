//! Reads of programs, allocations, entries and obligations.

use bytes::Bytes;
use uuid::Uuid;

use crate::app::App;
use crate::app::command::Event;
use crate::app::page::{Page, PageRequest};
use crate::app::token::Filter;
use crate::domain::caller::{Caller, Role};
use crate::domain::entry::PostedEntry;
use crate::domain::ids::{AllocationId, EntryId, ObligationId, PeriodId, ProgramId};
use crate::domain::kind::Kind;
use crate::domain::program::{Allocation, Obligation, Period, Program};
use crate::error::Error;
use crate::store::funding::{
    ProgramFilter, TreeFilter, find_allocation, find_obligation, find_reversal, list_allocations,
    list_obligations, list_periods, list_programs,
};
use crate::store::journal::{Event as Stored, EventKind, find_answer, find_heads, list_events};

/// The most journal rows that one call of `ListEntries` reads.
const ENTRIES_SCANNED_MAX: i64 = 5_000;
/// Deepest path that can exist, for lists without a limit of depth.
const PATH_LEN_MAX: i32 = 64;

/// Which entries to list.
#[derive(Debug, Clone, Copy)]
pub struct EntryFilter {
    /// The program.
    pub program: ProgramId,
    /// Only entries that touched it.
    pub allocation: Option<AllocationId>,
    /// Only entries after this revision.
    pub after_revision: i64,
    /// Only entries effective on that day or later.
    pub from: Option<jiff::civil::Date>,
    /// Only entries effective on that day or before.
    pub to: Option<jiff::civil::Date>,
}

impl EntryFilter {
    fn keeps(&self, posted: &PostedEntry) -> bool {
        let day = posted.entry.effective_on;
        self.allocation.is_none_or(|id| posted.balances.iter().any(|(touched, _)| *touched == id))
            && self.from.is_none_or(|from| from <= day)
            && self.to.is_none_or(|to| day <= to)
    }

    fn bound(&self) -> Filter {
        let day = |day: Option<jiff::civil::Date>| day.map(|day| day.to_string()).unwrap_or_default();
        Filter::of(&[
            b"entries",
            self.program.uuid().as_bytes(),
            self.allocation.map(AllocationId::uuid).unwrap_or_default().as_bytes(),
            &self.after_revision.to_be_bytes(),
            day(self.from).as_bytes(),
            day(self.to).as_bytes(),
        ])
    }
}

impl App {
    /// One program with its periods, and the revision at which it was read.
    ///
    /// # Errors
    /// `NotFound` when there is none for this caller.
    pub async fn get_program(
        &self,
        caller: &Caller,
        id: ProgramId,
        min_revision: i64,
    ) -> Result<(Program, Vec<Period>, i64), Error> {
        let program = self.program(caller, id).await?;
        self.feed.reach(id.scope(), min_revision).await?;
        let (periods, revision) = self
            .store
            .snapshot(move |conn| {
                Box::pin(async move {
                    let heads = find_heads(&mut *conn, &[id.uuid()]).await?;
                    let periods = list_periods(conn, id).await?;
                    Ok((periods, heads.first().map_or(0, |head| head.revision)))
                })
            })
            .await?;
        Ok(((*program).clone(), periods, revision))
    }

    /// The programs that the caller may see, by code.
    ///
    /// # Errors
    /// `PageToken` when the token is of another list.
    pub async fn list_programs(
        &self,
        caller: &Caller,
        mut filter: ProgramFilter,
        page: PageRequest,
    ) -> Result<Page<Program>, Error> {
        filter.party = match caller.role() {
            Role::Admin | Role::Auditor => None,
            // These roles always have an organization; the nil one has no programs.
            Role::Funder | Role::Coordinator | Role::Field => {
                Some(caller.organization_id().unwrap_or_default())
            }
        };
        let funder = filter.funder.unwrap_or_default();
        let bound = Filter::of(&[b"programs", funder.as_bytes(), filter.code_prefix.as_bytes()]);
        filter.after_code = page.text_position(self, bound)?;
        let rows = list_programs(self.store.pool(), &filter, page.limit()).await?;
        Ok(page.cut(self, bound, rows, |row| row.code.as_str().as_bytes().to_vec()))
    }

    /// One allocation.
    ///
    /// # Errors
    /// `NotFound` when there is none for this caller.
    pub async fn get_allocation(
        &self,
        caller: &Caller,
        program: ProgramId,
        id: AllocationId,
        min_revision: i64,
    ) -> Result<Allocation, Error> {
        self.program(caller, program).await?;
        self.feed.reach(program.scope(), min_revision).await?;
        let found = find_allocation(self.store.pool(), program, id).await?;
        found.ok_or_else(|| Error::not_found(Kind::Allocation, id))
    }

    /// A period's tree, parents before children.
    ///
    /// # Errors
    /// `NotFound` for an unknown period or top; `PageToken` when the token is of another list.
    pub async fn list_allocations(
        &self,
        caller: &Caller,
        (program, period): (ProgramId, PeriodId),
        top: Option<AllocationId>,
        max_depth: Option<i32>,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Allocation>, Error> {
        self.program(caller, program).await?;
        self.feed.reach(program.scope(), min_revision).await?;
        let periods = list_periods(self.store.pool(), program).await?;
        let found = periods.iter().find(|known| known.id == period);
        let root = found.ok_or_else(|| Error::not_found(Kind::Period, period))?.root;
        let top = self.get_allocation(caller, program, top.unwrap_or(root), 0).await?;
        if top.period != period {
            return Err(Error::not_found(Kind::Allocation, top.id));
        }
        let bound = Filter::of(&[
            b"allocations",
            top.id.uuid().as_bytes(),
            &max_depth.unwrap_or(PATH_LEN_MAX).to_be_bytes(),
        ]);
        let after = page.text_position(self, bound)?;
        let top_len = i32::try_from(top.path.len()).unwrap_or(PATH_LEN_MAX);
        let filter = TreeFilter {
            program,
            period,
            top: top.path,
            path_len_max: max_depth.map_or(PATH_LEN_MAX, |depth| top_len.saturating_add(depth)),
            // A code has no line break, so it can stand between the codes of a path.
            after: after.split('\n').filter(|code| !code.is_empty()).map(str::to_owned).collect(),
        };
        let rows = list_allocations(self.store.pool(), &filter, page.limit()).await?;
        Ok(page.cut(self, bound, rows, |row| row.path.join("\n").into_bytes()))
    }

    /// The stored bytes of one entry, and the entry that reversed it.
    ///
    /// # Errors
    /// `NotFound` when there is none for this caller.
    pub async fn get_entry(
        &self,
        caller: &Caller,
        program: ProgramId,
        id: EntryId,
        min_revision: i64,
    ) -> Result<(Bytes, Option<EntryId>), Error> {
        self.program(caller, program).await?;
        self.feed.reach(program.scope(), min_revision).await?;
        let found = find_answer(self.store.pool(), program.scope(), id.uuid()).await?;
        let known = found.filter(|known| known.event.kind == EventKind::EntryPosted);
        let event = known.ok_or_else(|| Error::not_found(Kind::Entry, id))?.event;
        let reversed_by = find_reversal(self.store.pool(), program, id).await?;
        Ok((event.payload, reversed_by))
    }

    /// The stored bytes of entries, in the order of the journal. A page of a narrow filter may be short and still have a next.
    ///
    /// # Errors
    /// `PageToken` when the token is of another list.
    pub async fn list_entries(
        &self,
        caller: &Caller,
        filter: EntryFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Bytes>, Error> {
        self.program(caller, filter.program).await?;
        self.feed.reach(filter.program.scope(), min_revision).await?;
        let bound = filter.bound();
        let position = page.position(self, bound)?;
        let mut last = match position {
            None => filter.after_revision,
            Some(bytes) => i64::from_be_bytes(bytes.try_into().map_err(|_| Error::PageToken)?),
        };
        let (mut rows, mut scanned, mut more) = (Vec::new(), 0, true);
        // First about a page; more at a time while the filter keeps little.
        let mut step = page.limit();
        while more && rows.len() < usize::from(page.size) && scanned < ENTRIES_SCANNED_MAX {
            let events = list_events(self.store.pool(), filter.program.scope(), last, step).await?;
            more = i64::try_from(events.len()) == Ok(step);
            scanned += step;
            step = (step * 2).min(ENTRIES_SCANNED_MAX);
            for event in events {
                if usize::from(page.size) <= rows.len() {
                    more = true;
                    break;
                }
                last = event.revision;
                if event.kind == EventKind::EntryPosted && self.keeps(&filter, &event)? {
                    rows.push(event.payload);
                }
            }
        }
        let next = more.then(|| self.sealer.seal(bound, &last.to_be_bytes()));
        Ok(Page { rows, next })
    }

    fn keeps(&self, filter: &EntryFilter, event: &Stored) -> Result<bool, Error> {
        match (self.codec.decode)(event.kind, &event.payload)? {
            Event::Entry(posted) => Ok(filter.keeps(&posted)),
            _ => Ok(false),
        }
    }

    /// One obligation.
    ///
    /// # Errors
    /// `NotFound` when there is none for this caller.
    pub async fn get_obligation(
        &self,
        caller: &Caller,
        program: ProgramId,
        id: ObligationId,
        min_revision: i64,
    ) -> Result<Obligation, Error> {
        self.program(caller, program).await?;
        self.feed.reach(program.scope(), min_revision).await?;
        let found = find_obligation(self.store.pool(), program, id).await?;
        found.ok_or_else(|| Error::not_found(Kind::Obligation, id))
    }

    /// Obligations by id.
    ///
    /// # Errors
    /// `PageToken` when the token is of another list.
    pub async fn list_obligations(
        &self,
        caller: &Caller,
        program: ProgramId,
        allocation: Option<AllocationId>,
        open_only: bool,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Obligation>, Error> {
        self.program(caller, program).await?;
        self.feed.reach(program.scope(), min_revision).await?;
        let only = allocation.map(AllocationId::uuid).unwrap_or_default();
        let bound =
            Filter::of(&[b"obligations", program.uuid().as_bytes(), only.as_bytes(), &[u8::from(open_only)]]);
        let after = match page.position(self, bound)? {
            None => Uuid::nil(),
            Some(bytes) => Uuid::from_slice(&bytes).map_err(|_| Error::PageToken)?,
        };
        let pool = self.store.pool();
        let rows = list_obligations(pool, program, allocation, open_only, after, page.limit()).await?;
        Ok(page.cut(self, bound, rows, |row| row.id.uuid().as_bytes().to_vec()))
    }
}
