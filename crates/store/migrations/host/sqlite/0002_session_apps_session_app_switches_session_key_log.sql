-- Apps that sign for session keys, and what became of it. The keys themselves are in memory only:
-- a restart ends them all.

-- Apps that an administrator registered on the host's page. Those in files are in files.
CREATE TABLE session_apps (
    -- The app and its version, "com.example.app:1.0": what an app's request is compared with.
    name            TEXT    NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 3 AND 200),
    -- PKCS#1 RSAPublicKey in BASE64.
    pubkey          TEXT    NOT NULL CHECK (pubkey <> ''),
    allow_weak_keys INTEGER NOT NULL CHECK (allow_weak_keys IN (0, 1)),
    scope           TEXT    NOT NULL CHECK (scope IN ('full', 'view', 'admin')),
    created_at      INTEGER NOT NULL,
    -- A name and no reference: who registered an app may be gone long before it.
    created_by      TEXT    NOT NULL CHECK (created_by <> '')
) STRICT;

-- What an administrator switched on or off, wherever the app is registered. An app that is off
-- stays off; one that is on against its file stays on while the file says the same.
CREATE TABLE session_app_switches (
    name        TEXT    NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 3 AND 200),
    enabled     INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    -- SHA-256 of the entry as it was then.
    wording     BLOB    NOT NULL CHECK (length(wording) = 32),
    switched_at INTEGER NOT NULL,
    switched_by TEXT    NOT NULL CHECK (switched_by <> '')
) STRICT;

-- Every verification and what its key was used for; refused attempts of registered apps, counted
-- together when they come in numbers.
CREATE TABLE session_key_log (
    -- Of the key, and not the key.
    id           TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 20),
    app_name     TEXT    NOT NULL CHECK (length(app_name) BETWEEN 3 AND 200),
    outcome      TEXT    NOT NULL
        CHECK (outcome IN ('full', 'view', 'admin', 'unusable', 'signature', 'key')),
    -- When it was verified or first refused, and from where.
    at           INTEGER NOT NULL,
    network      TEXT    NOT NULL,
    -- Of verified keys alone.
    valid_until  INTEGER,
    -- When it ended before its time.
    ended_at     INTEGER,
    -- Requests with the key, or refused attempts.
    requests     INTEGER NOT NULL DEFAULT 0 CHECK (requests >= 0),
    last_at      INTEGER,
    last_network TEXT,
    CONSTRAINT verified_for_a_time
        CHECK ((valid_until IS NULL) = (outcome IN ('unusable', 'signature', 'key'))),
    CONSTRAINT only_what_was_verified_ends CHECK (ended_at IS NULL OR valid_until IS NOT NULL),
    CONSTRAINT last_from_somewhere CHECK ((last_at IS NULL) = (last_network IS NULL))
) STRICT;

-- The newest, of all and of one app.
CREATE INDEX session_key_log_by_time ON session_key_log (at);
CREATE INDEX session_key_log_by_app ON session_key_log (app_name, at);
