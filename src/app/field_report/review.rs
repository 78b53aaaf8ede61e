//! Deciding about reports. A decision holds the operator's journal; one that makes a report count, or ends that, holds
//! those of the program and of the land as well, and moves all of them in one transaction or none.

use jiff::tz::{TimeZone, offset};

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::codec::EventCodec;
use crate::app::field_report::approval::{Turn, journals, settle};
use crate::app::team::expect_revision;
use crate::app::token::{Filter, Sealer};
use crate::domain::caller::Caller;
use crate::domain::days::today_in;
use crate::domain::field_report::filing::KnownReport;
use crate::domain::field_report::review::{Decision, Review, Reviewed, expect_other, next};
use crate::domain::field_report::{FieldReport, StoredReport};
use crate::domain::ids::{EntryId, ReportId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::error::Error;
use crate::store::field_report::credits::find_standing;
use crate::store::field_report::known::{find_chains, find_content};
use crate::store::field_report::listing::{find_operator, find_report};
use crate::store::field_report::review::{list_senders, update_reviewed};
use crate::store::task::find_task;
use crate::store::{Connection, Planned};

/// Decide about a report.
pub struct DecideReport {
    /// The report.
    pub report: ReportId,
    /// The version that the caller has read; none for a decision about what counts.
    pub version: Option<i32>,
    /// Its revision as the caller knows it.
    pub expected_revision: i64,
    /// The decision.
    pub decision: Decision,
}

/// How content is read, and how ids are made.
#[derive(Clone)]
struct Tools {
    codec: EventCodec,
    sealer: Sealer,
}

impl Tools {
    /// The id of an entry that the service books by itself.
    fn entry(&self, what: &[u8], report: ReportId, version: Option<i32>) -> EntryId {
        let version = version.unwrap_or(0).to_be_bytes();
        EntryId::new(self.sealer.id(Filter::of(&[what, report.uuid().as_bytes(), &version])))
    }
}

/// A decision, and what it takes.
struct Deciding {
    asked: DecideReport,
    tools: Tools,
}

/// A report as it is now. One that came before its order is of the program by now.
async fn known_report(conn: &mut Connection, id: ReportId) -> Result<KnownReport, Error> {
    let chain = find_chains(&mut *conn, &[id.uuid()]).await?.remove(&id);
    let mut report = chain.ok_or_else(|| Error::not_found(Kind::Report, id))?.report;
    if let (None, Some(task)) = (report.program, report.task) {
        let ordered = find_task(&mut *conn, task).await?;
        let ordered = ordered.filter(|task| task.is_issued() && task.plan.operator == Some(report.operator));
        report.program = ordered.map(|task| task.program);
    }
    Ok(report)
}

/// The versions that a decision ends and makes count.
async fn turn_of(
    conn: &mut Connection,
    tools: &Tools,
    report: &KnownReport,
    decision: &Decision,
) -> Result<Turn, Error> {
    let (ends, begins) = match decision {
        Decision::Approve(_) => (report.approved_version, Some(report.newest_version)),
        Decision::Void(_) => (report.approved_version, None),
        Decision::Take | Decision::Return(_) | Decision::Reject(_) => (None, None),
    };
    Ok(Turn {
        ends: read_version(&mut *conn, tools.codec, report.id, ends).await?,
        begins: read_version(conn, tools.codec, report.id, begins).await?,
        reversal: tools.entry(b"reversal of a claim", report.id, ends),
        spare: tools.entry(b"payment of a claim", report.id, begins),
        looked_past: matches!(decision, Decision::Approve(Some(_))),
    })
}

async fn read_version(
    conn: &mut Connection,
    codec: EventCodec,
    report: ReportId,
    version: Option<i32>,
) -> Result<Option<FieldReport>, Error> {
    let Some(version) = version else { return Ok(None) };
    let content = find_content(conn, report, version).await?;
    let content = content.ok_or_else(|| Error::bug(format!("version {version} of {report} is missing")))?;
    (codec.read_report)(&content).map(Some)
}

impl Changing for Deciding {
    const PLANNED: Planned = Planned::Once;

    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        let report = known_report(&mut *conn, self.asked.report).await?;
        let turn = turn_of(&mut *conn, &self.tools, &report, &self.asked.decision).await?;
        journals(conn, &report, &turn).await
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let DecideReport { report: id, version, expected_revision, decision } = &self.asked;
        let mut report = known_report(&mut *ground.conn, *id).await?;
        if let Some(version) = version {
            let (expected, current) = (i64::from(*version), i64::from(report.newest_version));
            expect_revision(Kind::Report, *id, expected, current)?;
            let senders = list_senders(&mut *ground.conn, *id).await?;
            expect_other(*id, &senders, ground.caller.subject())?;
        }
        expect_revision(Kind::Report, *id, *expected_revision, report.revision)?;
        let state = next(&report, decision)?;
        let turn = turn_of(&mut *ground.conn, &self.tools, &report, decision).await?;
        let judged = turn.begins.as_ref().or(turn.ends.as_ref());
        let judged_version = judged.map_or(report.newest_version, |version| version.base_version + 1);
        let stored = find_report(&mut *ground.conn, *id, judged_version).await?;
        let stored = stored.ok_or_else(|| Error::bug("a version that is judged is missing"))?;
        if let Decision::Approve(looked_past) = decision {
            expect_approvable(&report, &stored, looked_past.is_some(), ground)?;
        }
        if turn.moves() {
            // What replaces a version says why.
            let reason = if turn.begins.is_some() { &stored.amendment } else { decision.reason() };
            settle(ground, &report, &turn, reason).await?;
        }
        report.state = state;
        report.approved_version = match decision {
            Decision::Approve(_) => Some(judged_version),
            Decision::Void(_) => None,
            Decision::Take | Decision::Return(_) | Decision::Reject(_) => report.approved_version,
        };
        if matches!(decision, Decision::Reject(_)) {
            self.restore(ground, &mut report).await?;
        }
        report.revision = ground.revision(report.operator.scope())?;
        let reviewed = reviewed(ground, decision, &report, &stored);
        update_reviewed(&mut *ground.conn, &report, &reviewed).await?;
        let credit = match decision {
            Decision::Approve(_) => find_standing(&mut *ground.conn, *id).await?,
            _ => None,
        };
        let content_sha256 = stored.content_sha256;
        let review = Review { report: *id, version: judged_version, content_sha256, state, reviewed, credit };
        ground.record(report.operator.scope(), Record::Review(Box::new(review)))
    }
}

