//! Proves after each load that what was answered is what is stored: no more, no less.

use sqlx::{Connection as _, PgConnection};
use tokio_stream::StreamExt as _;

use safelane::rpc::pb;
use safelane::rpc::pb::verify_ledger_response::Message;

use crate::Failure;
use crate::cluster::Cluster;
use crate::entry::MINOR_UNITS;
use crate::figures::Hundredths;
use crate::load::Stage;
use crate::program::{Program, Standing, funding};
use crate::tally::Tally;

/// How things stood before a load.
pub(crate) struct Before {
    standing: Standing,
    bytes: u64,
}

/// What the database adds to the answers.
pub(crate) struct Proven {
    pub(crate) batch: Hundredths,
    pub(crate) bytes_each: u64,
}

impl Before {
    pub(crate) async fn now(stage: &Stage<'_>) -> Result<Self, Failure> {
        let mut connection = stage.cluster.connect(&stage.database).await?;
        let bytes = Cluster::stored_bytes(&mut connection).await?;
        connection.close().await?;
        Ok(Self { standing: stage.program.standing(stage.service.address()).await?, bytes })
    }

    /// Compares the service's word and the tables with the tally.
    pub(crate) async fn prove(self, stage: &Stage<'_>, tally: &Tally) -> Result<Proven, Failure> {
        let after = stage.program.standing(stage.service.address()).await?;
        let mut connection = stage.cluster.connect(&stage.database).await?;
        self.prove_revisions(&after, tally)?;
        self.prove_money(&after, tally)?;
        let head = head(&mut connection, stage.program).await?;
        if head != after.revision {
            return Err(format!("the head is at {head}, the service says {}", after.revision).into());
        }
        let from = self.standing.revision;
        let batch = batch(&mut connection, stage.program, from, after.revision).await?;
        let grown = Cluster::stored_bytes(&mut connection).await?.saturating_sub(self.bytes);
        connection.close().await?;
        Ok(Proven { batch, bytes_each: grown / tally.accepted.max(1) })
    }

    /// Each accepted entry has a revision of its own, and there are no others.
    fn prove_revisions(&self, after: &Standing, tally: &Tally) -> Result<(), Failure> {
        let (first, last) = (self.standing.revision, after.revision);
        if last - first != i64::try_from(tally.accepted)? {
            let accepted = tally.accepted;
            return Err(format!("{accepted} entries were accepted from revision {first} to {last}").into());
        }
        let Some(revisions) = &tally.revisions else { return Ok(()) };
        let mut sorted = revisions.clone();
        sorted.sort_unstable();
        if (first + 1..=last).eq(sorted) {
            return Ok(());
        }
        Err(format!("the answers do not hold each revision from {} to {last} once", first + 1).into())
    }

    /// Each task has spent what was answered for it.
    fn prove_money(&self, after: &Standing, tally: &Tally) -> Result<(), Failure> {
        let tasks = self.standing.expended.iter().zip(&after.expended).zip(&tally.by_task);
        for (place, ((before, after), entries)) in tasks.enumerate() {
            let expected = before + i64::try_from(*entries)? * MINOR_UNITS;
            if *after != expected {
                let told = format!("task {place} has spent {after} minor units instead of {expected}");
                return Err(told.into());
            }
        }
        Ok(())
    }
}

async fn head(connection: &mut PgConnection, program: &Program) -> Result<i64, Failure> {
    const HEAD: &str = "-- bench.head
        SELECT revision FROM journal_head WHERE scope_id = $1::UUID";
    Ok(sqlx::query_scalar(HEAD).bind(&program.id).fetch_one(connection).await?)
}

/// Entries of one transaction on average: those share the time at which they were recorded.
async fn batch(
    connection: &mut PgConnection,
    program: &Program,
    after: i64,
    last: i64,
) -> Result<Hundredths, Failure> {
    const BATCH: &str = "-- bench.batch
        SELECT COUNT(*), COUNT(DISTINCT recorded_at)
        FROM journal
        WHERE scope_id = $1::UUID AND $2 < revision AND revision <= $3";
    let counted = sqlx::query_as::<_, (i64, i64)>(BATCH).bind(&program.id).bind(after).bind(last);
    let (entries, transactions) = counted.fetch_one(connection).await?;
    if entries != last - after {
        return Err(format!("the journal has {entries} rows from {after} to {last}").into());
    }
    Ok(Hundredths::of(u64::try_from(entries)?, u64::try_from(transactions)?))
}

/// Lets the service replay the journal, and tells how many entries it read.
pub(crate) async fn verify(stage: &Stage<'_>) -> Result<i64, Failure> {
    let request = pb::VerifyLedgerRequest { program_id: stage.program.id.clone() };
    let mut client = funding(stage.service.address()).await?;
    let mut answers = client.verify_ledger(request).await?.into_inner();
    while let Some(answer) = answers.next().await {
        if let Some(Message::Verdict(verdict)) = answer?.message {
            if verdict.holds {
                return Ok(verdict.entries_read);
            }
            return Err(format!("the ledger does not hold: {}", verdict.first_difference).into());
        }
    }
    Err("VerifyLedger ended without a verdict".into())
}
