//! How everything but money changes: one transaction that holds the heads of the scopes that it changes.
//!
//! A [`Changing`] says which scopes it changes and does its work on a [`Ground`]: it reads rows, asks the domain,
//! writes rows and records what came of it. The mechanism here locks the heads in id order, finds retries, appends
//! one event to the journal of each scope, and wakes the streams after the commit. An event holds the request itself
//! and every record that it changed, as it is afterwards.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use crate::app::App;
use crate::app::batch::{Terms, book_one};
use crate::app::codec::EventCodec;
use crate::app::command::Command;
use crate::app::writer::Submission;
use crate::domain::accreditation::{Accreditation, Refresher, TaskLicence};
use crate::domain::assignment::Assignment;
use crate::domain::caller::Caller;
use crate::domain::entry::Entry;
use crate::domain::field_report::credit::Credit;
use crate::domain::field_report::review::Review;
use crate::domain::ids::ScopeId;
use crate::domain::kind::Kind;
use crate::domain::ledger::recorded_at;
use crate::domain::personal::{ErasedPerson, ErasedVictim};
use crate::domain::restatement::ReportingPeriod;
use crate::domain::safety_stop::SafetyStop;
use crate::domain::site::{Site, Survey};
use crate::domain::task::Task;
use crate::domain::team::{Asset, Member, Team};
use crate::error::Error;
use crate::store::change::{Appended, append};
use crate::store::journal::{EventKind, Head, NewEvent, find_answer, lock_heads};
use crate::store::{Connection, Planned};

/// What a caller sent: the same id and the same message get the same answer again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The id that the client made for what it creates, or for the call.
    pub id: Uuid,
    /// What the id is an id of.
    pub kind: Kind,
    /// The method, such as `TeamService/CreateTeam`.
    pub method: &'static str,
    /// The message, encoded.
    pub message: Bytes,
}

/// A record of the operations side, as it is after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A team.
    Team(Team),
    /// A site.
    Site(Box<Site>),
    /// A survey of a site.
    Survey(Survey),
    /// A membership.
    Member(Member),
    /// An asset.
    Asset(Asset),
    /// An accreditation.
    Accreditation(Box<Accreditation>),
    /// A refresher.
    Refresher(Refresher),
    /// A task licence.
    Licence(TaskLicence),
    /// An assignment.
    Assignment(Box<Assignment>),
    /// A task.
    Task(Box<Task>),
    /// A safety stop. It comes before whatever it halts.
    SafetyStop(Box<SafetyStop>),
    /// What was decided about a report.
    Review(Box<Review>),
    /// What an approved report counts for.
    Credit(Box<Credit>),
    /// A reporting period that was frozen.
    ReportingPeriod(Box<ReportingPeriod>),
    /// What remains of a victim whose details were erased.
    ErasedVictim(ErasedVictim),
    /// What remains of a person whose name was erased.
    ErasedPerson(ErasedPerson),
}

impl Record {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Team(_) => Kind::Team,
            Self::Site(_) => Kind::Site,
            Self::Survey(_) => Kind::Survey,
            Self::Member(_) => Kind::Member,
            Self::Asset(_) => Kind::Asset,
            Self::Accreditation(_) => Kind::Accreditation,
            Self::Refresher(_) => Kind::Refresher,
            Self::Licence(_) => Kind::TaskLicence,
            Self::Assignment(_) => Kind::Assignment,
            Self::Task(_) => Kind::Task,
            Self::SafetyStop(_) => Kind::SafetyStop,
            Self::Review(_) | Self::Credit(_) => Kind::Report,
            Self::ReportingPeriod(_) => Kind::ReportingPeriod,
            Self::ErasedVictim(_) => Kind::Victim,
            Self::ErasedPerson(_) => Kind::Person,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        match self {
            Self::Team(of) => of.id.uuid(),
            Self::Site(of) => of.id.uuid(),
            Self::Survey(of) => of.id.uuid(),
            Self::Member(of) => of.id.uuid(),
            Self::Asset(of) => of.id.uuid(),
            Self::Accreditation(of) => of.id.uuid(),
            Self::Refresher(of) => of.id.uuid(),
            Self::Licence(of) => of.id.uuid(),
            Self::Assignment(of) => of.id.uuid(),
            Self::Task(of) => of.id.uuid(),
            Self::SafetyStop(of) => of.id.uuid(),
            Self::Review(of) => of.report.uuid(),
            Self::Credit(of) => of.report.uuid(),
            Self::ReportingPeriod(of) => of.id.uuid(),
            Self::ErasedVictim(of) => of.victim.uuid(),
            Self::ErasedPerson(of) => of.person.uuid(),
        }
    }
}

