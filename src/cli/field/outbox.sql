-- What the device is, what it numbers next, and what it last heard of the service.
CREATE TABLE device (
    only            INTEGER PRIMARY KEY CHECK (only = 1),
    device_id       TEXT NOT NULL,
    team_id         TEXT NOT NULL,
    server          TEXT NOT NULL,
    token_file      TEXT,
    next_number     INTEGER NOT NULL DEFAULT 1 CHECK (0 < next_number),
    -- SyncState as the service told it last, and the device's clock then.
    sync_state      BLOB,
    sync_heard      BLOB,
    feed_cursor     TEXT NOT NULL DEFAULT '',
    feed_snapshot   INTEGER NOT NULL DEFAULT 0,
    -- The device's clock when the feed last said that all was sent; none before.
    feed_heard      BLOB
) STRICT;

-- Numbers of reports that were refused: the next reports take them, so that no gap stays.
CREATE TABLE free_numbers (number INTEGER PRIMARY KEY) STRICT;

-- One version of one report. SENDING says that it may have arrived: it is sent again until an answer names it.
CREATE TABLE reports (
    entry           INTEGER PRIMARY KEY AUTOINCREMENT,
    report_id       TEXT NOT NULL,
    base_version    INTEGER NOT NULL,
    number          INTEGER UNIQUE,
    urgent          INTEGER NOT NULL,
    content         BLOB NOT NULL,
    content_sha256  BLOB NOT NULL CHECK (length(content_sha256) = 32),
    state           TEXT NOT NULL CHECK (state IN ('WAITING', 'SENDING', 'ACKNOWLEDGED', 'REFUSED', 'REPLACED')),
    answer          BLOB,
    refusal         TEXT,
    CHECK ((number IS NULL) = (state IN ('REFUSED', 'REPLACED'))),
    CHECK ((answer IS NOT NULL) = (state = 'ACKNOWLEDGED'))
) STRICT;
CREATE INDEX reports_report_id ON reports (report_id, base_version);
CREATE INDEX reports_due ON reports (urgent DESC, number) WHERE state IN ('WAITING', 'SENDING');

-- A file, by its content. Its bytes are in files/, named by the hash in hexadecimal digits.
CREATE TABLE files (
    sha256          BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    size            INTEGER NOT NULL CHECK (0 < size),
    durable_offset  INTEGER NOT NULL DEFAULT 0,
    state           TEXT NOT NULL DEFAULT 'WAITING' CHECK (state IN ('WAITING', 'PRESENT', 'BROKEN')),
    told            TEXT
) STRICT;

-- Which version declares which file.
CREATE TABLE declared (
    entry           INTEGER NOT NULL REFERENCES reports,
    sha256          BLOB NOT NULL REFERENCES files,
    PRIMARY KEY (entry, sha256)
) STRICT, WITHOUT ROWID;

-- What the team feed sent, by its kind: stop, assignment, task, site or returned.
CREATE TABLE feed_records (
    kind            TEXT NOT NULL,
    id              TEXT NOT NULL,
    snapshot        INTEGER NOT NULL,
    content         BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
