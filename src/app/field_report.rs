//! Taking in field reports: a group of one operator is one transaction that holds the head of its journal, so that
//! whoever sends the same report at the same moment waits, and then finds it stored.
//!
//! A report is refused only where it contradicts what is stored. What breaks a rule of the work is stored and held.

mod approval;
mod facts;
mod halting;
mod intake;
mod land;
mod reads;
pub mod review;
mod reviewers;
mod strength;
mod told;
pub mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::App;
use crate::app::rights::may_act_for;
use crate::domain::caller::{Caller, Role};
use crate::domain::field_report::clock::DeviceClock;
use crate::domain::field_report::filing::{Chain, Filing, amend, file, version_of};
use crate::domain::field_report::halt::HaltAnswer;
use crate::domain::field_report::review::expect_amendable;
use crate::domain::field_report::sequence::SyncState;
use crate::domain::field_report::{FieldReport, Hold, Receipt, ReportOutcome, ReportState};
use crate::domain::ids::{OrganizationId, ReportId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::ledger::recorded_at;
use crate::domain::organization::OrganizationKind;
use crate::domain::refusal::Refusal;
use crate::domain::text::Reason;
use crate::error::{Error, Violations};
use crate::store::field_report::facts::list_owners;
use crate::store::field_report::known::find_content;
use crate::store::field_report::listing::find_operator;
use crate::store::field_report::write::write;
use crate::store::journal::{Head, append_events, lock_heads};
use crate::store::personal::insert_records;
use crate::store::{Connection, Planned};

use halting::Asked;
use intake::{Intake, Sender, Tools};

/// A report, and the clock of its device when it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The report.
    pub report: FieldReport,
    /// The device's clock at that moment, if it was sent along.
    pub clock: Option<DeviceClock>,
    /// Why a coordinator amends an approved report by it; none for what a device sends.
    pub amendment: Option<Reason>,
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// In one word.
    pub outcome: ReportOutcome,
    /// Why it is in quarantine, if it is.
    pub holds: Vec<Hold>,
    /// What is stored for good.
    pub receipt: Receipt,
    /// The device's numbering after it.
    pub sync_state: SyncState,
    /// Why the details of its victims that came with it are not stored; none when they are, or when none came.
    pub details_not_kept: Option<Refusal>,
    /// What became of the safety stop that it asks for; none when it asks for none.
    pub halt: Option<HaltAnswer>,
}

/// What became of a report of a group; reports of one transaction may have failed together.
pub type Answer = Result<Submitted, Arc<Error>>;

impl App {
    /// Takes in reports, in their order. Each is answered by itself.
    pub async fn submit_reports(&self, caller: &Caller, reports: Vec<Sent>) -> Vec<Answer> {
        let operators = match self.operators_of(caller, &reports).await {
            Ok(operators) => operators,
            Err(error) => return all_failed(reports.len(), error),
        };
        let mut groups: BTreeMap<OrganizationId, (Vec<usize>, Vec<Sent>)> = BTreeMap::new();
        let mut answers: Vec<Option<Answer>> = Vec::with_capacity(reports.len());
        for (index, (sent, operator)) in reports.into_iter().zip(operators).enumerate() {
            answers.push(None);
            if let Some(operator) = operator {
                let (places, group) = groups.entry(operator).or_default();
                places.push(index);
                group.push(sent);
            } else {
                answers[index] = Some(Err(Arc::new(Error::not_found(Kind::Team, sent.report.team))));
            }
        }
        for (operator, (places, group)) in groups {
            let asked: Vec<Option<Asked>> = group.iter().map(|sent| Asked::by(&sent.report)).collect();
            let taken = self.take_in(caller, operator, group).await;
            for (place, (answer, asked)) in places.into_iter().zip(taken.into_iter().zip(asked)) {
                answers[place] = Some(self.halted(caller, operator, answer, asked).await);
            }
        }
        let lost = || Err(Arc::new(Error::bug("a report without its answer")));
        answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect()
    }