impl Deciding {
    /// A report of which an amendment was rejected is again what its approved version says.
    async fn restore(&self, ground: &mut Ground<'_>, report: &mut KnownReport) -> Result<(), Error> {
        let counts =
            read_version(&mut *ground.conn, self.tools.codec, report.id, report.approved_version).await?;
        if let Some(counts) = counts {
            (report.work_date, report.claimed) = (counts.work_date, counts.claims.outputs);
            report.holds.clear();
        }
        Ok(())
    }
}

fn reviewed(
    ground: &Ground<'_>,
    decision: &Decision,
    report: &KnownReport,
    stored: &StoredReport,
) -> Reviewed {
    Reviewed {
        by: ground.caller.subject().to_owned(),
        at: Some(ground.now),
        decision: decision.reason().to_owned(),
        remarks: match decision {
            Decision::Return(remarks) => remarks.clone(),
            _ => stored.reviewed.remarks.clone(),
        },
        approved_version: report.approved_version,
    }
}

/// Refuses to approve what somebody must look at first, unless the caller says why it counts all the same.
fn expect_approvable(
    report: &KnownReport,
    stored: &StoredReport,
    looked_past: bool,
    ground: &Ground<'_>,
) -> Result<(), Error> {
    const ACTION: &str = "be approved";
    let not_ready = |missing| {
        Refusal::NotReady { kind: Kind::Report, id: report.id.uuid(), action: ACTION, missing }.into()
    };
    // No reviewer can look past these: there is nothing that it could count for, or it has not happened.
    let mut fatal = Vec::new();
    if report.task.is_some() && report.program.is_none() {
        fatal.push("its task was not ordered from the operator; return it, or reject it".to_owned());
    }
    // Where days begin first.
    if today_in(&TimeZone::fixed(offset(14)), ground.now) < report.work_date {
        fatal.push(format!("{} has not come anywhere; return it", report.work_date));
    }
    if !fatal.is_empty() {
        return Err(not_ready(fatal));
    }
    let held = stored.holds.iter().filter(|hold| report.holds.contains(&hold.reason));
    let mut against: Vec<String> = held.map(|hold| format!("{}: {}", hold.reason, hold.text)).collect();
    let missing = stored.attachments.iter().filter(|(_, present)| !present).count();
    if 0 < missing {
        against.push(format!("{missing} of {} files are missing", stored.attachments.len()));
    }
    if against.is_empty() || looked_past {
        return Ok(());
    }
    against.push("if it counts all the same, say why in looked_past".to_owned());
    Err(not_ready(against))
}

impl App {
    /// Decides about a report.
    ///
    /// # Errors
    /// `NotFound` for what the caller does not see; `Forbidden` for who may not decide that; `Stale` when the caller knows
    /// an older state; `OwnReport`, `WrongState`, `NotReady` and `AreaCredited` by the rules; whatever the ledger refuses.
    pub async fn decide_report(
        &self,
        caller: &Caller,
        request: Request,
        asked: DecideReport,
    ) -> Result<Changed, Error> {
        let (tools, id) = (Tools { codec: self.codec, sealer: self.sealer.clone() }, asked.report);
        // Nothing is read for those who do not see it.
        let operator = find_operator(self.store.pool(), id).await?;
        let operator = operator.ok_or_else(|| Error::not_found(Kind::Report, id))?;
        self.expect_seen(caller, operator, Kind::Report, id).await?;
        let (decision, reading) = (asked.decision.clone(), tools.clone());
        let looked = self.store.look_up(move |conn| {
            let (decision, tools) = (decision.clone(), reading.clone());
            Box::pin(async move {
                let report = known_report(&mut *conn, id).await?;
                let turn = turn_of(conn, &tools, &report, &decision).await?;
                Ok((report, turn))
            })
        });
        let (report, turn) = looked.await?;
        let judged: Vec<FieldReport> = [turn.begins, turn.ends].into_iter().flatten().collect();
        self.expect_reviewer(caller, &report, (&asked.decision, &judged)).await?;
        self.change(caller, request, Deciding { asked, tools }).await
    }
}
