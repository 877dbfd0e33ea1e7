-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The SQLite folder has the same tables and columns under the same version number.

-- Where apps want to be told what happens to a printer: one address for each app connection, gone
-- when that ends.
CREATE TABLE webhooks (
    app_connection_id TEXT    NOT NULL REFERENCES app_connections (id) ON DELETE CASCADE,
    printer_id        TEXT    NOT NULL REFERENCES printers (id) ON DELETE CASCADE,
    -- How often it was set: what a call under way finds out is about the one it was made for.
    generation        BIGINT  NOT NULL,
    -- Sealed with the relay's key: addresses hold secrets.
    url               BYTEA   NOT NULL,
    secret            BYTEA   NOT NULL,
    -- A bit for each kind's number; missing for all.
    kinds             BIGINT,
    set_at            BIGINT  NOT NULL,
    -- The number of the last event that needs nothing more.
    done_number       BIGINT  NOT NULL,
    -- How often the next one was tried, and when it may be again.
    tries             BIGINT  NOT NULL,
    due_at            BIGINT  NOT NULL,
    -- How many in a row were given up, and how many events were never told.
    failures          BIGINT  NOT NULL,
    skipped           BIGINT  NOT NULL,
    -- A status, or a word for why there was none.
    last_answer       TEXT,
    last_answer_at    BIGINT,
    disabled_at       BIGINT,
    PRIMARY KEY (app_connection_id)
);

-- What a printer's page shows, and what goes with a printer.
CREATE INDEX webhooks_by_printer ON webhooks (printer_id);

-- Pictures that go with what was told, sealed with the relay's key, for a few days.
CREATE TABLE snapshots (
    printer_id        TEXT    NOT NULL REFERENCES printers (id) ON DELETE CASCADE,
    event_number      BIGINT  NOT NULL,
    taken_at          BIGINT  NOT NULL,
    size              BIGINT  NOT NULL,
    picture           BYTEA   NOT NULL,
    PRIMARY KEY (printer_id, event_number)
);

-- What is old enough to be forgotten.
CREATE INDEX snapshots_by_time ON snapshots (taken_at);

-- By which links a picture is seen. Each was given to one: an app connection or a person.
CREATE TABLE snapshot_links (
    hash              BYTEA   NOT NULL,
    printer_id        TEXT    NOT NULL,
    event_number      BIGINT  NOT NULL,
    app_connection_id TEXT    REFERENCES app_connections (id) ON DELETE CASCADE,
    account_id        TEXT    REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (hash),
    CONSTRAINT leads_to FOREIGN KEY (printer_id, event_number) REFERENCES snapshots (printer_id, event_number) ON DELETE CASCADE,
    CONSTRAINT given_to_one CHECK ((app_connection_id IS NULL) <> (account_id IS NULL))
);

-- What goes with a picture, an app connection or a person.
CREATE INDEX snapshot_links_by_picture ON snapshot_links (printer_id, event_number);
CREATE INDEX snapshot_links_by_app_connection ON snapshot_links (app_connection_id);
CREATE INDEX snapshot_links_by_account ON snapshot_links (account_id);

-- Who wants letters about a printer. No row: no letters.
CREATE TABLE print_letters (
    printer_id        TEXT    NOT NULL REFERENCES printers (id) ON DELETE CASCADE,
    account_id        TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- A bit for each occasion.
    occasions         BIGINT  NOT NULL,
    -- The number of the last event that needs nothing more.
    done_number       BIGINT  NOT NULL,
    PRIMARY KEY (printer_id, account_id)
);

-- What goes with an account.
CREATE INDEX print_letters_by_account ON print_letters (account_id);
