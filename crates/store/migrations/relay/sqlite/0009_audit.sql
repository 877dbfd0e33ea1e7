-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The PostgreSQL folder has the same tables and columns under the same version number.

-- Who did what. Nothing refers to accounts and printers: entries outlive them, by their ids alone.
CREATE TABLE audit_entries (
    -- Counts without gaps, also over what was cut off.
    number       INTEGER NOT NULL PRIMARY KEY CHECK (number > 0),
    at           INTEGER NOT NULL,
    actor        TEXT    NOT NULL,
    act          TEXT    NOT NULL,
    account_id   TEXT,
    printer_id   TEXT,
    detail       TEXT    NOT NULL,
    network      TEXT,
    -- Of salt and whole address; stays when both are forgotten.
    address_hash BLOB    CHECK (length(address_hash) = 32),
    address      TEXT,
    address_salt BLOB    CHECK (length(address_salt) = 16),
    -- Over the hash of the entry before, and all columns but address and salt.
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    CONSTRAINT address_with_salt CHECK ((address IS NULL) = (address_salt IS NULL))
) STRICT;

-- An account's entries.
CREATE INDEX audit_entries_by_account ON audit_entries (account_id);
-- What is old enough to be forgotten.
CREATE INDEX audit_entries_by_time ON audit_entries (at);

-- Up to where the log was cut off, signed with the relay's key. One row.
CREATE TABLE audit_anchor (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL,
    hash   BLOB    CHECK (length(hash) = 32),
    seal   BLOB    CHECK (length(seal) = 32)
) STRICT;

INSERT INTO audit_anchor (id, number) VALUES (1, 0);

-- From here on each database says it in its own way.

CREATE TRIGGER audit_entries_are_not_changed
BEFORE UPDATE OF number, at, actor, act, account_id, printer_id, detail, network, address_hash, hash
ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'an audit entry is not changed');
END;

CREATE TRIGGER audit_addresses_are_only_forgotten
BEFORE UPDATE OF address, address_salt ON audit_entries
WHEN NEW.address IS NOT NULL OR NEW.address_salt IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'an audit entry is not changed');
END;

CREATE TRIGGER audit_entries_stay
BEFORE DELETE ON audit_entries
WHEN OLD.number > (SELECT number FROM audit_anchor)
BEGIN
    SELECT RAISE(ABORT, 'an audit entry is not removed');
END;

CREATE TRIGGER audit_anchor_only_moves_on
BEFORE UPDATE ON audit_anchor
WHEN NEW.number < OLD.number
BEGIN
    SELECT RAISE(ABORT, 'what was cut off stays so');
END;

CREATE TRIGGER audit_anchor_stays
BEFORE DELETE ON audit_anchor
BEGIN
    SELECT RAISE(ABORT, 'what was cut off stays so');
END;
