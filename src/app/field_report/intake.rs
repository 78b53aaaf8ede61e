//! A group of reports on its way into the database: what is known, what is added, and the events that say so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use crate::app::codec::EventCodec;
use crate::app::personal_key::PersonalKeys;
use crate::app::token::{Filter, Sealer};
use crate::domain::field_report::clock::{captured_at, clock_offset_ms};
use crate::domain::field_report::filing::{Chain, KnownReport, KnownVersion, version_of};
use crate::domain::field_report::quarantine::holds;
use crate::domain::field_report::review::Reviewed;
use crate::domain::field_report::sequence::{RUNS_MAX, Received};
use crate::domain::field_report::{
    FieldReport, Hold, HoldReason, Receipt, ReportOutcome, ReportState, StoredReport,
};
use crate::domain::ids::{DeviceId, OrganizationId, ReportId};
use crate::domain::personal::{About, SealedRecord};
use crate::domain::refusal::Refusal;
use crate::domain::text::Reason;
use crate::error::Error;
use crate::store::Connection;
use crate::store::field_report::known::{find_chains, find_devices};
use crate::store::field_report::write::{Filed, NewVersion};
use crate::store::journal::{EventKind, Head, NewEvent};

use super::facts::Facts;
use super::{Sent, Submitted};

/// Who sends, to whom, and when that is.
pub(super) struct Sender {
    pub(super) operator: OrganizationId,
    pub(super) received_by: Arc<str>,
    pub(super) at: Timestamp,
}

/// What it takes to write a report down.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) codec: EventCodec,
    pub(super) sealer: Sealer,
    pub(super) keys: Option<PersonalKeys>,
}

/// A group of reports on its way.
pub(super) struct Intake {
    sender: Sender,
    head: Head,
    tools: Tools,
    facts: Facts,
    chains: BTreeMap<ReportId, Chain>,
    devices: BTreeMap<DeviceId, Received>,
    changed: BTreeSet<ReportId>,
    went_on: BTreeSet<DeviceId>,
    added: Vec<NewVersion>,
    sealed: Vec<SealedRecord>,
    events: Vec<NewEvent>,
    /// Reports that came back from their team, with the revision of the version that mends them.
    mended: Vec<(ReportId, i64)>,
    revision: i64,
}

impl Intake {
    /// Loads what is known of everything that a group names.
    pub(super) async fn load(
        conn: &mut Connection,
        sender: Sender,
        head: Head,
        tools: Tools,
        group: &[Sent],
    ) -> Result<Self, Error> {
        let ids: BTreeSet<Uuid> = group.iter().map(|sent| sent.report.id.uuid()).collect();
        let devices: BTreeSet<Uuid> = group.iter().map(|sent| sent.report.device.uuid()).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let devices: Vec<Uuid> = devices.into_iter().collect();
        let chains = find_chains(&mut *conn, &ids).await?;
        let devices = find_devices(&mut *conn, sender.operator, &devices).await?.into_iter().collect();
        let facts = Facts::load(conn, sender.operator, group, &devices, tools.codec.report_tells).await?;
        Ok(Self {
            sender,
            head,
            tools,
            facts,
            chains,
            devices,
            changed: BTreeSet::new(),
            went_on: BTreeSet::new(),
            added: Vec::new(),
            sealed: Vec::new(),
            events: Vec::new(),
            mended: Vec::new(),
            revision: head.revision,
        })
    }

    pub(super) const fn operator(&self) -> OrganizationId {
        self.sender.operator
    }

    pub(super) const fn at(&self) -> Timestamp {
        self.sender.at
    }

    pub(super) const fn head(&self) -> Head {
        self.head
    }

    /// The revision of the last event.
    pub(super) const fn revision(&self) -> i64 {
        self.revision
    }

    /// What is known of a report.
    pub(super) fn chain(&self, id: ReportId) -> Option<&Chain> {
        self.chains.get(&id)
    }

    /// What a version of this very group says.
    pub(super) fn content_of(&self, id: ReportId, version: i32) -> Option<Bytes> {
        let added = self.added.iter().find(|added| added.stored.id == id && added.stored.version == version);
        added.map(|added| added.stored.content.clone())
    }

    /// The first field in which two reports differ.
    pub(super) fn differs(&self, before: &[u8], after: &[u8]) -> Option<String> {
        (self.tools.codec.report_differs)(before, after)
    }

