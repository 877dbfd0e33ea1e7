-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The SQLite folder has the same tables and columns under the same version number.

-- When the person last proved who they are with a second factor, too.
ALTER TABLE sessions ADD COLUMN second_factor_at BIGINT;

-- By whose codes an account is guarded beside its password (TOTP, RFC 6238).
CREATE TABLE code_generators (
    account_id  TEXT    NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    -- Sealed with a key that is not in the database.
    sealed_seed BYTEA   NOT NULL,
    created_at  BIGINT  NOT NULL,
    -- The step of the last code that counted: none counts twice.
    last_step   BIGINT  NOT NULL
);

-- What counts in place of such a code, once. A used one is deleted.
CREATE TABLE recovery_codes (
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- HMAC-SHA-256, with a key that is not in the database.
    code_hash  BYTEA NOT NULL CHECK (length(code_hash) = 32),
    PRIMARY KEY (account_id, code_hash)
);

-- Passkeys: public keys of people's devices.
CREATE TABLE passkeys (
    id            TEXT    NOT NULL PRIMARY KEY,
    account_id    TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- As the device names it.
    credential_id BYTEA   NOT NULL UNIQUE,
    -- Public key and counter, as JSON.
    credential    TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL,
    used_at       BIGINT
);

-- An account's passkeys.
CREATE INDEX passkeys_by_account ON passkeys (account_id);

-- What an account's owner is told happened to it: as much as is kept of it.
CREATE TABLE account_notices (
    account_id TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- Counts an account's notices.
    number     BIGINT  NOT NULL,
    at         BIGINT  NOT NULL,
    kind       TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    network    TEXT    NOT NULL,
    PRIMARY KEY (account_id, number)
);

-- What is old enough to be forgotten.
CREATE INDEX account_notices_by_time ON account_notices (at);

-- From which networks and by which programs app connections are used, so that their owner can be
-- told of a new one. It goes with the account; of those that ended it is swept.
CREATE TABLE app_connection_origins (
    app_connection_id TEXT    NOT NULL REFERENCES app_connections (id),
    account_id        TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    network           TEXT    NOT NULL,
    agent             TEXT    NOT NULL,
    seen_at           BIGINT  NOT NULL,
    PRIMARY KEY (app_connection_id, network, agent)
);

-- Those of an account, for its end.
CREATE INDEX app_connection_origins_by_account ON app_connection_origins (account_id);
