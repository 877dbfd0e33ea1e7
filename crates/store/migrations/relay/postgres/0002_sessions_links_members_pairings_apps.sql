-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The SQLite folder has the same tables and columns under the same version number.

-- Whether they run this relay.
ALTER TABLE accounts ADD COLUMN administrator BIGINT  NOT NULL DEFAULT 0 CHECK (administrator IN (0, 1));
-- When a letter to the address was answered.
ALTER TABLE accounts ADD COLUMN email_verified_at BIGINT;

-- From which network the host was connected last.
ALTER TABLE printers ADD COLUMN network TEXT;
-- When another running host with the same key was last held off, and from which network: most
-- likely a copied memory card.
ALTER TABLE printers ADD COLUMN copy_seen_at BIGINT;
ALTER TABLE printers ADD COLUMN copy_network TEXT;

-- A browser's sign-in. What ends is deleted.
CREATE TABLE sessions (
    id           TEXT    NOT NULL PRIMARY KEY,
    -- SHA-256 of the cookie.
    session_hash BYTEA    NOT NULL UNIQUE CHECK (length(session_hash) = 32),
    account_id   TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at   BIGINT  NOT NULL,
    seen_at      BIGINT  NOT NULL,
    -- When the person last proved who they are.
    proved_at    BIGINT  NOT NULL,
    -- What the browser says it is, and from which network it signed in.
    device       TEXT    NOT NULL,
    network      TEXT    NOT NULL
);

-- An account's sessions.
CREATE INDEX sessions_by_account ON sessions (account_id);

-- What is good once, by whoever has the secret in it. Used or expired ones are deleted.
CREATE TABLE links (
    -- SHA-256 of the secret.
    secret_hash BYTEA    NOT NULL PRIMARY KEY CHECK (length(secret_hash) = 32),
    purpose     TEXT    NOT NULL
        CHECK (purpose IN ('first_administrator', 'invitation', 'verify_email', 'reset_password', 'share_printer')),
    -- Whose address or password it is about, or who invites.
    account_id  TEXT    REFERENCES accounts (id) ON DELETE CASCADE,
    -- What an invitation shares.
    printer_id  TEXT    REFERENCES printers (id) ON DELETE CASCADE,
    -- The address it went to, if it went to one.
    email       TEXT,
    created_at  BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL
);

-- Links of an account, for its page.
CREATE INDEX links_by_account ON links (account_id);
-- Links about a printer, for its page.
CREATE INDEX links_by_printer ON links (printer_id);

-- Who may use a printer beside its owner.
CREATE TABLE printer_members (
    printer_id TEXT    NOT NULL REFERENCES printers (id) ON DELETE CASCADE,
    account_id TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    since_at   BIGINT  NOT NULL,
    PRIMARY KEY (printer_id, account_id)
);

-- Printers that others share with an account.
CREATE INDEX printer_members_by_account ON printer_members (account_id);

-- Hosts that wait to be attached to an account, by a code that a person types.
CREATE TABLE pairings (
    -- SHA-256 of the code.
    code_hash  BYTEA    NOT NULL PRIMARY KEY CHECK (length(code_hash) = 32),
    -- SHA-256 of what the host asks with how it went.
    poll_hash  BYTEA    NOT NULL UNIQUE CHECK (length(poll_hash) = 32),
    -- One at a time for each host.
    host_id    TEXT    NOT NULL UNIQUE CHECK (length(host_id) = 52),
    host_key   BYTEA    NOT NULL CHECK (length(host_key) = 32),
    host_name  TEXT    NOT NULL,
    network    TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    expires_at BIGINT  NOT NULL,
    outcome    TEXT    CHECK (outcome IN ('confirmed', 'refused')),
    account_id TEXT    REFERENCES accounts (id) ON DELETE CASCADE,
    printer_id TEXT    REFERENCES printers (id) ON DELETE CASCADE
);

-- Apps that the operator registered: their names cannot be taken by others.
CREATE TABLE apps (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    -- The name as it is compared, so that those that look alike are found.
    name_fold  TEXT    NOT NULL UNIQUE,
    developer  TEXT,
    website    TEXT,
    -- Where the portal may lead, one a line.
    targets    TEXT    NOT NULL,
    -- A small PNG of ours.
    logo       BYTEA,
    created_at BIGINT  NOT NULL
);

-- As before, with who allowed it and how far it goes.
CREATE TABLE new_app_connections (
    id               TEXT    NOT NULL PRIMARY KEY,
    -- SHA-256 of the host name label. Unique among the living and the dead.
    label_hash       BYTEA    NOT NULL UNIQUE CHECK (length(label_hash) = 32),
    -- SHA-256 of the token for the App API. The App API looks up by it.
    app_token_hash   BYTEA    NOT NULL UNIQUE CHECK (length(app_token_hash) = 32),
    access_mode      TEXT    NOT NULL
        CHECK (access_mode IN ('none', 'basic', 'bearer', 'enhanced')),
    -- SHA-256 of "user:password", and of the bearer token. They outlive the end: only who had
    -- the right credentials is told that it ended.
    basic_hash       BYTEA    CHECK (length(basic_hash) = 32),
    bearer_hash      BYTEA    CHECK (length(bearer_hash) = 32),
    -- Who allowed it: the printer's owner or a member. No cascade: deleting an account must
    -- leave tombstones.
    account_id       TEXT    REFERENCES accounts (id),
    -- No cascade, for the same reason.
    printer_id       TEXT    REFERENCES printers (id),
    -- Everything, or looking only.
    scope            TEXT    CHECK (scope IN ('full', 'view')),
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
            AND account_id IS NOT NULL AND printer_id IS NOT NULL AND scope IS NOT NULL
            AND app_id IS NOT NULL AND app_name IS NOT NULL AND created_at IS NOT NULL
        ) OR (
            ended_at IS NOT NULL AND end_reason IS NOT NULL
            AND account_id IS NULL AND printer_id IS NULL AND scope IS NULL
            AND app_id IS NULL AND app_name IS NULL AND created_at IS NULL
            AND last_used_at IS NULL AND requests = 0 AND bytes = 0
        )
    )
);

INSERT INTO new_app_connections (id, label_hash, app_token_hash, access_mode, basic_hash,
    bearer_hash, account_id, printer_id, scope, app_id, app_name, created_at, last_used_at,
    requests, bytes, ended_at, end_reason)
SELECT c.id, c.label_hash, c.app_token_hash, c.access_mode, c.basic_hash,
    c.bearer_hash, p.account_id, c.printer_id, CASE WHEN c.ended_at IS NULL THEN 'full' END,
    c.app_id, c.app_name, c.created_at, c.last_used_at,
    c.requests, c.bytes, c.ended_at, c.end_reason
FROM app_connections c LEFT JOIN printers p ON p.id = c.printer_id;

DROP TABLE app_connections;

ALTER TABLE new_app_connections RENAME TO app_connections;

-- A printer's app connections, for its page and for its removal.
CREATE INDEX app_connections_by_printer ON app_connections (printer_id);
-- An account's app connections, for its end.
CREATE INDEX app_connections_by_account ON app_connections (account_id);
-- What ended lately, for nodes that missed the message.
CREATE INDEX app_connections_by_end ON app_connections (ended_at);