    /// Stores a new version of an approved report, which counts as it was until the new one is approved.
    ///
    /// # Errors
    /// `WrongState` for what is not approved; `Stale` for another base than the newest version; `Invalid` for another
    /// device, number or kind.
    pub async fn amend_report(
        &self,
        caller: &Caller,
        report: FieldReport,
        reason: Reason,
    ) -> Result<Submitted, Arc<Error>> {
        let missing = || Error::not_found(Kind::Report, report.id);
        let operator = find_operator(self.store.pool(), report.id).await?.ok_or_else(missing)?;
        self.expect_seen(caller, operator, Kind::Report, report.id).await?;
        may_act_for(caller, operator)?;
        let asked = Asked::by(&report);
        let sent = Sent { report, clock: None, amendment: Some(reason) };
        let answer = self.take_in(caller, operator, vec![sent]).await.pop();
        let answer = answer.unwrap_or_else(|| Err(Arc::new(Error::bug("an amendment without its answer"))));
        self.halted(caller, operator, answer, asked).await
    }

    /// An answer, after the safety stop was raised that its report asks for.
    async fn halted(
        &self,
        caller: &Caller,
        operator: OrganizationId,
        answer: Answer,
        asked: Option<Asked>,
    ) -> Answer {
        let (submitted, asked) = match (answer, asked) {
            (Ok(submitted), Some(asked)) => (submitted, asked),
            (answer, _) => return answer,
        };
        let halt = Some(self.halt(caller, operator, asked).await?);
        Ok(Submitted { halt, ..submitted })
    }

    /// The operator whose report each is: the caller's own. An administrator reports for whichever team is named; none
    /// where there is no such team.
    async fn operators_of(
        &self,
        caller: &Caller,
        reports: &[Sent],
    ) -> Result<Vec<Option<OrganizationId>>, Error> {
        if caller.role() != Role::Admin {
            let own = OrganizationId::new(caller.organization_id().ok_or(Error::Forbidden)?);
            self.expect_organization(own, OrganizationKind::Operator).await?;
            return Ok(vec![Some(own); reports.len()]);
        }
        let teams: Vec<_> = reports.iter().map(|sent| sent.report.team.uuid()).collect();
        let owners: BTreeMap<TeamId, _> = list_owners(self.store.pool(), &teams).await?.into_iter().collect();
        Ok(reports.iter().map(|sent| owners.get(&sent.report.team).copied()).collect())
    }

    async fn take_in(&self, caller: &Caller, operator: OrganizationId, group: Vec<Sent>) -> Vec<Answer> {
        let turn = match self.turns.take(operator).await {
            Ok(turn) => turn,
            Err(error) => return all_failed(group.len(), error),
        };
        let (tools, clock) = (
            Tools { codec: self.codec, sealer: self.sealer.clone(), keys: self.personal_keys.clone() },
            Arc::clone(&self.clock),
        );
        let (group, received_by) = (Arc::new(group), Arc::<str>::from(caller.subject()));
        let count = group.len();
        let done = self.store.transaction_planned("field_report.take_in", Planned::Once, move |conn| {
            let (group, received_by) = (Arc::clone(&group), Arc::clone(&received_by));
            let tools = tools.clone();
            let now = clock.now();
            Box::pin(async move {
                let head = lock_head(conn, operator).await?;
                let sender = Sender { operator, received_by, at: recorded_at(now, head.recorded_at) };
                let mut intake = Intake::load(conn, sender, head, tools, &group).await?;
                let mut answers = Vec::with_capacity(group.len());
                for sent in group.iter() {
                    answers.push(take_one(conn, &mut intake, sent).await?);
                }
                store_all(conn, &mut intake).await?;
                Ok((answers, intake.revision()))
            })
        });
        let done = done.await;
        drop(turn);
        match done {
            Ok((answers, revision)) => {
                self.feed.tell(operator.scope(), revision);
                answers.into_iter().map(|answer| answer.map_err(Arc::new)).collect()
            }
            Err(error) => all_failed(count, error),
        }
    }
}

/// Answers for reports that failed together.
fn all_failed(count: usize, error: Error) -> Vec<Answer> {
    let error = Arc::new(error);
    (0..count).map(|_| Err(Arc::clone(&error))).collect()
}

/// Locks the head of an operator's journal.
pub(super) async fn lock_head(conn: &mut Connection, operator: OrganizationId) -> Result<Head, Error> {
    let heads = lock_heads(conn, &[operator.uuid()]).await?;
    heads.into_iter().next().ok_or_else(|| Error::not_found(Kind::Organization, operator))
}

