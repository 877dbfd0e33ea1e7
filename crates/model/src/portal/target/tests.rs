//! What leads where, and what leads nowhere.

use proptest::prelude::*;

use super::*;

const GOOD: &[(&str, TargetKind, &str)] = &[
    ("https://app.example/done", TargetKind::Web, "app.example"),
    ("https://app.example", TargetKind::Web, "app.example"),
    ("HTTPS://App.Example/Done", TargetKind::Web, "app.example"),
    ("https://app.example:443/", TargetKind::Web, "app.example"),
    (
        "https://app.example:8443/x?y=1#z",
        TargetKind::Web,
        "app.example:8443",
    ),
    ("https://app.example./", TargetKind::Web, "app.example."),
    (
        "https://xn--bcher-kva.example/",
        TargetKind::Web,
        "xn--bcher-kva.example",
    ),
    ("https://192.0.2.7/", TargetKind::Web, "192.0.2.7"),
    ("https://[2001:db8::1]/", TargetKind::Web, "[2001:db8::1]"),
    ("https://app.example?x", TargetKind::Web, "app.example"),
    (
        "https://app.example/a//b/%2F%2e%2e",
        TargetKind::Web,
        "app.example",
    ),
    (
        "https://app.example/?next=https://evil.example",
        TargetKind::Web,
        "app.example",
    ),
    ("https://app.example/?a@b", TargetKind::Web, "app.example"),
    ("https://app.example/@me", TargetKind::Web, "app.example"),
    ("https://localhost/", TargetKind::Web, "localhost"),
    (
        "http://127.0.0.1:51234/cb",
        TargetKind::Loopback,
        "127.0.0.1:51234",
    ),
    ("http://127.0.0.1", TargetKind::Loopback, "127.0.0.1"),
    ("http://127.8.9.10:1/", TargetKind::Loopback, "127.8.9.10:1"),
    ("http://[::1]:8080/", TargetKind::Loopback, "[::1]:8080"),
    (
        "http://localhost:3000/",
        TargetKind::Loopback,
        "localhost:3000",
    ),
    ("http://LOCALHOST/", TargetKind::Loopback, "localhost"),
    (
        "http://app.localhost:7010/x",
        TargetKind::Loopback,
        "app.localhost:7010",
    ),
    (
        "http://192.168.1.9:1234/token/complete",
        TargetKind::Neighbour,
        "192.168.1.9:1234",
    ),
    ("http://10.0.0.1/", TargetKind::Neighbour, "10.0.0.1"),
    ("http://172.16.0.1/", TargetKind::Neighbour, "172.16.0.1"),
    (
        "http://172.31.255.254/",
        TargetKind::Neighbour,
        "172.31.255.254",
    ),
    ("http://169.254.7.7/", TargetKind::Neighbour, "169.254.7.7"),
    ("http://[fd00::7]/", TargetKind::Neighbour, "[fd00::7]"),
    ("http://[fe80::7]/", TargetKind::Neighbour, "[fe80::7]"),
    (
        "http://octopi.local/x",
        TargetKind::Neighbour,
        "octopi.local",
    ),
    (
        "http://desk.home.arpa/",
        TargetKind::Neighbour,
        "desk.home.arpa",
    ),
    ("http://100.64.0.1/", TargetKind::Neighbour, "100.64.0.1"),
    (
        "http://100.127.255.254:81/x",
        TargetKind::Neighbour,
        "100.127.255.254:81",
    ),
    ("http://octopi/", TargetKind::Neighbour, "octopi"),
    (
        "http://NotLocalhost:5000/x",
        TargetKind::Neighbour,
        "notlocalhost:5000",
    ),
    (
        "https://app.example/?url=x&code=y",
        TargetKind::Web,
        "app.example",
    ),
    (
        "octopod://octoeverywhere",
        TargetKind::App,
        "octopod://octoeverywhere",
    ),
    (
        "OctoPod://OctoEverywhere",
        TargetKind::App,
        "OctoPod://OctoEverywhere",
    ),
    (
        "mobileraker://octoeverywhere",
        TargetKind::App,
        "mobileraker://octoeverywhere",
    ),
    (
        "centaurilink://octoeverywhere-finish",
        TargetKind::App,
        "centaurilink://octoeverywhere-finish",
    ),
    (
        "com.example.app:/oauth?x=1",
        TargetKind::App,
        "com.example.app:/oauth",
    ),
    (
        "com.example.app://cb#here",
        TargetKind::App,
        "com.example.app://cb",
    ),
    (
        "fieldglass:connected",
        TargetKind::App,
        "fieldglass:connected",
    ),
    ("fieldglass:", TargetKind::App, "fieldglass:"),
    ("fieldglass://", TargetKind::App, "fieldglass://"),
    ("x-app+2.0:cb", TargetKind::App, "x-app+2.0:cb"),
    (
        "fieldglass:mail@home",
        TargetKind::App,
        "fieldglass:mail@home",
    ),
    ("fieldglass://a?b@c", TargetKind::App, "fieldglass://a"),
    (
        "https://app.example/?state=7&id=3",
        TargetKind::Web,
        "app.example",
    ),
];

