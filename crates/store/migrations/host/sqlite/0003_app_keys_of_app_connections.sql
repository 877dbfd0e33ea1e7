-- The app connection for which the relay had a key made. The key ends with it.
ALTER TABLE app_keys ADD COLUMN app_connection_id TEXT CHECK (length(app_connection_id) = 20);

-- An app connection's keys, for its end.
CREATE INDEX app_keys_by_app_connection ON app_keys (app_connection_id)
    WHERE app_connection_id IS NOT NULL;