    /// What the content of a stored version says.
    pub(super) fn read(&self, content: &[u8]) -> Result<FieldReport, Error> {
        (self.tools.codec.read_report)(content)
    }

    pub(super) fn take_events(&mut self) -> Vec<NewEvent> {
        std::mem::take(&mut self.events)
    }

    /// Seals the details that came with a report. Those that are there already are found when they are written. Answers
    /// why they cannot be: the report itself must not wait for a key, since it may have to stop work.
    pub(super) fn seal(&mut self, report: &FieldReport) -> Result<Option<Refusal>, Error> {
        if report.personal.is_empty() {
            return Ok(None);
        }
        let Some(keys) = &self.tools.keys else {
            return Ok(Some(Refusal::PersonalKeyMissing { key_id: None }));
        };
        let (operator, version) = (self.sender.operator, version_of(report));
        for (victim, details) in &report.personal {
            let about = About { operator, report: report.id, version, victim: *victim };
            let sealed = keys.seal(about, &details.0)?;
            self.sealed.push(SealedRecord { about, sealed, stored_at: self.sender.at });
        }
        Ok(None)
    }

    /// The details to write.
    pub(super) fn sealed(&self) -> &[SealedRecord] {
        &self.sealed
    }

    /// The rows to write.
    pub(super) fn filed(&self) -> Filed<'_> {
        Filed {
            operator: self.sender.operator,
            at: self.sender.at,
            reports: self.changed.iter().filter_map(|id| Some(&self.chains.get(id)?.report)).collect(),
            versions: &self.added,
            mended: &self.mended,
            devices: self.went_on.iter().filter_map(|id| Some((*id, self.devices.get(id)?))).collect(),
        }
    }

    /// Answers for a version that is there.
    pub(super) fn found(&self, report: &FieldReport) -> Result<Submitted, Error> {
        let version = version_of(report);
        let chain = self.chains.get(&report.id);
        let known = chain.and_then(|chain| Some((&chain.report, chain.versions.get(&version)?)));
        let (now, stored) = known.ok_or_else(|| Error::bug("a version that was found is not there"))?;
        // Whoever lost the first answer learns that the report is still held.
        let held = now.state == ReportState::Held && now.newest_version == version;
        let reasons = stored.holds.iter().filter(|hold| held && now.holds.contains(&hold.reason));
        let receipt = Receipt {
            report: report.id,
            version,
            content_sha256: stored.content_sha256,
            attachments: self.facts.declared(report),
            received_at: stored.received_at,
            revision: stored.revision,
            state: now.state,
        };
        Ok(self.submitted(report, ReportOutcome::AlreadyStored, reasons.cloned().collect(), receipt))
    }

    /// Adds a version that is newer than what is there.
    pub(super) fn add_newest(&mut self, sent: &Sent, base_missing: bool) -> Result<Submitted, Error> {
        let report = &sent.report;
        self.expect_room(report)?;
        let mut found = holds(report, &self.facts.known(report, self.sender.at, base_missing));
        if sent.amendment.is_some() {
            // It has the number of what it amends, whose land has left the site already; its approval looks again.
            let again = [HoldReason::SequenceReused, HoldReason::AreaBeyondSite];
            found.retain(|hold| !again.contains(&hold.reason));
        }
        let before = self.chains.get(&report.id).map(|chain| chain.report.clone());
        if before.as_ref().is_some_and(|before| before.state == ReportState::Returned) {
            self.mended.push((report.id, self.revision + 1));
        }
        let revision = self.revision + 1;
        let now = KnownReport {
            id: report.id,
            operator: self.sender.operator,
            first_revision: before.as_ref().map_or(revision, |before| before.first_revision),
            device: report.device,
            team: report.team,
            task: report.task,
            program: self.facts.program_of(report),
            kind: report.kind,
            work_date: report.work_date,
            newest_version: version_of(report),
            state: if found.is_empty() { ReportState::Received } else { ReportState::Held },
            holds: reasons(&found),
            approved_version: before.as_ref().and_then(|before| before.approved_version),
            claimed: report.claims.outputs,
            revision,
        };
        self.facts.note(before.as_ref(), &now, report);
        let chain = self.chains.entry(report.id);
        let fresh = || Chain { report: now.clone(), versions: BTreeMap::new() };
        chain.and_modify(|chain| chain.report = now.clone()).or_insert_with(fresh);
        self.add(sent, found)
    }

    /// Adds a version that something newer replaced already. Nobody reviews it, so nothing holds it.
    pub(super) fn add_older(&mut self, sent: &Sent) -> Result<Submitted, Error> {
        self.expect_room(&sent.report)?;
        self.add(sent, Vec::new())
    }

    fn expect_room(&self, report: &FieldReport) -> Result<(), Error> {
        let received = self.devices.get(&report.device);
        if received.is_none_or(|received| received.has_room_for(report.sequence)) {
            return Ok(());
        }
        Err(Error::Quota { what: "the number of gaps in the numbering of a device", max: RUNS_MAX as u64 })
    }

    /// Adds a version to its report, whose place is known, and says so in an event.
    fn add(&mut self, sent: &Sent, found: Vec<Hold>) -> Result<Submitted, Error> {
        let (report, version, at) = (&sent.report, version_of(&sent.report), self.sender.at);
        self.revision += 1;
        let revision = self.revision;
        let amendment = sent.amendment.as_ref().map_or("", Reason::as_str).to_owned();
        let known = KnownVersion {
            content_sha256: report.content_sha256,
            received_at: at,
            holds: found.clone(),
            amendment: amendment.clone(),
            revision,
        };
        let chain = self.chains.get_mut(&report.id);
        let chain = chain.ok_or_else(|| Error::bug("a version without its report"))?;
        chain.versions.insert(version, known);
        chain.report.revision = revision;
        if chain.is_whole() {
            chain.report.settle(HoldReason::BaseMissing);
        }
        let stored = StoredReport {
            id: report.id,
            operator: self.sender.operator,
            program: chain.report.program,
            kind: report.kind,
            version,
            newest_version: chain.report.newest_version,
            content: report.content.clone(),
            content_sha256: report.content_sha256,
            state: chain.report.state,
            holds: found.clone(),
            attachments: self.facts.declared(report),
            received_at: at,
            received_by: self.sender.received_by.to_string(),
            clock_offset_ms: sent.clock.as_ref().map(|clock| clock_offset_ms(clock, at)),
            captured_at: captured_at(&report.captured, sent.clock.as_ref(), at),
            amendment,
            reviewed: Reviewed { approved_version: chain.report.approved_version, ..Reviewed::default() },
            revision,
        };
        self.events.push(NewEvent {
            revision,
            kind: EventKind::ReportReceived,
            payload: Bytes::from((self.tools.codec.encode_report)(&stored)),
            request: self.tools.sealer.id(event_of(report.id, version)),
            digest: None,
        });
        let receipt = receipt_of(&stored);
        let (device, sequence, attachments) = (report.device, report.sequence, report.attachments.clone());
        self.added.push(NewVersion { stored, device, sequence, attachments });
        self.changed.insert(report.id);
        self.facts.note_number(report);
        self.devices.entry(device).or_default().insert(sequence);
        self.went_on.insert(device);
        let outcome = match (found.is_empty(), report.base_version) {
            (false, _) => ReportOutcome::Held,
            (true, 0) => ReportOutcome::Stored,
            (true, _) => ReportOutcome::NewVersion,
        };
        Ok(self.submitted(report, outcome, found, receipt))
    }

    fn submitted(
        &self,
        report: &FieldReport,
        outcome: ReportOutcome,
        holds: Vec<Hold>,
        receipt: Receipt,
    ) -> Submitted {
        let nothing = Received::default();
        let sync_state = self.devices.get(&report.device).unwrap_or(&nothing).state(report.device);
        Submitted { outcome, holds, receipt, sync_state, details_not_kept: None, halt: None }
    }
}

/// The event of a version has the same id whoever writes it, so that the journal holds it once.
fn event_of(report: ReportId, version: i32) -> Filter {
    Filter::of(&[b"version of a report", report.uuid().as_bytes(), &version.to_be_bytes()])
}

fn reasons(of: &[Hold]) -> Vec<HoldReason> {
    let reasons: BTreeSet<HoldReason> = of.iter().map(|hold| hold.reason).collect();
    reasons.into_iter().collect()
}

fn receipt_of(stored: &StoredReport) -> Receipt {
    Receipt {
        report: stored.id,
        version: stored.version,
        content_sha256: stored.content_sha256,
        attachments: stored.attachments.clone(),
        received_at: stored.received_at,
        revision: stored.revision,
        state: stored.state,
    }
}