const BAD: &[(&str, TargetError)] = &[
    ("", TargetError::Unreadable),
    (" ", TargetError::Unreadable),
    ("/", TargetError::Unreadable),
    ("/done", TargetError::Unreadable),
    ("//evil.example", TargetError::Unreadable),
    ("///evil.example", TargetError::Unreadable),
    ("done", TargetError::Unreadable),
    ("?x", TargetError::Unreadable),
    ("#x", TargetError::Unreadable),
    (":", TargetError::Unreadable),
    ("1app://x", TargetError::Unreadable),
    ("192.168.1.9:1234/x", TargetError::Unreadable),
    ("app example://x", TargetError::Unreadable),
    ("evil.example", TargetError::Unreadable),
    ("https:", TargetError::Unreadable),
    ("https://", TargetError::Unreadable),
    ("https:///evil.example", TargetError::Unreadable),
    ("https:evil.example", TargetError::Unreadable),
    ("https:/evil.example", TargetError::Unreadable),
    ("https:////evil.example", TargetError::Unreadable),
    ("https:\\\\evil.example", TargetError::Unreadable),
    (
        "https://evil.example\\@app.example",
        TargetError::Unreadable,
    ),
    (
        "https://app.example\\.evil.example",
        TargetError::Unreadable,
    ),
    ("https://app.example\t/", TargetError::Unreadable),
    ("\thttps://app.example/", TargetError::Unreadable),
    (" https://app.example/", TargetError::Unreadable),
    ("https://app.example/ ", TargetError::Unreadable),
    (
        "https://app.example/\r\nSet-Cookie: x",
        TargetError::Unreadable,
    ),
    ("https://app.example/\0", TargetError::Unreadable),
    ("ht\ntps://app.example/", TargetError::Unreadable),
    ("java\tscript:alert(1)", TargetError::Unreadable),
    ("https://app.example/\u{7f}", TargetError::Unreadable),
    ("https://\u{e4}pp.example/", TargetError::Unreadable),
    ("https://\u{ff41}pp.example/", TargetError::Unreadable),
    ("https://app\u{3002}example/", TargetError::Unreadable),
    ("https://app.example/\u{202e}", TargetError::Unreadable),
    ("https://app%2eexample/", TargetError::Unreadable),
    (
        "https://app.example%00.evil.example/",
        TargetError::Unreadable,
    ),
    ("https://app.exa%6dple/", TargetError::Unreadable),
    ("https://app.example:/", TargetError::Unreadable),
    ("https://app.example:0/", TargetError::Unreadable),
    ("https://app.example:00443/", TargetError::Unreadable),
    ("https://app.example:65536/", TargetError::Unreadable),
    ("https://app.example:port/", TargetError::Unreadable),
    ("https://app..example/\"onload=x", TargetError::Unreadable),
    ("https://app.example/<script>", TargetError::Unreadable),
    ("https://app.example/{x}", TargetError::Unreadable),
    ("https://app.example/`x`", TargetError::Unreadable),
    ("https://0x7f.1/", TargetError::Unreadable),
    ("https://2130706433/", TargetError::Unreadable),
    ("http://127.1/", TargetError::Unreadable),
    ("http://0177.0.0.1/", TargetError::Unreadable),
    ("http://0x7f000001/", TargetError::Unreadable),
    ("http://[0:0:0:0:0:0:0:1]/", TargetError::Unreadable),
    ("http://[::1", TargetError::Unreadable),
    ("https://user@app.example/", TargetError::UserInfo),
    ("https://user:pw@app.example/", TargetError::UserInfo),
    ("https://@app.example/", TargetError::UserInfo),
    ("https://:@app.example/", TargetError::UserInfo),
    ("https://app.example@evil.example/", TargetError::UserInfo),
    (
        "https://app.example:443@evil.example/",
        TargetError::UserInfo,
    ),
    (
        "https://app.example%40evil.example/",
        TargetError::Unreadable,
    ),
    ("http://127.0.0.1@evil.example/", TargetError::UserInfo),
    ("octopod://user@octoeverywhere", TargetError::UserInfo),
    ("octopod://@octoeverywhere", TargetError::UserInfo),
    ("http://app.example/", TargetError::Plain),
    ("http://192.0.2.7/", TargetError::Plain),
    ("http://8.8.8.8/", TargetError::Plain),
    ("http://172.32.0.1/", TargetError::Plain),
    ("http://192.169.0.1/", TargetError::Plain),
    ("http://0.0.0.0/", TargetError::Plain),
    ("http://[::]/", TargetError::Plain),
    ("http://[2001:db8::1]/", TargetError::Plain),
    ("http://[::ffff:7f00:1]/", TargetError::Plain),
    ("http://localhost./", TargetError::Plain),
    ("http://localhost.evil.example/", TargetError::Plain),
    ("http://127.0.0.1.evil.example/", TargetError::Plain),
    ("http://192.168.1.9.nip.example/", TargetError::Plain),
    ("http://.local/", TargetError::Plain),
    ("http://100.63.255.255/", TargetError::Plain),
    ("http://100.128.0.0/", TargetError::Plain),
    ("http://octopi./", TargetError::Plain),
    ("javascript:alert(1)", TargetError::Scheme),
    ("JavaScript:alert(1)", TargetError::Scheme),
    ("javascript://app.example/%0aalert(1)", TargetError::Scheme),
    ("data:text/html,x", TargetError::Scheme),
    ("DATA:,x", TargetError::Scheme),
    ("vbscript:x", TargetError::Scheme),
    ("file:///etc/passwd", TargetError::Scheme),
    ("blob:https://app.example/x", TargetError::Scheme),
    ("about:blank", TargetError::Scheme),
    ("content://x", TargetError::Scheme),
    ("intent://x#Intent;scheme=octopod;end", TargetError::Scheme),
    ("filesystem:https://app.example/x", TargetError::Scheme),
    ("ws://app.example/", TargetError::Scheme),
    ("wss://app.example/", TargetError::Scheme),
    ("ftp://app.example/", TargetError::Scheme),
    ("view-source:https://app.example", TargetError::Scheme),
    ("chrome://settings", TargetError::Scheme),
    ("mailto:x@app.example", TargetError::Scheme),
    ("c:/windows", TargetError::Scheme),
    ("localhost:3000/cb", TargetError::Scheme),
    ("octopod://x?success=true", TargetError::Reserved),
    ("octopod://x?a=b&SUCCESS=true", TargetError::Reserved),
    ("octopod://x?%73uccess=true", TargetError::Reserved),
    ("https://app.example/?appApiToken=x", TargetError::Reserved),
];

