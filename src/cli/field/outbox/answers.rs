//! What answers of the service change in the outbox.

use prost::Message as _;
use rusqlite::{OptionalExtension as _, Transaction};

use crate::cli::field::content;
use crate::cli::field::outbox::Outbox;
use crate::cli::field::outbox::knowledge::{arrived, hear};
use crate::cli::field::outbox::partly::{file_anew, keep_partly};
use crate::error::StartError;
use crate::rpc::pb;

/// What an answer says about a version.
#[derive(Debug)]
pub enum Verdict {
    /// The service has it.
    Acknowledged(Box<pb::SubmitReportResponse>),
    /// The service has it without fields that it does not know.
    Partly(Box<pb::SubmitReportResponse>),
    /// The service, which had it in part, knows more now: the whole content is to be the next version.
    Anew,
    /// The service will never take it as it is.
    Refused(Refused),
}

/// Why the service will never take a version as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why, in words.
    pub told: String,
    /// The newest version, when another one replaced the base.
    pub newest: Option<i32>,
    /// Whether the service has other content in its place, which may have come under the same number.
    pub is_taken: bool,
    /// Whether the service takes no more versions of the report from a device.
    pub is_closed: bool,
}

impl Outbox {
    /// Notes what answers said, all at once, with what the service has of the numbering. Details of victims that the
    /// service keeps are forgotten.
    pub fn settle(&self, verdicts: &[(i64, Verdict)], clock: &pb::DeviceClock) -> Result<(), StartError> {
        let forgot = self.change(|tx| {
            let mut forgot = false;
            for (entry, verdict) in verdicts {
                match verdict {
                    Verdict::Acknowledged(answer) => forgot |= acknowledge(tx, *entry, answer, clock)?,
                    Verdict::Partly(answer) => keep_partly(tx, *entry, answer, clock)?,
                    Verdict::Anew => file_anew(tx, *entry)?,
                    Verdict::Refused(refused) => refuse(tx, *entry, refused)?,
                }
            }
            Ok(forgot)
        })?;
        if forgot { self.empty_log() } else { Ok(()) }
    }

    /// What was forgotten is in the write-ahead log as well. It is emptied, unless somebody reads at this moment: then it
    /// is overwritten by and by.
    fn empty_log(&self) -> Result<(), StartError> {
        self.read(|db| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())))
    }

    /// Versions that were acknowledged and whose numbers the service does not have any more, such as after a backup was
    /// restored, are to be sent again. Answers how many.
    pub fn send_again(&self, numbers: &[(i64, i64)]) -> Result<usize, StartError> {
        self.change(|tx| {
            let mut count = 0;
            for (first, last) in numbers {
                count += tx.execute(
                    "-- outbox.send_again
                     UPDATE reports SET state = 'SENDING', earlier = answer, answer = NULL
                      WHERE state = 'ACKNOWLEDGED' AND number BETWEEN ?1 AND ?2",
                    (first, last),
                )?;
            }
            Ok(count)
        })
    }

    /// Versions whose details of victims the service did not keep are to be sent again.
    pub fn send_details_again(&self) -> Result<(), StartError> {
        self.change(|tx| {
            tx.execute(
                "-- outbox.send_details_again
                 UPDATE reports SET state = 'SENDING', earlier = answer, answer = NULL
                  WHERE state = 'ACKNOWLEDGED' AND details_told IS NOT NULL",
                (),
            )
        })?;
        Ok(())
    }

    /// How many acknowledged versions have details of victims that the service does not keep.
    pub fn details_waiting(&self) -> Result<i64, StartError> {
        self.read(|db| {
            let sql = "-- outbox.details_waiting
                       SELECT count(*) FROM reports WHERE details_told IS NOT NULL AND state = 'ACKNOWLEDGED'";
            db.query_row(sql, (), |row| row.get(0))
        })
    }

    /// Files that the service has are asked for again, and uploaded where it lost them.
    pub fn doubt_files(&self) -> Result<(), StartError> {
        self.change(|tx| {
            tx.execute(
                "-- outbox.doubt_all_files
                 UPDATE files SET state = 'WAITING', durable_offset = 0 WHERE state = 'PRESENT'",
                (),
            )
        })?;
        Ok(())
    }

    /// Versions that were to be sent once more count as acknowledged again, as they were before.
    pub fn restore_acknowledged(&self) -> Result<(), StartError> {
        self.change(|tx| {
            tx.execute(
                "-- outbox.restore_acknowledged
                 UPDATE reports SET state = 'ACKNOWLEDGED', answer = earlier, earlier = NULL
                  WHERE state = 'SENDING' AND earlier IS NOT NULL",
                (),
            )
        })?;
        Ok(())
    }
}

