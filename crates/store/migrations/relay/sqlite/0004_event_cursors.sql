-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The PostgreSQL folder has the same tables and columns under the same version number.

-- How far the events that hosts report have come, so that none is kept twice.
CREATE TABLE event_cursors (
    printer_id TEXT    NOT NULL PRIMARY KEY REFERENCES printers (id) ON DELETE CASCADE,
    -- The run of the host whose events these numbers count: 16 bytes.
    run        BLOB    NOT NULL,
    number     INTEGER NOT NULL
) STRICT;
