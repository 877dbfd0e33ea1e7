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

const RELAY: &str = r"
listen: 0.0.0.0:443
public_url: https://relay.example.com
connection_domain: printers.example.net
tls: {cert: fullchain.pem, key: key.pem}
data: ./data
registration: open
plans: {supporter: {app_connections: true, max_upload_bytes: 1073741824, max_download_bytes: 1073741824, max_webcam_stream_seconds: null}}
";
/// What stands in that.
const TLS: &str = "tls: {cert: fullchain.pem, key: key.pem}\n";

fn checked_host(text: &str) -> Result<Checked<latchkey_host::config::Config>, ConfigError> {
    let file = Checking::alone(Path::new("/etc/latchkey/host.yaml"));
    host::check(&file, file.parse(text)?)
}

fn checked_relay(text: &str) -> Result<Checked<latchkey_relay::config::Config>, ConfigError> {
    let file = Checking::alone(Path::new("/etc/latchkey/relay.yaml"));
    relay::check(&file, file.parse(text)?)
}

fn with(variables: &[(&str, &str)]) -> Checking<'static> {
    let given = variables.iter();
    Checking {
        path: Path::new("role.yaml"),
        overrides: given
            .filter_map(|(name, value)| Override::of(name, (*value).to_owned()))
            .collect(),
    }
}

fn host_with(
    variables: &[(&str, &str)],
    text: &str,
) -> Result<latchkey_host::config::Config, ConfigError> {
    let file = with(variables);
    Ok(host::check(&file, file.parse(text)?)?.config)
}

fn relay_with(
    variables: &[(&str, &str)],
    text: &str,
) -> Result<latchkey_relay::config::Config, ConfigError> {
    let file = with(variables);
    Ok(relay::check(&file, file.parse(text)?)?.config)
}

