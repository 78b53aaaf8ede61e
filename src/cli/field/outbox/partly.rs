//! Versions that the service keeps in part: it is older than the app, and drops fields that it does not know. They stay here
//! whole. When the service knows more, it says that the content under the id is another one, and then the whole content
//! becomes the next version: of the first one also when the answer of before was lost on its way.

use prost::Message as _;
use rusqlite::{OptionalExtension as _, Transaction};

use crate::cli::field::outbox::Outbox;
use crate::cli::field::outbox::answers::{forget_details, is_there};
use crate::cli::field::outbox::knowledge::hear;
use crate::cli::field::outbox::reports::insert;
use crate::error::StartError;
use crate::rpc::pb;

impl Outbox {
    /// Versions that the service keeps in part are to be sent again.
    pub fn send_partly_again(&self) -> Result<(), StartError> {
        self.change(|tx| {
            tx.execute(
                "-- outbox.send_partly_again
                 UPDATE reports SET rests = 0 WHERE rests",
                (),
            )
        })?;
        Ok(())
    }

    /// How many versions the service keeps in part.
    pub fn partly_kept(&self) -> Result<i64, StartError> {
        self.read(|db| {
            let sql = "-- outbox.partly_kept
                       SELECT count(*) FROM reports WHERE partly IS NOT NULL AND state = 'SENDING'";
            db.query_row(sql, (), |row| row.get(0))
        })
    }
}

/// Notes that the service keeps a version in part. Nothing of it is forgotten here.
pub(super) fn keep_partly(
    tx: &Transaction<'_>,
    entry: i64,
    answer: &pb::SubmitReportResponse,
    clock: &pb::DeviceClock,
) -> rusqlite::Result<()> {
    tx.execute(
        "-- outbox.keep_partly
         UPDATE reports SET state = 'SENDING', answer = NULL, earlier = NULL, details_told = NULL, partly = ?2, rests = 1
          WHERE entry = ?1 AND state IN ('WAITING', 'SENDING', 'ACKNOWLEDGED')",
        (entry, answer.encode_to_vec()),
    )?;
    for file in answer.receipt.iter().flat_map(|receipt| &receipt.attachments) {
        is_there(tx, file)?;
    }
    answer.sync_state.as_ref().map_or(Ok(()), |state| hear(tx, state, clock))
}

/// Makes the whole content of a version that the service keeps in part the next version of its report, unless there is a
/// newer one here. The number stays taken: the service has it, also when it was not heard to say so.
pub(super) fn file_anew(tx: &Transaction<'_>, entry: i64) -> rusqlite::Result<()> {
    let kept: Option<(Vec<u8>, bool)> = tx
        .query_row(
            "-- outbox.partly
             SELECT content, EXISTS (SELECT 1 FROM reports AS newer
                                      WHERE newer.report_id = reports.report_id AND reports.entry < newer.entry
                                        AND newer.state <> 'REFUSED')
               FROM reports WHERE entry = ?1 AND state = 'SENDING'",
            [entry],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((content, is_old)) = kept else { return Ok(()) };
    tx.execute(
        "-- outbox.replace_partly
         UPDATE reports SET state = 'REPLACED', number = NULL, rests = 0 WHERE entry = ?1",
        [entry],
    )?;
    if !is_old && let Ok(mut report) = pb::FieldReport::decode(&*content) {
        report.base_version += 1;
        insert(tx, report)?;
    }
    forget_details(tx, entry).map(drop)
}
