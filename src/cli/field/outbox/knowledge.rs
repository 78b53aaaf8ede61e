//! What the device last heard of the service: which of its numbers arrived, and the records of its team's feed.

use prost::Message;
use rusqlite::Transaction;

use crate::cli::field::outbox::Outbox;
use crate::error::StartError;
use crate::rpc::pb;

/// Something that was heard, and the device's clock at that moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard<T> {
    /// What was heard.
    pub told: T,
    /// When.
    pub at: pb::DeviceClock,
}

/// What a message of the feed changes.
#[derive(Debug)]
pub(in crate::cli::field) enum FeedChange {
    /// The feed begins, in the history that it names. With a snapshot, what is not in that is forgotten at its end.
    Begin { epoch: String, snapshot: bool },
    /// A record as it is now.
    Put { kind: &'static str, id: String, content: Vec<u8> },
    /// Records that are gone, by kind and id.
    Forget(Vec<(&'static str, String)>),
    /// The snapshot is whole.
    SnapshotEnd,
    /// Everything was sent.
    UpToDate,
}

impl Outbox {
    /// What the service has of this device's numbering, as it said last.
    pub fn sync_state(&self) -> Result<Option<Heard<pb::SyncState>>, StartError> {
        self.read(|db| {
            let sql = "-- outbox.sync_state
                       SELECT sync_state, sync_heard FROM device";
            let (state, at): (Option<Vec<u8>>, Option<Vec<u8>>) =
                db.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(heard(state, at))
        })
    }

    /// Notes what the service has of the numbering. New reports never get a number that the service has seen.
    pub fn set_sync_state(&self, state: &pb::SyncState, clock: &pb::DeviceClock) -> Result<(), StartError> {
        self.change(|tx| hear(tx, state, clock))
    }

    /// Where the feed goes on; empty for a snapshot.
    pub fn feed_cursor(&self) -> Result<String, StartError> {
        self.read(|db| {
            let sql = "-- outbox.feed_cursor
                       SELECT feed_cursor FROM device";
            db.query_row(sql, (), |row| row.get(0))
        })
    }

    /// The device's clock when the feed last said that all was sent.
    pub fn feed_heard(&self) -> Result<Option<pb::DeviceClock>, StartError> {
        self.read(|db| {
            let sql = "-- outbox.feed_heard
                       SELECT feed_heard FROM device";
            let at: Option<Vec<u8>> = db.query_row(sql, (), |row| row.get(0))?;
            Ok(at.and_then(|bytes| pb::DeviceClock::decode(&*bytes).ok()))
        })
    }

    /// Applies a message of the feed together with its cursor, so that none is applied twice or left out.
    pub(in crate::cli::field) fn apply_feed(
        &self,
        change: &FeedChange,
        cursor: &str,
        clock: &pb::DeviceClock,
    ) -> Result<(), StartError> {
        self.change(|tx| {
            match change {
                FeedChange::Begin { epoch, snapshot } => {
                    in_history(tx, epoch)?;
                    if *snapshot {
                        begin_snapshot(tx)?;
                    }
                }
                FeedChange::Put { kind, id, content } => put(tx, kind, id, content)?,
                FeedChange::Forget(gone) => gone.iter().try_for_each(|(kind, id)| forget(tx, kind, id))?,
                FeedChange::SnapshotEnd => end_snapshot(tx)?,
                FeedChange::UpToDate => up_to_date(tx, clock)?,
            }
            tx.execute(
                "-- outbox.set_feed_cursor
                 UPDATE device SET feed_cursor = ?1",
                [cursor],
            )?;
            Ok(())
        })
    }

    /// Forgets where the feed was, so that it begins with a snapshot.
    pub(in crate::cli::field) fn restart_feed(&self) -> Result<(), StartError> {
        self.change(|tx| {
            tx.execute(
                "-- outbox.restart_feed
                 UPDATE device SET feed_cursor = ''",
                (),
            )
        })?;
        Ok(())
    }

    /// Records of one kind that the feed sent: `stop`, `assignment`, `task`, `site` or `returned`.
    pub fn feed_records<T: Message + Default>(&self, kind: &str) -> Result<Vec<T>, StartError> {
        self.read(|db| {
            let mut asked = db.prepare_cached(
                "-- outbox.feed_records
                 SELECT content FROM feed_records WHERE kind = ?1 ORDER BY id",
            )?;
            let read: Vec<Vec<u8>> = asked.query_map([kind], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(read.iter().filter_map(|bytes| T::decode(&**bytes).ok()).collect())
        })
    }
}

impl Outbox {
    /// How many records of a kind there are.
    pub(in crate::cli::field) fn feed_count(&self, kind: &str) -> Result<i64, StartError> {
        self.read(|db| {
            let sql = "-- outbox.feed_count
                       SELECT count(*) FROM feed_records WHERE kind = ?1";
            db.query_row(sql, [kind], |row| row.get(0))
        })
    }
}

fn heard<T: Message + Default>(told: Option<Vec<u8>>, at: Option<Vec<u8>>) -> Option<Heard<T>> {
    let told = T::decode(&*told?).ok()?;
    let at = pb::DeviceClock::decode(&*at?).ok()?;
    Some(Heard { told, at })
}

/// Whether the service has a number, as it said last: of a report whose answer was not heard, for example.
pub(super) fn arrived(tx: &Transaction<'_>, number: i64) -> rusqlite::Result<bool> {
    let sql = "-- outbox.numbering
               SELECT sync_state FROM device";
    let state: Option<Vec<u8>> = tx.query_row(sql, (), |row| row.get(0))?;
    let Some(state) = state.and_then(|state| pb::SyncState::decode(&*state).ok()) else { return Ok(false) };
    let is_missing = state.missing.iter().any(|range| (range.first..=range.last).contains(&number));
    // Of very many gaps it names the first ones only.
    let named: i64 = state.missing.iter().map(|range| range.last - range.first + 1).sum();
    let named_through = match state.missing.last() {
        Some(last) if named < state.missing_count => last.last,
        _ => state.highest,
    };
    Ok(number <= state.durable_through || (number <= named_through && !is_missing))
}

pub(super) fn hear(
    tx: &Transaction<'_>,
    state: &pb::SyncState,
    clock: &pb::DeviceClock,
) -> rusqlite::Result<()> {
    tx.execute(
        "-- outbox.hear
         UPDATE device SET sync_state = ?1, sync_heard = ?2, next_number = max(next_number, ?3 + 1)",
        (state.encode_to_vec(), clock.encode_to_vec(), state.highest),
    )?;
    Ok(())
}

/// A service with another history, such as after a backup was restored, may have lost files: they are asked for again.
fn in_history(tx: &Transaction<'_>, epoch: &str) -> rusqlite::Result<()> {
    tx.execute(
        "-- outbox.doubt_files
         UPDATE files SET state = 'WAITING', durable_offset = 0
          WHERE state = 'PRESENT' AND (SELECT feed_epoch NOT IN ('', ?1) FROM device)",
        [epoch],
    )?;
    tx.execute(
        "-- outbox.set_feed_epoch
         UPDATE device SET feed_epoch = ?1",
        [epoch],
    )?;
    Ok(())
}

fn begin_snapshot(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute(
        "-- outbox.begin_snapshot
         UPDATE device SET feed_snapshot = feed_snapshot + 1",
        (),
    )?;
    Ok(())
}

fn put(tx: &Transaction<'_>, kind: &str, id: &str, content: &[u8]) -> rusqlite::Result<()> {
    tx.execute(
        "-- outbox.put
         INSERT INTO feed_records (kind, id, snapshot, content)
         SELECT ?1, ?2, feed_snapshot, ?3 FROM device WHERE true
         ON CONFLICT (kind, id) DO UPDATE SET snapshot = excluded.snapshot, content = excluded.content",
        (kind, id, content),
    )?;
    Ok(())
}

fn forget(tx: &Transaction<'_>, kind: &str, id: &str) -> rusqlite::Result<()> {
    tx.execute(
        "-- outbox.forget
         DELETE FROM feed_records WHERE kind = ?1 AND id = ?2",
        (kind, id),
    )?;
    Ok(())
}

fn end_snapshot(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute(
        "-- outbox.end_snapshot
         DELETE FROM feed_records WHERE snapshot < (SELECT feed_snapshot FROM device)",
        (),
    )?;
    Ok(())
}

fn up_to_date(tx: &Transaction<'_>, clock: &pb::DeviceClock) -> rusqlite::Result<()> {
    tx.execute(
        "-- outbox.up_to_date
         UPDATE device SET feed_heard = ?1",
        [clock.encode_to_vec()],
    )?;
    Ok(())
}