/// What happened in one scope.
#[derive(Debug, Clone)]
pub struct Change {
    /// Revision of the scope's journal.
    pub revision: i64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Subject of the caller.
    pub recorded_by: String,
    /// What was asked.
    pub request: Arc<Request>,
    /// What came of it.
    pub records: Vec<Record>,
}

/// A change that is done, now or when it was sent first.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Revision of the first scope's journal.
    pub revision: i64,
    /// The event in it, encoded.
    pub message: Bytes,
}

/// A use case that changes something other than money.
pub trait Changing: Send + Sync + 'static {
    /// When its statements are planned: once only where all rows are found by their keys.
    const PLANNED: Planned = Planned::Anew;

    /// The scopes that it changes; the request is kept in the first. Asked before the heads are locked and once more
    /// after that, since what it depends on may change in between.
    fn scopes(&self, conn: &mut Connection) -> impl Future<Output = Result<Vec<ScopeId>, Error>> + Send;

    /// Does it. An error undoes everything.
    fn apply(&self, ground: &mut Ground<'_>) -> impl Future<Output = Result<(), Error>> + Send;

    /// Path of a field of which the journal keeps only a digest, when it differs from what the event of the first call
    /// was made with. Asked when the rest of the request is the same.
    fn differs(
        &self,
        _conn: &mut Connection,
        _codec: EventCodec,
        _event: &[u8],
    ) -> impl Future<Output = Result<Option<&'static str>, Error>> + Send {
        async { Ok(None) }
    }
}

/// What a change stands on: an open transaction that holds the heads of its scopes.
pub struct Ground<'c> {
    /// The transaction.
    pub conn: &'c mut Connection,
    /// Who asks.
    pub caller: &'c Caller,
    /// The moment of the change, not before anything that the scopes recorded earlier.
    pub now: Timestamp,
    codec: EventCodec,
    scopes: Vec<(Head, Vec<Record>)>,
}

impl Ground<'_> {
    /// The revision that a scope will have.
    ///
    /// # Errors
    /// A bug when the scope was not named.
    pub fn revision(&self, scope: ScopeId) -> Result<i64, Error> {
        let found = self.scopes.iter().find(|(head, _)| head.scope == scope);
        let (head, _) = found.ok_or_else(|| not_named(scope))?;
        Ok(head.revision + 1)
    }

    /// Records what came of it in the journal of a scope.
    ///
    /// # Errors
    /// A bug when the scope was not named.
    pub fn record(&mut self, scope: ScopeId, record: Record) -> Result<(), Error> {
        let found = self.scopes.iter_mut().find(|(head, _)| head.scope == scope);
        let (_, records) = found.ok_or_else(|| not_named(scope))?;
        records.push(record);
        Ok(())
    }

    /// Books an entry in the journal of its program, in the same transaction and before whatever is recorded there: the
    /// revision of the scope is one more after it. The id must be new.
    ///
    /// # Errors
    /// What the rules of the ledger refuse.
    pub async fn book(&mut self, entry: Entry) -> Result<(), Error> {
        let scope = entry.program.scope();
        let found = self.scopes.iter_mut().find(|(head, _)| head.scope == scope);
        let (head, _) = found.ok_or_else(|| not_named(scope))?;
        let terms = Terms { codec: self.codec, now: self.now, look_first: true };
        let by = Arc::new(self.caller.clone());
        *head =
            book_one(self.conn, terms, *head, Submission { command: Command::PostEntry(entry), by }).await?;
        Ok(())
    }
}

fn not_named(scope: ScopeId) -> Error {
    Error::bug(format!("a change of scope {scope} that it did not name"))
}