#[test]
fn the_documented_minimal_files_are_valid() {
    let host = checked_host(HOST).unwrap().config;
    assert_eq!(host.upstream.kind, UpstreamKind::OctoPrint);
    assert_eq!(host.authority, AuthorityMode::Host);
    assert_eq!(host.data, Path::new("/etc/latchkey/./data"));
    let relay = checked_relay(RELAY).unwrap().config;
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
        (
            "relay.example.com\"}",
            "relay.example.com\", connections: 5}",
            "relay.connections: 5 is not between 1 and 4",
        ),
        ("data: ./data", "name: \"\\t\"", "name"),
        (
            "path: /webcam/",
            "path: /webcam",
            "webcams[0].path: \"/webcam\" needs a slash at both ends, as in /webcam/",
        ),
        (
            "path: /webcam/",
            "path: /OctoEverywhere-command-API/",
            "webcams[0].path: \"/OctoEverywhere-command-API/\" is taken",
        ),
        (
            "webcams: [",
            "webcams: [{path: /webcam/, url: \"http://127.0.0.1:1/\"}, ",
            "webcams[1].path: \"/webcam/\" is the path of",
        ),
        (
            "data: ./data",
            "drain_seconds: 3601",
            "drain_seconds: 3601 needs",
        ),
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
fn a_relay_gets_its_certificate_itself_if_it_is_told_how() {
    const FILES: &str = "{cert: fullchain.pem, key: key.pem}";
    let with = |tls: &str| checked_relay(&RELAY.replacen(FILES, tls, 1));
    let directory = "directory: \"https://acme.example/directory\"";
    let good = format!(
        "{{acme: {{{directory}, email: Op@example.net, ca: ca.pem, dns: {{exec: hook}}}}}}"
    );
    let relay = with(&good).unwrap().config;
    let acme = relay.acme.unwrap();
    assert_eq!(acme.directory.as_str(), "https://acme.example/directory");
    assert_eq!(acme.email.unwrap().as_str(), "op@example.net");
    assert_eq!(acme.ca.unwrap(), Path::new("/etc/latchkey/ca.pem"));
    assert_eq!(acme.hook, Path::new("/etc/latchkey/hook"));
    let files = relay.tls.unwrap();
    assert_eq!(files.cert, relay.data.join("certificate.pem"));
    assert_eq!(files.key, files.cert);
    assert!(with(FILES).unwrap().config.acme.is_none());
    for (tls, said) in [
        ("{}".to_owned(), "tls: "),
        ("{cert: a}".to_owned(), "tls.key"),
        ("{key: a}".to_owned(), "tls.cert"),
        (good.replace("{acme", "{cert: a, acme"), "tls.acme"),
        (good.replace("https:", "http:"), "tls.acme.directory"),
        (
            good.replace("acme.example", "u:secret@acme.example"),
            "tls.acme.directory",
        ),
        (good.replace("Op@", ""), "tls.acme.email"),
        (good.replace("{exec: hook}", "{}"), "exec"),
        (good.replace("exec", "shell"), "shell"),
    ] {
        let error = with(&tls).unwrap_err().to_string();
        assert!(error.contains(said), "{tls}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    for (from, to, said) in [
        ("relay.example.com", "192.0.2.1", "public_url"),
        ("printers.example.net", "192.0.2.1", "connection_domain"),
    ] {
        let text = RELAY.replacen(FILES, &good, 1).replacen(from, to, 1);
        let error = checked_relay(&text).unwrap_err().to_string();
        assert!(error.contains(said), "{to}: {error}");
    }
}

#[test]
fn hosts_are_shown_a_certificate_of_their_own_or_the_relays() {
    const PLAIN: &str = "trusted_proxies: [10.0.0.0/8]\n";
    const OWN: &str = "tls: {cert: hosts.pem, key: hosts.key}";
    let relay = |tls: &str, hosts: &str| {
        let text = RELAY.replacen(TLS, tls, 1);
        checked_relay(&format!("{text}hosts: {hosts}\n"))
    };
    let hosts = |tls: &str, hosts: &str| relay(tls, hosts).unwrap().config.hosts.unwrap();
    assert!(checked_relay(RELAY).unwrap().config.hosts.is_none());
    let given = hosts(TLS, "{listen: \"0.0.0.0:7443\"}");
    assert_eq!(given.listen.port(), 7443);
    assert_eq!(given.tls.cert, Path::new("/etc/latchkey/fullchain.pem"));
    for tls in [TLS, PLAIN] {
        let given = hosts(tls, &format!("{{listen: \"0.0.0.0:7443\", {OWN}}}"));
        assert_eq!(given.tls.cert, Path::new("/etc/latchkey/hosts.pem"));
        assert_eq!(given.tls.key, Path::new("/etc/latchkey/hosts.key"));
    }
    let acme = "{directory: \"https://acme.example/\", dns: {exec: hook}}";
    let asking = format!("tls: {{acme: {acme}}}\n");
    let shared = relay(&asking, "{listen: \"0.0.0.0:7443\"}").unwrap().config;
    assert_eq!(shared.hosts.map(|hosts| hosts.tls), shared.tls);
    for (tls, wrong, said) in [
        (
            PLAIN,
            "{listen: \"0.0.0.0:7443\"}",
            "hosts.tls: needs `cert` and `key`",
        ),
        (
            TLS,
            "{listen: \"0.0.0.0:443\"}",
            "hosts.listen: 0.0.0.0:443 needs to be another",
        ),
        (TLS, "{tls: {cert: a, key: b}}", "listen"),
        (TLS, "{listen: \"[::]:7443\", tls: {}}", "hosts.tls: needs"),
        (
            TLS,
            "{listen: \"[::]:7443\", tls: {cert: a}}",
            "hosts.tls.key: goes with `hosts.tls.cert`",
        ),
        (
            TLS,
            "{listen: \"[::]:7443\", tls: {key: a}}",
            "hosts.tls.cert: goes with `hosts.tls.key`",
        ),
        (
            TLS,
            &format!("{{listen: \"[::]:7443\", tls: {{acme: {acme}}}}}"),
            "hosts.tls.acme: cannot be used",
        ),
        (
            TLS,
            "{listen: \"[::]:7443\", trusted_proxies: []}",
            "trusted_proxies",
        ),
    ] {
        let error = relay(tls, wrong).unwrap_err().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
    let variables = [
        ("LATCHKEY__HOSTS__LISTEN", "127.0.0.1:7443"),
        ("LATCHKEY__HOSTS__TLS__CERT", "a.pem"),
        ("LATCHKEY__HOSTS__TLS__KEY", "b.pem"),
    ];
    let given = relay_with(&variables, RELAY).unwrap().hosts.unwrap();
    assert_eq!(
        (given.listen.port(), given.tls.key.ends_with("b.pem")),
        (7443, true)
    );
}

#[test]
fn a_mail_server_is_checked() {
    let with = |smtp: &str| checked_relay(&format!("{RELAY}smtp: {smtp}\n"));
    let smtp = |text: &str| with(text).unwrap().config.smtp.unwrap();
    let usual = smtp("{host: mail.example.net, from: relay@example.net}");
    assert_eq!((usual.port, usual.login.is_none()), (587, true));
    assert_eq!(
        smtp("{host: mail.example.net, tls: tls, from: relay@example.net}").port,
        465
    );
    for host in ["localhost", "127.0.0.1"] {
        let local = format!("{{host: {host}, port: 2525, tls: none, from: a@b.example}}");
        assert_eq!(smtp(&local).port, 2525);
    }
    for (wrong, said) in [
        ("{from: relay@example.net}", "host"),
        ("{host: mail.example.net}", "from"),
        ("{host: \"a b\", from: a@b.example}", "smtp.host"),
        ("{host: mail.example.net, from: nobody}", "smtp.from"),
        (
            "{host: mail.example.net, tls: none, from: a@b.example}",
            "smtp.tls",
        ),
        (
            "{host: mail.example.net, tls: maybe, from: a@b.example}",
            "tls",
        ),
        (
            "{host: mail.example.net, user: a, from: a@b.example}",
            "smtp.password_file",
        ),
        (
            "{host: mail.example.net, password_file: a, from: a@b.example}",
            "smtp.user",
        ),
        (
            "{host: mail.example.net, user: a, password_file: ./none, from: a@b.example}",
            "smtp.password_file",
        ),
    ] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

#[test]
fn a_syntax_error_names_the_line() {
    let error = checked_host("listen: 127.0.0.1:5010\nupstream: [}\n").unwrap_err();
    assert!(error.to_string().contains('2'), "{error}");
}

#[test]
fn a_webcam_path_may_begin_like_one_of_ours() {
    let text = HOST.replacen("/webcam/", "/latchkey-cam/", 1);
    let config = checked_host(&text).unwrap().config;
    assert_eq!(config.webcams[0].path, "/latchkey-cam/");
}

#[test]
fn webhooks_reach_the_open_internet_by_https_unless_more_is_allowed() {
    let usual = checked_relay(RELAY).unwrap().config.webhooks;
    assert!(usual.rules.allow_networks.is_empty() && !usual.rules.allow_http);
    assert!(usual.snapshots && usual.ca.is_none());
    let text = format!(
        "{RELAY}webhooks: {{allow_networks: [192.168.7.0/24], allow_http: true, snapshots: false, ca: own.pem}}\n"
    );
    let more = checked_relay(&text).unwrap().config.webhooks;
    assert_eq!(
        more.rules.allow_networks,
        ["192.168.7.0/24".parse().unwrap()]
    );
    assert!(more.rules.allow_http && !more.snapshots);
    assert!(more.ca.unwrap().ends_with("own.pem"));
    for wrong in [
        "{allow_networks: [home]}",
        "{allow_http: maybe}",
        "{port: 1}",
    ] {
        assert!(
            checked_relay(&format!("{RELAY}webhooks: {wrong}\n")).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn a_wrong_url_is_shown_without_its_secrets() {
    for (from, to) in [
        ("http://127.0.0.1:5000", "https://me:planted@127.0.0.1:5000"),
        (
            "http://127.0.0.1:8080/",
            "http://127.0.0.1:8080/?key=planted",
        ),
        ("relay.example.com", "planted@relay.example.com"),
    ] {
        let error = checked_host(&HOST.replacen(from, to, 1)).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("***") && !error.contains("planted"),
            "{error}"
        );
    }
}

#[test]
fn a_limit_that_leaves_nothing_to_do_is_refused() {
    for limit in [
        "max_upload_bytes",
        "max_download_bytes",
        "max_webcam_stream_seconds",
        "webcam_window_seconds",
        "max_webcam_fps",
        "max_webcam_bytes_per_second",
        "max_concurrent_streams",
        "max_bytes_per_month",
        "max_bytes_per_second",
    ] {
        let plan = format!("free: {{{limit}: 0}}, supporter");
        let error = checked_relay(&RELAY.replacen("supporter", &plan, 1)).unwrap_err();
        let error = error.to_string();
        let key = format!("plans.free.{limit}");
        assert!(error.contains(&key) && error.contains("null"), "{error}");
    }
    let none = "free: {max_printers: 0, max_app_connections: 0, max_webcam_seconds_per_window: 0}";
    let text = RELAY.replacen("supporter", &format!("{none}, supporter"), 1);
    let plans = checked_relay(&text).unwrap().config.plans;
    let free = plans.find(&"free".parse().unwrap()).unwrap();
    assert_eq!(free.max_printers, Some(0));
}

#[test]
fn what_is_set_without_effect_is_noted() {
    let notes = checked_host(HOST).unwrap().notes;
    assert_eq!(notes.len(), 1);
    let [said] = ["`com.example.app:1.0` gets no session keys: its public key"];
    assert!(notes[0].contains(said), "{notes:?}");
    let text = RELAY.replacen(
        "supporter",
        "free: {webcam_window_seconds: 60}, supporter",
        1,
    );
    assert_eq!(
        checked_relay(&text).unwrap().notes,
        [
            "`plans.free.webcam_window_seconds` changes nothing without \
             `max_webcam_seconds_per_window`"
        ]
    );
    assert!(checked_relay(RELAY).unwrap().notes.is_empty());
}

#[test]
fn the_environment_stands_over_the_file() {
    let config = host_with(
        &[
            ("LATCHKEY__UPSTREAM__URL", "http://127.0.0.1:7125"),
            ("LATCHKEY__UPSTREAM__KIND", "moonraker"),
            ("LATCHKEY__TIMEOUTS__FIRST_BYTE_SECONDS", "5"),
            ("LATCHKEY__TRUSTED_PROXIES", "[10.0.0.0/8]"),
            ("LATCHKEY__STATUS_LISTEN", "null"),
            ("LATCHKEY__RELAY__ALLOW_UNBOUND", "true"),
            (
                "LATCHKEY__WEBCAMS",
                "[{path: /cam/, url: \"http://127.0.0.1:1\"}]",
            ),
            ("OTHER__KEY", "ignored"),
            ("LATCHKEY__", "ignored"),
        ],
        HOST,
    )
    .unwrap();
    assert_eq!(config.upstream.kind, UpstreamKind::Moonraker);
    assert_eq!(config.upstream.address.authority().port(), Some(7125));
    assert_eq!(config.timeouts.first_byte.as_secs(), 5);
    assert_eq!(config.trusted_proxies.len(), 1);
    assert_eq!(config.status_listen, None);
    assert!(config.relay.unwrap().allow_unbound);
    assert_eq!(config.webcams[0].path, "/cam/");
}

#[test]
fn the_environment_alone_can_configure_a_role() {
    let whole = ("LATCHKEY__UPSTREAM", "{kind: generic, url: \"http://a\"}");
    let part = ("LATCHKEY__UPSTREAM__URL", "http://b");
    for variables in [[whole, part], [part, whole]] {
        let config = host_with(&variables, "# nothing\n").unwrap();
        assert_eq!(config.upstream.address.authority().to_string(), "b:80");
    }
}

#[test]
fn text_in_the_environment_needs_no_quotes() {
    for (given, name) in [
        ("123", "123"),
        ("null", "null"),
        ("Printer #2", "Printer #2"),
        ("[a]", "[a]"),
        ("\"123\"", "123"),
    ] {
        let config = host_with(&[("LATCHKEY__NAME", given)], HOST).unwrap();
        assert_eq!(config.name, name);
    }
}

#[test]
fn a_plan_in_the_environment_leaves_the_default_plans() {
    let variables = [("LATCHKEY__PLANS__FREE__MAX_UPLOAD_BYTES", "5")];
    let (before, plans) = RELAY.split_once("plans:").unwrap();
    let config = relay_with(&variables, before).unwrap();
    let plan = |name: &str| *config.plans.find(&name.parse().unwrap()).unwrap();
    assert_eq!(plan("free").max_upload_bytes, Some(5));
    assert_eq!(plan("free").max_download_bytes, None);
    assert!(!plan("free").app_connections, "the rest stays as it was");
    assert!(plan("supporter").app_connections);
    // Plans of the file are all there is, with or without the environment.
    let config = relay_with(&variables, &format!("{before}plans:{plans}")).unwrap();
    assert_eq!(config.plans.iter().count(), 2);
    let config = relay_with(&[], RELAY).unwrap();
    assert_eq!(config.plans.iter().count(), 1);
}

#[test]
fn an_error_by_the_environment_names_the_variable() {
    for (name, value, said) in [
        ("LATCHKEY__UPSTREM__URL", "x", "unknown field `upstrem`"),
        ("LATCHKEY__UPSTREAM__KIND", "bambu", "upstream.kind"),
        ("LATCHKEY__DRAIN_SECONDS", "soon", "drain_seconds"),
        ("LATCHKEY__DRAIN_SECONDS", "3601", "drain_seconds"),
        ("LATCHKEY__LISTEN", "here", "listen"),
        ("LATCHKEY__UPSTREAM__URL", "https://a", "upstream.url"),
        (
            "LATCHKEY__WEBCAMS",
            "[{path: cam, url: \"http://a\"}]",
            "webcams[0].path",
        ),
        ("LATCHKEY__WEBCAMS", "[{path: /cam/}]", "webcams[0]"),
        ("LATCHKEY__WEBCAMS__0__PATH", "/cam/", "webcams"),
    ] {
        let error = host_with(&[(name, value)], HOST).unwrap_err().to_string();
        assert!(
            error.contains(said) && error.contains("role.yaml"),
            "{error}"
        );
        assert!(error.contains(name), "{error}");
    }
    // A section that only the environment begins lacks what it does not say.
    let bare = "upstream: {kind: generic, url: \"http://a\"}";
    let variable = ("LATCHKEY__RELAY__ALLOW_UNBOUND", "true");
    let error = host_with(&[variable], bare).unwrap_err().to_string();
    assert!(
        error.contains("relay (from LATCHKEY__RELAY__ALLOW_UNBOUND): missing"),
        "{error}"
    );
}

#[test]
fn an_error_of_the_file_does_not_blame_the_environment() {
    let variable = ("LATCHKEY__NAME", "x");
    for text in [
        HOST.replacen("http://127.0.0.1:8080/", "https://127.0.0.1", 1),
        HOST.replacen("kind: octoprint", "kind: bambu", 1),
        "listen: 127.0.0.1:1".to_owned(),
    ] {
        let error = host_with(&[variable], &text).unwrap_err().to_string();
        assert!(!error.contains(variable.0), "{error}");
    }
}

/// What people copy has to work.
#[test]
fn the_files_in_the_guides_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("upstream.key"), "key\n").unwrap();
    let guides = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide");
    let mut checked = Vec::new();
    for guide in [
        "run-a-relay.md",
        "put-a-relay-on-a-vps.md",
        "connect-octoprint.md",
        "connect-klipper.md",
        "connect-prusalink.md",
    ] {
        let text = std::fs::read_to_string(guides.join(guide)).unwrap();
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            // What stands in the place of something in a whole file.
            let block = match block.strip_prefix("tls:") {
                Some(_) => {
                    let whole = RELAY.replacen(TLS, block, 1);
                    assert_ne!(whole, RELAY);
                    whole
                }
                None => block.to_owned(),
            };
            let block = block.as_str();
            let path = folder.path().join("role.yaml");
            let file = Checking::alone(&path);
            let notes = if block.contains("upstream:") {
                host::check(&file, file.parse(block).unwrap())
                    .unwrap()
                    .notes
            } else {
                relay::check(&file, file.parse(block).unwrap())
                    .unwrap()
                    .notes
            };
            assert_eq!(notes, Vec::<String>::new(), "{guide}");
            checked.push(guide);
        }
    }
    assert_eq!(checked.len(), 10, "{checked:?}");
}
