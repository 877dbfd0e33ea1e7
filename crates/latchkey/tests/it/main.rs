//! Stories told over real sockets, in one test binary. A module named `octoprint_*` needs a real OctoPrint, see
//! `harness::octoprint`, one named `clients_*` needs clients in Python, and one
//! named `acme_*` an authority, see `harness::acme`; `./test it` provides them and `./test it-quick`
//! leaves those modules out.

#![expect(
    clippy::unwrap_used,
    reason = "a failed step ends the test, where it failed"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests start tasks and read their environment themselves"
)]

mod harness;

mod account_commands;
mod acme_certificate;
mod activity;
mod api_description;
mod app_api;
mod app_commands;
mod app_connection_ends;
mod app_connection_scopes;
mod app_connection_threats;
mod app_keygen;
mod app_keys;
mod app_request;
mod audit_commands;
mod bounds;
mod camera_sharing;
mod certificate;
mod clients_discovery;
mod clients_session_key_examples;
mod connect;
mod crash;
mod demo;
mod faults;
mod guards;
mod hosts_listener;
mod key_request;
mod limits;
mod long_transfers;
mod memory;
mod octoprint_app_keys;
mod octoprint_authority;
mod octoprint_away;
mod octoprint_clients;
mod octoprint_differential;
mod octoprint_direct;
mod octoprint_drain;
mod octoprint_events;
mod octoprint_import;
mod octoprint_key_request;
mod octoprint_outages;
mod octoprint_portal;
mod octoprint_secrets;
mod octoprint_session_keys;
mod octoprint_tls;
mod octoprint_uplink;
mod own_access;
mod pairing;
mod printer_events;
mod printer_events_servers;
mod proxies_in_front;
mod relay_app_keys;
mod secrets_at_home;
mod secrets_away;
mod session_key;
mod session_keys_at_home;
mod several_connections;
mod situations;
mod soak;
mod threats_at_home;
mod tunnel_identity;
mod uplink;
mod user_commands;