/// Answers whether details of victims were forgotten.
fn acknowledge(
    tx: &Transaction<'_>,
    entry: i64,
    answer: &pb::SubmitReportResponse,
    clock: &pb::DeviceClock,
) -> rusqlite::Result<bool> {
    let told = answer.details_not_kept.as_ref().map(|of| &of.text);
    tx.execute(
        "-- outbox.acknowledge
         UPDATE reports SET state = 'ACKNOWLEDGED', answer = ?2, earlier = NULL, details_told = ?3, partly = NULL, rests = 0
          WHERE entry = ?1 AND state IN ('WAITING', 'SENDING', 'ACKNOWLEDGED')",
        (entry, answer.encode_to_vec(), told),
    )?;
    for file in answer.receipt.iter().flat_map(|receipt| &receipt.attachments) {
        is_there(tx, file)?;
    }
    if let Some(state) = &answer.sync_state {
        hear(tx, state, clock)?;
    }
    if told.is_some() { Ok(false) } else { forget_details(tx, entry) }
}

/// A file that the service lost needs another upload. Whether it has one is asked when its turn comes: a receipt says what
/// was stored once, and the store may have lost it. Of a broken file that may be there, it is asked as well.
pub(super) fn is_there(tx: &Transaction<'_>, file: &pb::AttachmentState) -> rusqlite::Result<()> {
    let sql = if file.present {
        "-- outbox.may_be_there
         UPDATE files SET state = 'WAITING', told = NULL WHERE sha256 = ?1 AND state = 'BROKEN'"
    } else {
        "-- outbox.lost_there
         UPDATE files SET state = 'WAITING', durable_offset = 0 WHERE sha256 = ?1 AND state = 'PRESENT'"
    };
    tx.execute(sql, [&file.sha256]).map(drop)
}

/// Takes the details of victims out of a version. Its hash says nothing of them. Answers whether there were any.
pub(super) fn forget_details(tx: &Transaction<'_>, entry: i64) -> rusqlite::Result<bool> {
    let content: Option<Vec<u8>> = tx
        .query_row(
            "-- outbox.urgent_content
             SELECT content FROM reports WHERE entry = ?1 AND urgent",
            [entry],
            |row| row.get(0),
        )
        .optional()?;
    let Some(report) = content.and_then(|content| pb::FieldReport::decode(&*content).ok()) else {
        return Ok(false);
    };
    let without = content::without_details(&report);
    if without == report {
        return Ok(false);
    }
    tx.execute(
        "-- outbox.forget_details
         UPDATE reports SET content = ?2 WHERE entry = ?1",
        (entry, without.encode_to_vec()),
    )?;
    Ok(true)
}

/// The number of what the service does not have at all is free again.
fn refuse(tx: &Transaction<'_>, entry: i64, refused: &Refused) -> rusqlite::Result<()> {
    let number: Option<i64> = tx
        .query_row(
            "-- outbox.number_of
             SELECT number FROM reports WHERE entry = ?1 AND state IN ('WAITING', 'SENDING')",
            [entry],
            |row| row.get(0),
        )
        .optional()?;
    let Some(number) = number else { return Ok(()) };
    // What was acknowledged before stays known as such.
    tx.execute(
        "-- outbox.refuse
         UPDATE reports
            SET state = 'REFUSED', number = NULL, refusal = ?2, details_told = NULL, rests = 0, newest = ?3, closed = ?4
          WHERE entry = ?1",
        (entry, &refused.told, refused.newest, refused.is_closed),
    )?;
    // Each round hears the numbering before it sends.
    if refused.is_taken || arrived(tx, number)? {
        return Ok(());
    }
    // Whatever was answered before is gone: a backup of the service was restored.
    tx.execute(
        "-- outbox.forget_answers
         UPDATE reports SET earlier = NULL, partly = NULL WHERE entry = ?1",
        [entry],
    )?;
    tx.execute(
        "-- outbox.free
         INSERT INTO free_numbers (number) VALUES (?1) ON CONFLICT DO NOTHING",
        [number],
    )?;
    Ok(())
}