#[test]
fn addresses_lead_where_they_say_or_nowhere() {
    assert!(GOOD.len() + BAD.len() >= 120, "{}", GOOD.len() + BAD.len());
    for (text, kind, shown) in GOOD {
        let target = ReturnTarget::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let (said, whole) = match kind {
            TargetKind::App => (target.shown(), (*shown).to_owned()),
            _ => (
                target.host().to_owned(),
                format!("{}://{shown}", target.url.scheme()),
            ),
        };
        assert_eq!((target.kind(), said.as_str()), (*kind, *shown), "{text}");
        assert_eq!(target.shown(), whole);
        assert_eq!(target.as_str(), *text, "kept byte for byte");
    }
    for (text, error) in BAD {
        assert_eq!(ReturnTarget::parse(text), Err(*error), "{text:?}");
    }
    let long = format!("https://app.example/{}", "a".repeat(LONGEST));
    assert_eq!(ReturnTarget::parse(&long), Err(TargetError::TooLong));
}

#[test]
fn what_is_shown_has_an_end_and_hides_no_host() {
    let shown = |text: &str| ReturnTarget::parse(text).unwrap().shown();
    assert_eq!(
        shown("HTTPS://App.Example:8443/x"),
        "https://app.example:8443"
    );
    let rest = "a".repeat(900);
    let cut = shown(&format!("fieldglass://{rest}?x"));
    assert_eq!(cut, format!("fieldglass://{}…", "a".repeat(62)));
    let whole = format!("fieldglass:{}", "a".repeat(64));
    assert_eq!(shown(&whole), whole);
    // The end of a host says whose it is.
    let labels = |count| format!("https://{}evil.example/", "bank.".repeat(count));
    assert!(shown(&labels(48)).ends_with(".evil.example"));
    assert_eq!(
        ReturnTarget::parse(&labels(49)),
        Err(TargetError::Unreadable)
    );
}

