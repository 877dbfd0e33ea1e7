-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The PostgreSQL folder has the same tables and columns under the same version number.

-- Addresses at which anybody who has them may watch a printer. What is over is deleted. The secret
-- itself is made from the id with a key that is not here.
CREATE TABLE live_links (
    id                TEXT    NOT NULL PRIMARY KEY,
    -- SHA-256 of the secret.
    secret_hash       BLOB    NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    printer_id        TEXT    NOT NULL REFERENCES printers (id) ON DELETE CASCADE,
    -- Who made it, or allowed the app that did.
    account_id        TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- By which app connection it was made, if an app did.
    app_connection_id TEXT    REFERENCES app_connections (id) ON DELETE CASCADE,
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    -- The print with which it ends, and how that ended.
    print_id          TEXT,
    ended_at          INTEGER,
    complete          INTEGER CHECK (complete IN (0, 1)),
    took_seconds      INTEGER,
    file              TEXT
) STRICT;

-- A printer's links, for its page.
CREATE INDEX live_links_by_printer ON live_links (printer_id);

-- Links whose print may end.
CREATE INDEX live_links_by_print ON live_links (print_id) WHERE print_id IS NOT NULL;
