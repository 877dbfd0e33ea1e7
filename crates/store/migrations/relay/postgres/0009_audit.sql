-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The SQLite folder has the same tables and columns under the same version number.

-- Who did what. Nothing refers to accounts and printers: entries outlive them, by their ids alone.
CREATE TABLE audit_entries (
    -- Counts without gaps, also over what was cut off.
    number       BIGINT NOT NULL PRIMARY KEY CHECK (number > 0),
    at           BIGINT NOT NULL,
    actor        TEXT    NOT NULL,
    act          TEXT    NOT NULL,
    account_id   TEXT,
    printer_id   TEXT,
    detail       TEXT    NOT NULL,
    network      TEXT,
    -- Of salt and whole address; stays when both are forgotten.
    address_hash BYTEA    CHECK (length(address_hash) = 32),
    address      TEXT,
    address_salt BYTEA    CHECK (length(address_salt) = 16),
    -- Over the hash of the entry before, and all columns but address and salt.
    hash         BYTEA    NOT NULL CHECK (length(hash) = 32),
    CONSTRAINT address_with_salt CHECK ((address IS NULL) = (address_salt IS NULL))
);

-- An account's entries.
CREATE INDEX audit_entries_by_account ON audit_entries (account_id);
-- What is old enough to be forgotten.
CREATE INDEX audit_entries_by_time ON audit_entries (at);

-- Up to where the log was cut off, signed with the relay's key. One row.
CREATE TABLE audit_anchor (
    id     BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    number BIGINT NOT NULL,
    hash   BYTEA    CHECK (length(hash) = 32),
    seal   BYTEA    CHECK (length(seal) = 32)
);

INSERT INTO audit_anchor (id, number) VALUES (1, 0);

-- From here on each database says it in its own way.

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an audit entry is neither changed nor removed';
END;
$$;

CREATE TRIGGER audit_entries_are_not_changed
BEFORE UPDATE OF number, at, actor, act, account_id, printer_id, detail, network, address_hash, hash
ON audit_entries
FOR EACH ROW EXECUTE FUNCTION audit_refuse();

CREATE TRIGGER audit_addresses_are_only_forgotten
BEFORE UPDATE OF address, address_salt ON audit_entries
FOR EACH ROW WHEN (NEW.address IS NOT NULL OR NEW.address_salt IS NOT NULL)
EXECUTE FUNCTION audit_refuse();

-- A condition of a trigger must not ask another table here.
CREATE FUNCTION audit_refuse_beyond_anchor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.number > (SELECT number FROM audit_anchor) THEN
        RAISE EXCEPTION 'an audit entry is not removed';
    END IF;
    RETURN OLD;
END;
$$;

CREATE TRIGGER audit_entries_stay
BEFORE DELETE ON audit_entries
FOR EACH ROW EXECUTE FUNCTION audit_refuse_beyond_anchor();

CREATE TRIGGER audit_anchor_only_moves_on
BEFORE UPDATE ON audit_anchor
FOR EACH ROW WHEN (NEW.number < OLD.number)
EXECUTE FUNCTION audit_refuse();

CREATE TRIGGER audit_anchor_stays
BEFORE DELETE ON audit_anchor
FOR EACH ROW EXECUTE FUNCTION audit_refuse();
