-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The PostgreSQL folder has the same tables and columns under the same version number.

-- How far a member goes at the printer, and so do the apps they let in.
ALTER TABLE printer_members ADD COLUMN level TEXT NOT NULL DEFAULT 'full' CHECK (level IN ('full', 'view'));
-- The level that an invitation gives; missing for everything, and for links that share nothing.
ALTER TABLE links ADD COLUMN level TEXT CHECK (level IN ('full', 'view'));

-- The hostname at which one person opens one printer's web interface: stable, so that what the
-- browser keeps for it stays, and gone with their use of the printer. A new one never repeats an old.
CREATE TABLE own_hosts (
    -- The first label of the hostname. Not a secret: nobody gets in by it alone.
    label      TEXT    NOT NULL PRIMARY KEY CHECK (length(label) = 30),
    account_id TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    printer_id TEXT    NOT NULL REFERENCES printers (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    CONSTRAINT one_of_each UNIQUE (account_id, printer_id)
) STRICT;

-- For the end of a printer.
CREATE INDEX own_hosts_by_printer ON own_hosts (printer_id);

-- A browser's way to such a hostname: part of its session, and gone with it.
CREATE TABLE own_sessions (
    session_id  TEXT    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    label       TEXT    NOT NULL REFERENCES own_hosts (label) ON DELETE CASCADE,
    -- SHA-256 of the cookie.
    cookie_hash BLOB    NOT NULL UNIQUE CHECK (length(cookie_hash) = 32),
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (session_id, label)
) STRICT;

-- For the end of a hostname.
CREATE INDEX own_sessions_by_label ON own_sessions (label);
