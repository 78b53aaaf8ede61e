//! Versions of reports in the outbox, from their capture to the answer that names them.

use std::fmt;

use prost::Message as _;
use rusqlite::{OptionalExtension as _, Row, Transaction};

use crate::cli::field::content;
use crate::cli::field::outbox::Outbox;
use crate::error::StartError;
use crate::rpc::pb;

/// What became of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// It was not sent yet.
    Waiting,
    /// It was sent, and may have arrived. It is sent again until an answer names it.
    Sending,
    /// The service has it for good.
    Acknowledged,
    /// The service does not take it. It stays here until it is amended.
    Refused,
    /// It was refused, and another content took its place.
    Replaced,
}

impl EntryState {
    const ALL: [Self; 5] = [Self::Waiting, Self::Sending, Self::Acknowledged, Self::Refused, Self::Replaced];

    const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Sending => "SENDING",
            Self::Acknowledged => "ACKNOWLEDGED",
            Self::Refused => "REFUSED",
            Self::Replaced => "REPLACED",
        }
    }
}

impl fmt::Display for EntryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A version of a report in the outbox.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the outbox, in the order of capture.
    pub entry: i64,
    /// The report as it is sent.
    pub report: pb::FieldReport,
    /// Content hash that the answer must name.
    pub content_sha256: [u8; 32],
    /// What became of it.
    pub state: EntryState,
    /// What the service answered, once it has it.
    pub answer: Option<pb::SubmitReportResponse>,
    /// Why the service does not take it.
    pub refusal: Option<String>,
    /// What the service answered before, while it is sent once more.
    pub earlier: Option<pb::SubmitReportResponse>,
    /// Why the service does not keep the details of its victims, which wait here.
    pub details_told: Option<String>,
    /// What the service answered, when it keeps the version without fields that it does not know.
    pub partly: Option<pb::SubmitReportResponse>,
    /// The newest version of the report, when this one was refused since another had replaced its base.
    pub newest: Option<i32>,
    /// Whether the service takes no more versions of the report from a device.
    pub is_closed: bool,
}

impl Entry {
    /// What the service said last of the version as it has it.
    #[must_use]
    pub fn heard(&self) -> Option<&pb::SubmitReportResponse> {
        self.answer.as_ref().or(self.earlier.as_ref()).or(self.partly.as_ref())
    }

    /// Whether the service has the version, or will: then the next one of the report comes after it.
    #[must_use]
    pub const fn stands(&self) -> bool {
        match self.state {
            EntryState::Waiting | EntryState::Sending | EntryState::Acknowledged => true,
            EntryState::Refused => self.partly.is_some() || self.earlier.is_some(),
            // Without a refusal it was replaced by its own whole content.
            EntryState::Replaced => self.partly.is_some() || self.earlier.is_some() || self.refusal.is_none(),
        }
    }
}

/// A version that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Its place in the outbox.
    pub entry: i64,
    /// How large it is.
    pub bytes: usize,
}

const COLUMNS: &str =
    "entry, content, content_sha256, state, answer, refusal, earlier, details_told, partly, newest, closed";

impl Outbox {
    /// Numbers a new version and keeps it, for good. Its files are in the outbox already. A report that is refused
    /// leaves its number to the next one. Refused versions of the same report make room.
    pub fn add(&self, report: pb::FieldReport) -> Result<Entry, StartError> {
        self.change(|tx| {
            let entry = insert(tx, report)?;
            replace_refused(tx, &entry.report.report_id)?;
            Ok(entry)
        })
    }

    /// The versions that are to be sent: accidents first, then in the order of their numbers.
    pub fn due(&self) -> Result<Vec<Due>, StartError> {
        self.read(|db| {
            let mut asked = db.prepare_cached(
                "-- outbox.due
                 SELECT entry, length(content) FROM reports WHERE state IN ('WAITING', 'SENDING') AND NOT rests
                  ORDER BY urgent DESC, number",
            )?;
            let due = |row: &Row<'_>| {
                let bytes: i64 = row.get(1)?;
                Ok(Due { entry: row.get(0)?, bytes: usize::try_from(bytes).unwrap_or(usize::MAX) })
            };
            asked.query_map((), due)?.collect()
        })
    }

    /// Marks versions as sent, before they are. Answers those that are still to be sent.
    pub fn sending(&self, entries: &[i64]) -> Result<Vec<Entry>, StartError> {
        self.change(|tx| {
            let mut marked = tx.prepare_cached(&format!(
                "-- outbox.sending
                 UPDATE reports SET state = 'SENDING' WHERE entry = ?1 AND state IN ('WAITING', 'SENDING')
                 RETURNING {COLUMNS}",
            ))?;
            let mut due = Vec::with_capacity(entries.len());
            for entry in entries {
                due.extend(marked.query_row([entry], entry_of).optional()?);
            }
            Ok(due)
        })
    }

    /// Numbers of refused versions, which the next ones take.
    pub fn free_numbers(&self) -> Result<Vec<i64>, StartError> {
        self.read(|db| {
            let mut asked = db.prepare_cached(
                "-- outbox.free_numbers
                 SELECT number FROM free_numbers ORDER BY number",
            )?;
            asked.query_map((), |row| row.get(0))?.collect()
        })
    }

    /// Every version, in the order of capture.
    pub fn entries(&self) -> Result<Vec<Entry>, StartError> {
        self.read(|db| {
            let sql = format!("-- outbox.entries\nSELECT {COLUMNS} FROM reports ORDER BY entry");
            db.prepare_cached(&sql)?.query_map((), entry_of)?.collect()
        })
    }

    /// The versions of one report, in the order of capture.
    pub fn versions(&self, report_id: &str) -> Result<Vec<Entry>, StartError> {
        self.read(|db| {
            let sql = format!(
                "-- outbox.versions\nSELECT {COLUMNS} FROM reports WHERE report_id = ?1 ORDER BY entry"
            );
            db.prepare_cached(&sql)?.query_map([report_id], entry_of)?.collect()
        })
    }
}