impl App {
    /// Changes something, once for each request id.
    ///
    /// # Errors
    /// Why it was refused, or why the service could not take it.
    pub async fn change<C: Changing>(
        &self,
        caller: &Caller,
        request: Request,
        changing: C,
    ) -> Result<Changed, Error> {
        let (codec, clock) = (self.codec, Arc::clone(&self.clock));
        let (caller, request) = (Arc::new(caller.clone()), Arc::new(request));
        let changing = Arc::new(changing);
        let method = request.method;
        let done = self.store.transaction_planned(method, C::PLANNED, move |conn| {
            let (caller, request, changing) =
                (Arc::clone(&caller), Arc::clone(&request), Arc::clone(&changing));
            let now = clock.now();
            Box::pin(async move { change_once(conn, codec, now, &caller, &request, &*changing).await })
        });
        let (changed, reached) = done.await?;
        for (scope, revision) in reached {
            self.feed.tell(scope, revision);
        }
        Ok(changed)
    }
}

type Done = (Changed, Vec<(ScopeId, i64)>);

async fn change_once(
    conn: &mut Connection,
    codec: EventCodec,
    now: Timestamp,
    caller: &Caller,
    request: &Arc<Request>,
    changing: &impl Changing,
) -> Result<Done, Error> {
    let scopes = changing.scopes(conn).await?;
    let first = *scopes.first().ok_or_else(|| Error::bug("a change of nothing"))?;
    let heads = lock(conn, &scopes).await?;
    if let Some(answer) = replay(conn, codec, (first, request), changing).await? {
        return Ok((answer, Vec::new()));
    }
    // Whoever held the heads may have changed which scopes this one concerns: one may have become two.
    if changing.scopes(conn).await? != scopes {
        return Err(Error::Contended);
    }
    let now = heads.iter().fold(now, |now, head| recorded_at(now, head.recorded_at));
    let scopes = heads.into_iter().map(|head| (head, Vec::new())).collect();
    let mut ground = Ground { conn, caller, now, codec, scopes };
    changing.apply(&mut ground).await?;
    let Ground { conn, scopes, .. } = ground;
    let (mut answer, mut reached) = (None, Vec::new());
    for (head, records) in scopes {
        // A scope that turned out not to be concerned keeps its revision.
        if records.is_empty() {
            continue;
        }
        let (scope, revision) = (head.scope, head.revision + 1);
        let subjects = records.iter().map(|record| (record.id(), record.kind())).collect();
        let recorded_by = caller.subject().to_owned();
        let change =
            Change { revision, recorded_at: now, recorded_by, request: Arc::clone(request), records };
        let message = Bytes::from((codec.encode_change)(&change));
        let (kind, digest) = (EventKind::Changed, None);
        let event = NewEvent { revision, kind, payload: message.clone(), request: request.id, digest };
        append(&mut *conn, &Appended { head, at: now, event, subjects }).await?;
        reached.push((scope, revision));
        if scope == first {
            answer = Some(Changed { revision, message });
        }
    }
    let answer = answer.ok_or_else(|| Error::bug(format!("{} recorded nothing", request.method)))?;
    Ok((answer, reached))
}

/// Locks the heads in id order. Scopes without a head are of nothing that exists.
async fn lock(conn: &mut Connection, scopes: &[ScopeId]) -> Result<Vec<Head>, Error> {
    let ids: Vec<Uuid> = scopes.iter().map(|scope| scope.uuid()).collect();
    let heads = lock_heads(conn, &ids).await?;
    match scopes.iter().find(|scope| heads.iter().all(|head| head.scope != **scope)) {
        Some(missing) => Err(Error::not_found(Kind::Organization, missing)),
        None => Ok(heads),
    }
}

/// The first answer to a request that was sent before.
async fn replay(
    conn: &mut Connection,
    codec: EventCodec,
    (scope, request): (ScopeId, &Request),
    changing: &impl Changing,
) -> Result<Option<Changed>, Error> {
    let Some(known) = find_answer(&mut *conn, scope, request.id).await? else { return Ok(None) };
    let event = known.event;
    let mut differs = (codec.request_differs)(event.kind, &event.payload, request);
    if differs.is_none() {
        differs = changing.differs(conn, codec, &event.payload).await?.map(str::to_owned);
    }
    match differs {
        None => Ok(Some(Changed { revision: event.revision, message: event.payload })),
        Some(differs) => {
            Err(Error::AlreadyExists { kind: request.kind, id: request.id.to_string(), differs })
        }
    }
}
