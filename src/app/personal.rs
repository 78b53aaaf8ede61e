//! Use cases of personal data: reading victims' details, which is noted before they are shown; erasing them; and who
//! read what. How they are taken in is in [`super::field_report`]; names of members are in [`super::person`].

use std::sync::Arc;

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::page::{Page, PageRequest};
use crate::app::personal_key::PersonalKeys;
use crate::app::rights::{is_of, may_act_for};
use crate::app::token::Filter;
use crate::domain::caller::{Caller, Role};
use crate::domain::ids::{OrganizationId, ReportId, ScopeId, VictimId};
use crate::domain::kind::Kind;
use crate::domain::organization::OrganizationKind;
use crate::domain::personal::{Details, ErasedVictim, PersonalAccess, VictimRecord};
use crate::domain::refusal::Refusal;
use crate::domain::text::{Reason, Text};
use crate::error::Error;
use crate::store::Connection;
use crate::store::field_report::known::list_contents;
use crate::store::field_report::listing::find_operator;
use crate::store::organization::find_organization;
use crate::store::personal::{
    AccessFilter, erase_victim, list_access, list_erased, list_newest, note_access,
};

/// For which purpose details are read.
pub type Purpose = Text<1, 500>;

/// Erase a victim's details.
#[derive(Debug, Clone)]
pub struct EraseVictim {
    /// The report.
    pub report: ReportId,
    /// The victim.
    pub victim: VictimId,
    /// Why.
    pub reason: Reason,
}

/// The same with the operator, which a report never changes.
struct Erasing {
    operator: OrganizationId,
    of: EraseVictim,
}

impl Changing for Erasing {
    async fn scopes(&self, _: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![self.operator.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let EraseVictim { report, victim, reason } = &self.of;
        let before = list_erased(&mut *ground.conn, self.operator, *report).await?;
        if let Some(erased) = before.into_iter().find(|erased| erased.victim == *victim) {
            return ground.record(self.operator.scope(), Record::ErasedVictim(erased));
        }
        let erased = ErasedVictim {
            report: *report,
            victim: *victim,
            reason: reason.as_str().to_owned(),
            by: ground.caller.subject().to_owned(),
            at: ground.now,
            revision: ground.revision(self.operator.scope())?,
        };
        erase_victim(ground.conn, self.operator, &erased).await?;
        ground.record(self.operator.scope(), Record::ErasedVictim(erased))
    }
}

impl App {
    /// The details of a report's victims, by victim. Who reads them is noted before they are answered.
    ///
    /// # Errors
    /// `NotFound` for a report that the caller does not see; `Forbidden` for who sees the report and not the people; a
    /// refusal when a key is missing: then nothing was shown, and nothing is noted.
    pub async fn read_victims(
        &self,
        caller: &Caller,
        report: ReportId,
        purpose: Purpose,
    ) -> Result<Vec<VictimRecord>, Error> {
        let operator = self.seen_operator(caller, report).await?;
        self.expect_reads_persons(caller, operator).await?;
        let keys = self.personal_keys.clone().ok_or(Refusal::PersonalKeyMissing { key_id: None })?;
        let access = Arc::new(PersonalAccess {
            report: Some(report),
            subject: caller.subject().to_owned(),
            role: caller.role().to_string(),
            reader: caller.organization_id(),
            purpose: purpose.as_str().to_owned(),
            at: self.now(),
            victims: Vec::new(),
            persons: Vec::new(),
        });
        let read = self.store.transaction("personal.read", move |conn| {
            let (keys, access) = (keys.clone(), Arc::clone(&access));
            Box::pin(async move { read_and_note(conn, (operator, report), &keys, &access).await })
        });
        read.await
    }

    /// Erases the details of a victim for good.
    ///
    /// # Errors
    /// `NotFound` for a report that the caller does not see, and for a victim whom it does not name; `Forbidden` for who
    /// is not of its operator.
    pub async fn erase_victim(
        &self,
        caller: &Caller,
        request: Request,
        of: EraseVictim,
    ) -> Result<Changed, Error> {
        let operator = self.seen_operator(caller, of.report).await?;
        may_act_for(caller, operator)?;
        if !self.names_victim(of.report, of.victim).await? {
            return Err(Error::not_found(Kind::Victim, of.victim));
        }
        self.change(caller, request, Erasing { operator, of }).await
    }

