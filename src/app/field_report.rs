//! Taking in field reports: a group of one operator is one transaction that holds the head of its journal, so that
//! whoever sends the same report at the same moment waits, and then finds it stored.
//!
//! A report is refused only where it contradicts what is stored. What breaks a rule of the work is stored and held.

mod facts;
mod intake;
mod reads;
pub mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::App;
use crate::domain::caller::{Caller, Role};
use crate::domain::field_report::clock::DeviceClock;
use crate::domain::field_report::filing::{Filing, file, version_of};
use crate::domain::field_report::sequence::SyncState;
use crate::domain::field_report::{FieldReport, Hold, Receipt, ReportOutcome, ReportState};
use crate::domain::ids::{OrganizationId, ReportId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::ledger::recorded_at;
use crate::domain::organization::OrganizationKind;
use crate::domain::refusal::Refusal;
use crate::error::Error;
use crate::store::Connection;
use crate::store::field_report::facts::list_owners;
use crate::store::field_report::known::find_content;
use crate::store::field_report::write::{append_events, write};
use crate::store::journal::{Head, lock_heads};

use intake::{Intake, Sender};

/// A report, and the clock of its device when it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The report.
    pub report: FieldReport,
    /// The device's clock at that moment, if it was sent along.
    pub clock: Option<DeviceClock>,
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
            for (place, answer) in places.into_iter().zip(self.take_in(caller, operator, group).await) {
                answers[place] = Some(answer);
            }
        }
        let lost = || Err(Arc::new(Error::bug("a report without its answer")));
        answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect()
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
        let (codec, clock) = (self.codec, Arc::clone(&self.clock));
        let (group, received_by) = (Arc::new(group), Arc::<str>::from(caller.subject()));
        let count = group.len();
        let done = self.store.transaction("field_report.take_in", move |conn| {
            let (group, received_by) = (Arc::clone(&group), Arc::clone(&received_by));
            let now = clock.now();
            Box::pin(async move {
                let head = lock_head(conn, operator).await?;
                let sender = Sender { operator, received_by, at: recorded_at(now, head.recorded_at) };
                let mut intake = Intake::load(conn, sender, head, codec, &group).await?;
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

async fn lock_head(conn: &mut Connection, operator: OrganizationId) -> Result<Head, Error> {
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
    Ok(match file(known, report) {
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
    })
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
    if events.is_empty() {
        return Ok(());
    }
    append_events(&mut *conn, intake.head(), intake.at(), events).await?;
    write(conn, &intake.filed()).await
}
