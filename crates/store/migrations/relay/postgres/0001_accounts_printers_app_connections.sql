-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The SQLite folder has the same tables and columns under the same version number.

-- People known to the relay.
CREATE TABLE accounts (
    id               TEXT    NOT NULL PRIMARY KEY,
    -- In the one spelling that is compared (lower case); one account for each address.
    email            TEXT    NOT NULL UNIQUE CHECK (email = lower(email) AND email <> ''),
    -- PHC text of a slow hash. Missing for people who sign in by other means.
    password_hash    TEXT,
    -- Name of a plan in the configuration; plans are not kept here, so it cannot be a reference.
    plan             TEXT    NOT NULL,
    created_at       BIGINT  NOT NULL,
    -- Set while suspended, with the reason: an operator must be able to say why.
    suspended_at     BIGINT,
    suspended_reason TEXT,
    CONSTRAINT suspended_with_reason
        CHECK ((suspended_at IS NULL) = (suspended_reason IS NULL))
);

-- One host and its upstream, as its owner's printer. A removed printer leaves no row.
CREATE TABLE printers (
    -- Apps check this shape when they ask the host for it in the local network.
    id                TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 40 AND 60),
    -- No cascade: whoever deletes an account must first end the app connections of its printers.
    account_id        TEXT    NOT NULL REFERENCES accounts (id),
    name              TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    -- The host that may speak for this printer. Unique: one host is one printer, and a copied
    -- printer id is worth nothing without the key.
    host_id           TEXT    UNIQUE CHECK (length(host_id) = 52),
    -- The Ed25519 public key that host_id is the hash of.
    host_key          BYTEA   CHECK (length(host_key) = 32),
    created_at        BIGINT  NOT NULL,
    -- For people, and for what apps are told of the past; the tunnels know who is online now.
    online_since_at   BIGINT,
    last_connected_at BIGINT,
    last_seen_at      BIGINT,
    -- Where the host was last found in its owner's network; apps offer it at home.
    local_address     TEXT,
    CONSTRAINT host_id_with_key CHECK ((host_id IS NULL) = (host_key IS NULL))
);

-- An account's printers.
CREATE INDEX printers_by_account ON printers (account_id);

-- One app's right to reach one printer. Ended ones stay as tombstones, so that their label is
-- answered by "ended" and never given out again; nothing about the person stays with them.
CREATE TABLE app_connections (
    id               TEXT    NOT NULL PRIMARY KEY,
    -- SHA-256 of the host name label. Unique among the living and the dead.
    label_hash       BYTEA   NOT NULL UNIQUE CHECK (length(label_hash) = 32),
    -- SHA-256 of the token for the App API. The App API looks up by it.
    app_token_hash   BYTEA   NOT NULL UNIQUE CHECK (length(app_token_hash) = 32),
    access_mode      TEXT    NOT NULL
        CHECK (access_mode IN ('none', 'basic', 'bearer', 'enhanced')),
    -- SHA-256 of "user:password", and of the bearer token. They outlive the end: only who had
    -- the right credentials is told that it ended.
    basic_hash       BYTEA   CHECK (length(basic_hash) = 32),
    bearer_hash      BYTEA   CHECK (length(bearer_hash) = 32),
    -- The account is the printer's. No cascade: removing a printer must leave tombstones.
    printer_id       TEXT    REFERENCES printers (id),
    app_id           TEXT,
    app_name         TEXT,
    created_at       BIGINT,
    -- Usage, written in batches.
    last_used_at     BIGINT,
    requests         BIGINT  NOT NULL DEFAULT 0,
    bytes            BIGINT  NOT NULL DEFAULT 0,
    -- The end: for good.
    ended_at         BIGINT,
    end_reason       TEXT
        CHECK (end_reason IN ('revoked', 'printer_removed', 'account_deleted', 'returned_by_app')),
    -- Exactly the hashes that belong to the access mode.
    CONSTRAINT hashes_of_mode CHECK (
        (basic_hash IS NOT NULL) = (access_mode IN ('basic', 'enhanced'))
        AND (bearer_hash IS NOT NULL) = (access_mode IN ('bearer', 'enhanced'))
    ),
    -- Either live with everything that names whose it is, or ended with nothing of it.
    CONSTRAINT live_or_ended CHECK (
        (
            ended_at IS NULL AND end_reason IS NULL
            AND printer_id IS NOT NULL AND app_id IS NOT NULL
            AND app_name IS NOT NULL AND created_at IS NOT NULL
        ) OR (
            ended_at IS NOT NULL AND end_reason IS NOT NULL
            AND printer_id IS NULL AND app_id IS NULL
            AND app_name IS NULL AND created_at IS NULL
            AND last_used_at IS NULL AND requests = 0 AND bytes = 0
        )
    )
);

-- A printer's app connections, for its page and for its removal.
CREATE INDEX app_connections_by_printer ON app_connections (printer_id);
-- What ended lately, for nodes that missed the message.
CREATE INDEX app_connections_by_end ON app_connections (ended_at);