    /// Who read details of an operator's victims, or as somebody else names of its members, the newest first.
    ///
    /// # Errors
    /// `NotFound` for an operator that the caller does not see; `Forbidden` for who sees it and not this; `PageToken`
    /// when the token is of another list.
    pub async fn list_personal_access(
        &self,
        caller: &Caller,
        mut filter: AccessFilter,
        page: PageRequest,
    ) -> Result<Page<PersonalAccess>, Error> {
        self.expect_seen(caller, filter.operator, Kind::Organization, filter.operator).await?;
        if caller.role() == Role::Coordinator && !is_of(caller, filter.operator) {
            return Err(Error::Forbidden);
        }
        let bound = bound_to(&filter);
        if let Some(place) = page.position(self, bound)? {
            filter.before = place.try_into().map(i64::from_be_bytes).map_err(|_| Error::PageToken)?;
        }
        let rows = list_access(self.store.pool(), &filter, page.limit()).await?;
        let found = page.cut(self, bound, rows, |(place, _)| place.to_be_bytes().to_vec());
        Ok(Page { rows: found.rows.into_iter().map(|(_, access)| access).collect(), next: found.next })
    }

    /// The operator of a report, for who sees that.
    async fn seen_operator(&self, caller: &Caller, report: ReportId) -> Result<OrganizationId, Error> {
        let found = find_operator(self.store.pool(), report).await?;
        let operator = found.ok_or_else(|| Error::not_found(Kind::Report, report))?;
        self.expect_seen(caller, operator, Kind::Report, report).await?;
        Ok(operator)
    }

    /// The operator itself and authorities, which have to look after victims; not the offices that pay.
    async fn expect_reads_persons(&self, caller: &Caller, operator: OrganizationId) -> Result<(), Error> {
        if may_act_for(caller, operator).is_ok() {
            return Ok(());
        }
        let own = OrganizationId::new(caller.organization_id().ok_or(Error::Forbidden)?);
        let found = find_organization(self.store.pool(), own).await?;
        match found.map(|own| own.kind) {
            Some(OrganizationKind::Authority) => Ok(()),
            _ => Err(Error::Forbidden),
        }
    }

    /// Whether any version of a report names a victim. Versions are only ever added, so a yes stays one.
    async fn names_victim(&self, report: ReportId, victim: VictimId) -> Result<bool, Error> {
        let mut before = i32::MAX;
        loop {
            let contents = list_contents(self.store.pool(), report, before).await?;
            let Some((lowest, _)) = contents.last() else { return Ok(false) };
            before = *lowest;
            for (_, content) in &contents {
                if (self.codec.victims_of_report)(content)?.contains(&victim) {
                    return Ok(true);
                }
            }
        }
    }
}

/// Opens the details and notes the reading, in one transaction: what does not open was not read.
async fn read_and_note(
    conn: &mut Connection,
    (operator, report): (OrganizationId, ReportId),
    keys: &PersonalKeys,
    access: &PersonalAccess,
) -> Result<Vec<VictimRecord>, Error> {
    let mut records = Vec::new();
    for record in list_newest(&mut *conn, operator, report).await? {
        let details = Details(keys.open(record.about, &record.sealed)?.into());
        let about = record.about;
        records
            .push((about.victim, VictimRecord::Kept(about.victim, about.version, details, record.stored_at)));
    }
    // An erasure may have been committed since: whom it names is not shown, and nobody is named twice.
    let erased = list_erased(&mut *conn, operator, report).await?;
    records.retain(|(victim, _)| erased.iter().all(|erased| erased.victim != *victim));
    let victims = records.iter().map(|(victim, _)| *victim).collect();
    note_access(conn, operator, &PersonalAccess { victims, ..access.clone() }).await?;
    records.extend(erased.into_iter().map(|erased| (erased.victim, VictimRecord::Erased(erased))));
    records.sort_by_key(|(victim, _)| *victim);
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

fn bound_to(filter: &AccessFilter) -> Filter {
    let (report, victim) = (format!("{:?}", filter.report), format!("{:?}", filter.victim));
    let person = format!("{:?}", filter.person);
    let subject = filter.subject.as_deref().unwrap_or_default();
    Filter::of(&[
        b"personal access",
        filter.operator.uuid().as_bytes(),
        report.as_bytes(),
        victim.as_bytes(),
        person.as_bytes(),
        subject.as_bytes(),
    ])
}
