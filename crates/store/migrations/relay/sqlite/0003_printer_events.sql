-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The PostgreSQL folder has the same tables and columns under the same version number.

-- What happened to printers and their prints: as much as is kept of it.
CREATE TABLE printer_events (
    printer_id      TEXT    NOT NULL REFERENCES printers (id) ON DELETE CASCADE,
    -- Counts a printer's events. The newest one is always kept, so that no number comes twice.
    number          INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    print_id        TEXT,
    -- Words of printers and files.
    file            TEXT,
    message         TEXT,
    percent         INTEGER,
    printed_seconds INTEGER,
    left_seconds    INTEGER,
    z_micrometers   INTEGER,
    layer           INTEGER,
    layers          INTEGER,
    PRIMARY KEY (printer_id, number)
) STRICT;

-- What is old enough to be forgotten.
CREATE INDEX printer_events_by_time ON printer_events (at);