fn entry_of(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let broken = |column, error: prost::DecodeError| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, Box::new(error))
    };
    let content: Vec<u8> = row.get(1)?;
    let report = pb::FieldReport::decode(&*content).map_err(|error| broken(1, error))?;
    let answered = |column| {
        let answer: Option<Vec<u8>> = row.get(column)?;
        let answer = answer.map(|bytes| pb::SubmitReportResponse::decode(&*bytes)).transpose();
        answer.map_err(|error| broken(column, error))
    };
    let word: String = row.get(3)?;
    let state = EntryState::ALL.into_iter().find(|state| state.word() == word);
    Ok(Entry {
        entry: row.get(0)?,
        report,
        content_sha256: row.get(2)?,
        state: state.unwrap_or(EntryState::Waiting),
        answer: answered(4)?,
        refusal: row.get(5)?,
        earlier: answered(6)?,
        details_told: row.get(7)?,
        partly: answered(8)?,
        newest: row.get(9)?,
        is_closed: row.get(10)?,
    })
}

/// Numbers a version and inserts it, with the files that it declares.
pub(super) fn insert(tx: &Transaction<'_>, mut report: pb::FieldReport) -> rusqlite::Result<Entry> {
    let number = next_number(tx)?;
    report.device_sequence = number;
    let content_sha256 = content::sha256_of(&report);
    let urgent = matches!(report.body, Some(pb::field_report::Body::Accident(_)));
    let row =
        (&report.report_id, report.base_version, number, urgent, report.encode_to_vec(), content_sha256);
    tx.execute(
        "-- outbox.add
         INSERT INTO reports (report_id, base_version, number, urgent, content, content_sha256, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'WAITING')",
        row,
    )?;
    let entry = tx.last_insert_rowid();
    for file in &report.attachments {
        declare(tx, entry, file)?;
    }
    Ok(Entry {
        entry,
        report,
        content_sha256,
        state: EntryState::Waiting,
        answer: None,
        refusal: None,
        earlier: None,
        details_told: None,
        partly: None,
        newest: None,
        is_closed: false,
    })
}

/// The lowest number that was freed, or the next new one.
fn next_number(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    let freed = tx
        .query_row(
            "-- outbox.take_freed
             DELETE FROM free_numbers WHERE number = (SELECT min(number) FROM free_numbers) RETURNING number",
            (),
            |row| row.get(0),
        )
        .optional()?;
    if let Some(number) = freed {
        return Ok(number);
    }
    tx.query_row(
        "-- outbox.take_next
         UPDATE device SET next_number = next_number + 1 RETURNING next_number - 1",
        (),
        |row| row.get(0),
    )
}

/// What the newest version says stands for all of them: what others knew of victims is forgotten.
fn replace_refused(tx: &Transaction<'_>, report_id: &str) -> rusqlite::Result<()> {
    let mut replaced = tx.prepare_cached(
        "-- outbox.replace
         UPDATE reports SET state = 'REPLACED' WHERE report_id = ?1 AND state = 'REFUSED' RETURNING entry",
    )?;
    let entries: Vec<i64> = replaced.query_map([report_id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    entries.into_iter().try_for_each(|entry| super::answers::forget_details(tx, entry).map(drop))
}

fn declare(tx: &Transaction<'_>, entry: i64, file: &pb::Attachment) -> rusqlite::Result<()> {
    // A file that was found broken is whole again when it is attached again.
    tx.execute(
        "-- outbox.keep
         INSERT INTO files (sha256, size) VALUES (?1, ?2)
         ON CONFLICT (sha256) DO UPDATE SET state = 'WAITING', told = NULL WHERE state = 'BROKEN'",
        (&file.sha256, file.size),
    )?;
    tx.execute(
        "-- outbox.declare
         INSERT INTO declared (entry, sha256) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        (entry, &file.sha256),
    )?;
    Ok(())
}
