use super::environment::Override;
use super::*;
use latchkey_host::config::{AuthorityMode, UpstreamKind};

const HOST: &str = r#"
listen: 127.0.0.1:5010
data: ./data
upstream: {kind: octoprint, url: "http://127.0.0.1:5000"}
authority: host
webcams: [{path: /webcam/, url: "http://127.0.0.1:8080/"}]
relay: {url: "https://relay.example.com"}
api: {apps: {"com.example.app:1.0": {pubkey: MEg, enabled: true, allow_weak_keys: true}}}
"#;

const RELAY: &str = r#"
listen: 0.0.0.0:443
public_url: https://relay.example.com
connection_domain: printers.example.net
tls: {cert: fullchain.pem, key: key.pem}
data: ./data
registration: open
plans: {supporter: {app_connections: true, max_upload_bytes: 1073741824, max_download_bytes: 1073741824, max_webcam_stream_seconds: null}}
"#;

fn checked_host(text: &str) -> Result<latchkey_host::config::Config, ConfigError> {
    let path = Path::new("/etc/latchkey/host.yaml");
    host::check(&Checking::new(path), parse(path, text, Vec::new())?)
}

fn checked_relay(text: &str) -> Result<latchkey_relay::config::Config, ConfigError> {
    let path = Path::new("/etc/latchkey/relay.yaml");
    relay::check(&Checking::new(path), parse(path, text, Vec::new())?)
}

#[test]
fn the_documented_minimal_files_are_valid() {
    let host = checked_host(HOST).unwrap();
    assert_eq!(host.upstream.kind, UpstreamKind::OctoPrint);
    assert_eq!(host.authority, AuthorityMode::Host);
    assert_eq!(host.data, Path::new("/etc/latchkey/./data"));
    let relay = checked_relay(RELAY).unwrap();
    assert_eq!(relay.public_url.to_string(), "https://relay.example.com");
    assert_eq!(
        relay.tls.unwrap().cert,
        Path::new("/etc/latchkey/fullchain.pem")
    );
}

#[test]
fn wrong_values_are_named_with_what_is_allowed() {
    for (from, to, said) in [
        ("kind: octoprint", "kind: bambu", "octoprint"),
        (
            "http://127.0.0.1:5000",
            "https://127.0.0.1:5000",
            "upstream.url",
        ),
        (
            "http://127.0.0.1:5000",
            "http://u:p@127.0.0.1:5000",
            "key file",
        ),
        (
            "relay.example.com\"}",
            "relay.example.com/x\"}",
            "relay.url",
        ),
        (
            "https://relay.example.com",
            "http://relay.example.com",
            "relay.url",
        ),
        ("data: ./data", "name: \"\\t\"", "name"),
        ("path: /webcam/", "path: webcam", "webcams.path"),
        ("path: /webcam/", "path: /latchkey/", "webcams.path"),
        ("authority: host", "authority: both", "upstream"),
        ("authority: host", "autority: host", "autority"),
        (
            "data: ./data",
            "timeouts: {first_byte_seconds: 0}",
            "timeouts.first_byte_seconds",
        ),
        (
            "kind: octoprint,",
            "kind: octoprint, api_key_file: /nowhere,",
            "api_key_file",
        ),
    ] {
        let text = HOST.replacen(from, to, 1);
        assert_ne!(text, HOST, "{from}");
        let error = checked_host(&text).unwrap_err().to_string();
        assert!(error.contains(said), "{to}: {error}");
        assert!(error.contains("/etc/latchkey/host.yaml"), "{error}");
    }
}

#[test]
fn a_relay_never_shows_credentials_in_plain() {
    for (from, to, said) in [
        ("tls: {cert: fullchain.pem, key: key.pem}", "", "listen"),
        (
            "https://relay.example.com",
            "http://relay.example.com",
            "public_url",
        ),
        (
            "https://relay.example.com",
            "https://relay.example.com/x",
            "public_url",
        ),
        (
            "printers.example.net",
            "https://printers.example.net",
            "connection_domain",
        ),
        ("registration: open", "default_plan: gold", "default_plan"),
    ] {
        let text = RELAY.replacen(from, to, 1);
        let error = checked_relay(&text).unwrap_err().to_string();
        assert!(error.contains(said), "{to}: {error}");
    }
    let behind_proxy = RELAY.replacen(
        "tls: {cert: fullchain.pem, key: key.pem}",
        "trusted_proxies: [10.0.0.0/8]",
        1,
    );
    assert!(checked_relay(&behind_proxy).is_ok());
}

#[test]
fn a_syntax_error_names_the_line() {
    let error = checked_host("listen: 127.0.0.1:5010\nupstream: [}\n").unwrap_err();
    assert!(error.to_string().contains('2'), "{error}");
}

#[test]
fn the_environment_stands_over_the_file() {
    let overrides = [
        ("LATCHKEY__UPSTREAM__URL", "http://127.0.0.1:7125"),
        ("LATCHKEY__UPSTREAM__KIND", "moonraker"),
        ("LATCHKEY__TIMEOUTS__FIRST_BYTE_SECONDS", "5"),
        ("LATCHKEY__TRUSTED_PROXIES", "[10.0.0.0/8]"),
        ("OTHER__KEY", "ignored"),
        ("LATCHKEY__", "ignored"),
    ];
    let overrides = overrides
        .into_iter()
        .filter_map(|(name, value)| Override::of(name, value.to_owned()))
        .collect();
    let path = Path::new("host.yaml");
    let raw = parse(path, HOST, overrides).unwrap();
    let config = host::check(&Checking::new(path), raw).unwrap();
    assert_eq!(config.upstream.kind, UpstreamKind::Moonraker);
    assert_eq!(config.upstream.address.authority().port(), Some(7125));
    assert_eq!(config.timeouts.first_byte.as_secs(), 5);
    assert_eq!(config.trusted_proxies.len(), 1);
}

#[test]
fn an_unknown_key_in_the_environment_is_refused_like_one_in_the_file() {
    let overrides = vec![Override::of("LATCHKEY__UPSTREM__URL", "x".to_owned()).unwrap()];
    let error = parse::<host::RawHost>(Path::new("host.yaml"), HOST, overrides).unwrap_err();
    assert!(error.to_string().contains("upstrem"), "{error}");
}