/// Judges one report. The inner error is its refusal; the outer one ends the transaction.
async fn take_one(
    conn: &mut Connection,
    intake: &mut Intake,
    sent: &Sent,
) -> Result<Result<Submitted, Error>, Error> {
    let report = &sent.report;
    let known = intake.chain(report.id);
    if known.is_some_and(|chain| chain.report.operator != intake.operator()) {
        return Ok(Err(Error::id_elsewhere(Kind::Report, report.id, "report.team_id")));
    }
    let filing = match &sent.amendment {
        None => file(known, report),
        Some(reason) => match (amend(known, report), known) {
            (Filing::There, Some(chain)) if !was_amended_for(chain, report, reason) => {
                return Ok(Err(reason_differs(report.id)));
            }
            (Filing::There, _) => Filing::There,
            (filing, _) => match expect_amendment(conn, intake, report).await? {
                Ok(()) => filing,
                Err(refused) => return Ok(Err(refused)),
            },
        },
    };
    let answer = match filing {
        Filing::There => intake.found(report),
        Filing::Taken => Err(taken(conn, intake, report).await?),
        Filing::Stale { newest } => Err(Error::Stale {
            kind: Kind::Report,
            id: report.id.to_string(),
            expected: report.base_version.into(),
            current: newest.into(),
        }),
        Filing::Final(state) => Err(is_final(report.id, state)),
        Filing::Newest { base_missing } => intake.add_newest(sent, base_missing),
        Filing::Gap => intake.add_older(sent),
    };
    match answer {
        Ok(submitted) => Ok(Ok(Submitted { details_not_kept: intake.seal(report)?, ..submitted })),
        Err(refused) => Ok(Err(refused)),
    }
}

fn was_amended_for(chain: &Chain, report: &FieldReport, reason: &Reason) -> bool {
    let stored = chain.versions.get(&version_of(report));
    stored.is_some_and(|stored| stored.amendment == reason.as_str())
}

fn reason_differs(id: ReportId) -> Error {
    Error::AlreadyExists { kind: Kind::Report, id: id.to_string(), differs: "reason".to_owned() }
}

/// Refuses an amendment of what does not count, and one that would make it another report.
async fn expect_amendment(
    conn: &mut Connection,
    intake: &Intake,
    report: &FieldReport,
) -> Result<Result<(), Error>, Error> {
    let Some(chain) = intake.chain(report.id) else {
        return Ok(Err(Error::not_found(Kind::Report, report.id)));
    };
    if let Err(refused) = expect_amendable(&chain.report) {
        return Ok(Err(refused.into()));
    }
    let approved = chain.report.approved_version.unwrap_or(chain.report.newest_version);
    let content = find_content(conn, report.id, approved).await?;
    let approved = intake.read(&content.ok_or_else(|| Error::bug("an approved version is missing"))?)?;
    let mut violations = Violations::default();
    let stays = "is not that of the report; leave what says which report it is";
    if report.device != approved.device {
        violations.add("report.device_id", stays);
    }
    if report.sequence != approved.sequence {
        violations.add("report.device_sequence", stays);
    }
    if report.team != approved.team {
        violations.add("report.team_id", stays);
    }
    if report.task != approved.task {
        violations.add("report.task_id", "is another task than it counts for; void it and report it anew");
    }
    if report.kind != approved.kind {
        violations.add("report.body", stays);
    }
    Ok(violations.check())
}

/// Says in which field the first version that is stored differs.
async fn taken(conn: &mut Connection, intake: &Intake, report: &FieldReport) -> Result<Error, Error> {
    let version = version_of(report);
    let stored = match intake.content_of(report.id, version) {
        Some(content) => Some(content),
        None => find_content(conn, report.id, version).await?,
    };
    let differs = stored.and_then(|stored| intake.differs(&stored, &report.content));
    let differs = differs.unwrap_or_else(|| "report".to_owned());
    Ok(Error::AlreadyExists { kind: Kind::Report, id: report.id.to_string(), differs })
}

fn is_final(id: ReportId, state: ReportState) -> Error {
    let open = ReportState::ALL.iter().filter(|state| !state.is_final());
    Error::from(Refusal::WrongState {
        kind: Kind::Report,
        id: id.uuid(),
        state: state.word(),
        action: "take another version",
        allowed: open.map(|state| state.word()).collect(),
    })
}

async fn store_all(conn: &mut Connection, intake: &mut Intake) -> Result<(), Error> {
    let events = intake.take_events();
    if !events.is_empty() {
        append_events(&mut *conn, intake.head(), intake.at(), &events).await?;
        write(&mut *conn, &intake.filed()).await?;
    }
    // Details may also come later than the report that names their hash.
    if intake.sealed().is_empty() { Ok(()) } else { insert_records(conn, intake.sealed()).await }
}
