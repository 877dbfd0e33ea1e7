-- Times are milliseconds since 1970, ids are text, hashes and keys are bytes.
-- The SQLite folder has the same tables and columns under the same version number.

-- What passed through the relay for an account, by month: what its plan limits is counted here.
CREATE TABLE account_months (
    account_id TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- Months since the year 0: year * 12 + month - 1, in UTC.
    month      BIGINT  NOT NULL,
    -- Of bodies and sockets, both ways.
    bytes      BIGINT  NOT NULL,
    PRIMARY KEY (account_id, month)
);

-- What is old enough to be forgotten.
CREATE INDEX account_months_by_month ON account_months (month);

-- How much of a printer's webcam an account watched in the window of time that is open, or was
-- the last one.
CREATE TABLE webcam_windows (
    account_id TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    printer_id TEXT    NOT NULL REFERENCES printers (id) ON DELETE CASCADE,
    began_at   BIGINT  NOT NULL,
    used_ms    BIGINT  NOT NULL,
    PRIMARY KEY (account_id, printer_id)
);

-- A printer that is removed takes its windows along.
CREATE INDEX webcam_windows_by_printer ON webcam_windows (printer_id);
