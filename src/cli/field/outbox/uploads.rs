//! Which files are still to be uploaded, and how far each is.

use prost::Message as _;

use crate::cli::field::outbox::Outbox;
use crate::error::StartError;
use crate::rpc::pb;

/// A file of a report that the service has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
    /// Its size in bytes.
    pub size: i64,
    /// What the service had of it when it was heard last.
    pub durable_offset: i64,
    /// A report that declares it and that the service has.
    pub report_id: String,
}

/// How an upload ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadEnd {
    /// The service has the whole file, and its hash is right.
    Present,
    /// It cannot be uploaded from here; the text says why.
    Broken(String),
}

/// A file that cannot be uploaded from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenFile {
    /// SHA-256 of what its content was.
    pub sha256: Vec<u8>,
    /// What people call it.
    pub name: String,
    /// The newest report that declares it.
    pub report_id: String,
    /// Why it cannot be uploaded, and what to do.
    pub told: String,
}

/// How many files there are, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileCount {
    /// Files in all.
    pub files: i64,
    /// Of those, files that the service has.
    pub present: i64,
    /// Bytes of all files.
    pub bytes: i64,
    /// Of those, bytes that the service has for good.
    pub durable: i64,
}

impl Outbox {
    /// Files that can be uploaded now: the smallest first, since a link may not last for a large one. Also those of versions
    /// that the service has although they are refused now, or were replaced by their own whole content.
    pub fn uploads(&self) -> Result<Vec<Upload>, StartError> {
        self.read(|db| {
            let mut asked = db.prepare_cached(
                "-- outbox.uploads
                 SELECT files.sha256, files.size, files.durable_offset, min(reports.report_id)
                   FROM files JOIN declared USING (sha256) JOIN reports USING (entry)
                  WHERE files.state = 'WAITING'
                    AND (reports.state = 'ACKNOWLEDGED'
                         OR (reports.state <> 'REPLACED' AND reports.partly IS NOT NULL)
                         OR (reports.state = 'REFUSED' AND reports.earlier IS NOT NULL)
                         OR (reports.state = 'REPLACED' AND reports.refusal IS NULL))
                  GROUP BY files.sha256
                  ORDER BY files.size, files.sha256",
            )?;
            let upload = |row: &rusqlite::Row<'_>| {
                Ok(Upload {
                    sha256: row.get(0)?,
                    size: row.get(1)?,
                    durable_offset: row.get(2)?,
                    report_id: row.get(3)?,
                })
            };
            asked.query_map((), upload)?.collect()
        })
    }

    /// How many files are to be uploaded, also those of reports that have not arrived yet, and the bytes of them that the
    /// service does not have.
    pub fn files_waiting(&self) -> Result<(i64, i64), StartError> {
        self.read(|db| {
            let sql = "-- outbox.files_waiting
                       SELECT count(*), coalesce(sum(size - durable_offset), 0) FROM files
                        WHERE state = 'WAITING'
                          AND EXISTS (SELECT 1 FROM declared JOIN reports USING (entry)
                                       WHERE declared.sha256 = files.sha256
                                         AND (reports.state NOT IN ('REFUSED', 'REPLACED')
                                              OR (reports.state = 'REFUSED'
                                                  AND (reports.partly IS NOT NULL OR reports.earlier IS NOT NULL))
                                              OR (reports.state = 'REPLACED' AND reports.refusal IS NULL)))";
            db.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?)))
        })
    }

    /// Notes how far the service is with a file.
    pub fn set_durable(&self, sha256: &[u8; 32], offset: i64) -> Result<(), StartError> {
        self.change(|tx| {
            tx.execute(
                "-- outbox.set_durable
                 UPDATE files SET durable_offset = ?2 WHERE sha256 = ?1 AND state = 'WAITING'",
                (sha256, offset),
            )
        })?;
        Ok(())
    }

    /// Notes the end of an upload.
    pub fn end_upload(&self, sha256: &[u8; 32], end: &UploadEnd) -> Result<(), StartError> {
        let (state, told) = match end {
            UploadEnd::Present => ("PRESENT", None),
            UploadEnd::Broken(told) => ("BROKEN", Some(told)),
        };
        self.change(|tx| {
            tx.execute(
                "-- outbox.end_upload
                 UPDATE files
                    SET state = ?2, told = ?3, durable_offset = CASE ?2 WHEN 'PRESENT' THEN size ELSE durable_offset END
                  WHERE sha256 = ?1",
                (sha256, state, told),
            )
        })?;
        Ok(())
    }

    /// Files that the service has, and every report that declares them as well.
    pub(super) fn files_there(&self) -> Result<Vec<[u8; 32]>, StartError> {
        self.read(|db| {
            let mut asked = db.prepare_cached(
                "-- outbox.files_there
                 SELECT sha256 FROM files
                  WHERE state = 'PRESENT'
                    AND NOT EXISTS (SELECT 1 FROM declared JOIN reports USING (entry)
                                     WHERE declared.sha256 = files.sha256
                                       AND reports.state NOT IN ('ACKNOWLEDGED', 'REPLACED'))",
            )?;
            asked.query_map((), |row| row.get(0))?.collect()
        })
    }

    /// How far the files are in all.
    pub fn file_count(&self) -> Result<FileCount, StartError> {
        self.read(|db| {
            let sql = "-- outbox.file_count
                       SELECT count(*), count(*) FILTER (WHERE state = 'PRESENT'), coalesce(sum(size), 0),
                              coalesce(sum(durable_offset), 0)
                         FROM files";
            db.query_row(sql, (), |row| {
                Ok(FileCount {
                    files: row.get(0)?,
                    present: row.get(1)?,
                    bytes: row.get(2)?,
                    durable: row.get(3)?,
                })
            })
        })
    }

    /// Files that cannot be uploaded, and why.
    pub fn broken_files(&self) -> Result<Vec<BrokenFile>, StartError> {
        self.read(|db| {
            let mut asked = db.prepare_cached(
                "-- outbox.broken_files
                 SELECT files.sha256, coalesce(files.told, ''), reports.content
                   FROM files JOIN declared USING (sha256) JOIN reports USING (entry)
                  WHERE files.state = 'BROKEN'
                    AND entry = (SELECT max(entry) FROM declared AS newest WHERE newest.sha256 = files.sha256)
                  ORDER BY files.sha256",
            )?;
            let broken = |row: &rusqlite::Row<'_>| {
                let content: Vec<u8> = row.get(2)?;
                Ok(BrokenFile::of(row.get(0)?, row.get(1)?, &content))
            };
            asked.query_map((), broken)?.collect()
        })
    }
}

impl BrokenFile {
    fn of(sha256: Vec<u8>, told: String, content: &[u8]) -> Self {
        let report = pb::FieldReport::decode(content).unwrap_or_default();
        let file = report.attachments.into_iter().find(|file| file.sha256 == sha256);
        let name = file.map(|file| file.name).unwrap_or_default();
        Self { sha256, name, report_id: report.report_id, told }
    }
}
