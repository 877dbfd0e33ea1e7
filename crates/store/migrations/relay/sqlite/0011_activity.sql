-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The PostgreSQL folder has the same tables and columns under the same version number.

-- What apps and people did at printers: as much as is kept of it. The same thing done again within
-- a quarter of an hour is one row.
CREATE TABLE activity (
    printer_id TEXT    NOT NULL REFERENCES printers (id) ON DELETE CASCADE,
    -- The beginning of the quarter of an hour.
    slot_at    INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    -- Which app connection did it or was concerned; empty where none was.
    about      TEXT    NOT NULL,
    -- A file's name, or a network; empty where there is none.
    name       TEXT    NOT NULL,
    -- Whose app connection, or which person.
    account_id TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- The app's name; empty where none was concerned.
    app        TEXT    NOT NULL,
    -- When it was done last, how often, and how large it was.
    at         INTEGER NOT NULL,
    times      INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    PRIMARY KEY (printer_id, slot_at, kind, about, name, account_id)
) STRICT;

-- The newest of a printer.
CREATE INDEX activity_by_time ON activity (printer_id, at);

-- What of an account is deleted with it.
CREATE INDEX activity_by_account ON activity (account_id);

-- What is old enough to be forgotten.
CREATE INDEX activity_by_age ON activity (at);

-- How much data moved for a printer in a day.
CREATE TABLE printer_traffic (
    printer_id TEXT    NOT NULL REFERENCES printers (id) ON DELETE CASCADE,
    -- The day in UTC, counted from 1970.
    day        INTEGER NOT NULL,
    -- From the printer, how much of that was camera, and towards it.
    sent       INTEGER NOT NULL,
    camera     INTEGER NOT NULL,
    received   INTEGER NOT NULL,
    PRIMARY KEY (printer_id, day)
) STRICT;

-- What is old enough to be forgotten.
CREATE INDEX printer_traffic_by_day ON printer_traffic (day);