fn matches(rule: &str, target: &str) -> bool {
    TargetRule::parse(rule)
        .unwrap()
        .matches(&ReturnTarget::parse(target).unwrap())
}

#[test]
fn registered_addresses_match_as_a_whole() {
    for (rule, target) in [
        ("octopod:", "octopod://octoeverywhere"),
        ("OctoPod:", "octopod:x"),
        ("https://app.example/done", "https://APP.example:443/done"),
        ("https://app.example", "https://app.example/"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51234/cb"),
        ("http://localhost:1/cb", "http://localhost:2/cb"),
        ("*", "https://anywhere.example/"),
        ("*", "http://192.168.1.9:1234/x"),
    ] {
        assert!(matches(rule, target), "{rule} {target}");
    }
    for (rule, target) in [
        ("octopod:", "octopods://x"),
        ("octopod:", "https://octopod/"),
        ("https://app.example/done", "https://app.example/done/"),
        ("https://app.example/done", "https://app.example/done?x"),
        ("https://app.example/done", "https://app.example/done#x"),
        ("https://app.example/done", "https://app.example/DONE"),
        ("https://app.example/done", "https://app.example:8443/done"),
        (
            "https://app.example/done",
            "https://app.example.evil.example/done",
        ),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51234/cb/x"),
        ("http://127.0.0.1/cb", "http://localhost:51234/cb"),
        ("http://127.0.0.1/cb", "https://127.0.0.1/cb"),
        ("http://192.168.1.9/cb", "http://192.168.1.9:81/cb"),
        ("octopod://a", "octopod://A"),
    ] {
        assert!(!matches(rule, target), "{rule} {target}");
    }
    for text in [
        "",
        "https:",
        "http:",
        "javascript:",
        "x:",
        "**",
        "octopod",
        "evil.example/x",
        "http://app.example/",
    ] {
        assert!(TargetRule::parse(text).is_err(), "{text}");
    }
    for text in ["*", "octopod:", "https://app.example/done"] {
        assert_eq!(TargetRule::parse(text).unwrap().to_string(), text);
    }
}

proptest! {
    #[test]
    fn whatever_is_allowed_says_where_it_leads(text in ".{0,60}") {
        check(&text)?;
    }

    #[test]
    fn whatever_looks_like_an_address_says_where_it_leads(
        text in "(https?|octopod|javascript|[a-z]{1,4}):?/{0,3}[a-z0-9.@:%\\\\\\[\\]\t -]{0,30}[/?#]?[a-z=&%@/]{0,10}"
    ) {
        check(&text)?;
    }
}

/// The outcome is an error, or an address that any browser reads as we do.
fn check(text: &str) -> Result<(), TestCaseError> {
    let Ok(target) = ReturnTarget::parse(text) else {
        return Ok(());
    };
    prop_assert_eq!(target.as_str(), text);
    prop_assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'));
    let url = Url::parse(text).unwrap();
    prop_assert!(url.username().is_empty() && url.password().is_none());
    match target.kind() {
        TargetKind::App => {
            prop_assert!(!NO_APPS.contains(&url.scheme()));
            prop_assert!(!["http", "https"].contains(&url.scheme()));
        }
        kind => {
            let start = target.shown();
            prop_assert!(
                text.to_ascii_lowercase().starts_with(&start),
                "{} {}",
                text,
                start
            );
            prop_assert!(url.scheme() == "https" || kind != TargetKind::Web);
        }
    }
    Ok(())
}
