-- Times are milliseconds since 1970, ids are text, hashes are bytes: SHA-256 of what only its
-- holder has in plain. SQLite alone: a host has its database for itself.

-- People known to the host. Names are compared byte by byte, so upper and lower case differ.
CREATE TABLE users (
    name          TEXT    NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    user_group    TEXT    NOT NULL CHECK (user_group IN ('admins', 'users', 'readonly')),
    active        INTEGER NOT NULL CHECK (active IN (0, 1)),
    -- PHC text of a slow hash. Missing for people who cannot sign in with a password.
    password_hash TEXT    CHECK (password_hash <> ''),
    created_at    INTEGER NOT NULL
) STRICT;

-- One app's key for one user. A revoked key leaves no row, so it is as if it had never been.
CREATE TABLE app_keys (
    id           TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 20),
    user_name    TEXT    NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    -- The spelling that came first, for people.
    app_name     TEXT    NOT NULL CHECK (length(app_name) BETWEEN 1 AND 64),
    -- What apps are told apart by: the name without case and invisible characters.
    app_fold     TEXT    NOT NULL,
    -- Every request with a key looks up by it, never by the key itself.
    hash         BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- The key under a key file outside the database: nonce (24), the key, tag (16).
    sealed       BLOB    NOT NULL CHECK (length(sealed) > 40),
    scope        TEXT    NOT NULL CHECK (scope IN ('full', 'view')),
    created_at   INTEGER NOT NULL,
    -- Usage, written in batches.
    last_used_at INTEGER,
    last_network TEXT,
    requests     INTEGER NOT NULL DEFAULT 0 CHECK (requests >= 0),
    CONSTRAINT used_from_somewhere CHECK ((last_used_at IS NULL) = (last_network IS NULL)),
    -- The same app and user have the same key, from whichever way it is asked for. Also finds
    -- a user's keys.
    CONSTRAINT one_key_of_an_app UNIQUE (user_name, app_fold)
) STRICT;

-- Granted key requests whose app has not fetched its key yet. The key is made when it does.
CREATE TABLE grants (
    token_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    -- Who granted, and whose the key will be.
    user_name  TEXT    NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    app_name   TEXT    NOT NULL CHECK (length(app_name) BETWEEN 1 AND 64),
    scope      TEXT    NOT NULL CHECK (scope IN ('full', 'view')),
    granted_at INTEGER NOT NULL
) STRICT;

-- For a user's end, and for letting the oldest go.
CREATE INDEX grants_by_user ON grants (user_name);
CREATE INDEX grants_by_time ON grants (granted_at);

-- Browsers that are signed in.
CREATE TABLE sessions (
    id                  TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 20),
    user_name           TEXT    NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    -- Of the cookie. Every request of a browser looks up by it.
    session_hash        BLOB    NOT NULL UNIQUE CHECK (length(session_hash) = 32),
    -- Of the name under which the push socket knows the session; worth nothing elsewhere.
    push_hash           BLOB    NOT NULL UNIQUE CHECK (length(push_hash) = 32),
    mechanism           TEXT    NOT NULL CHECK (mechanism IN ('password', 'remember_me')),
    created_at          INTEGER NOT NULL,
    seen_at             INTEGER NOT NULL,
    -- Missing while nobody has typed a password into this browser.
    credentials_seen_at INTEGER,
    device              TEXT    NOT NULL,
    network             TEXT    NOT NULL,
    CONSTRAINT password_was_seen CHECK (mechanism <> 'password' OR credentials_seen_at IS NOT NULL)
) STRICT;

-- A user's sessions, the longest unseen first.
CREATE INDEX sessions_by_user ON sessions (user_name, seen_at);

-- Browsers that are signed in again without a password, each by a token that is used once.
CREATE TABLE remembered (
    token_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    user_name  TEXT    NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT;

-- A user's remembered browsers, the oldest first.
CREATE INDEX remembered_by_user ON remembered (user_name, created_at);
