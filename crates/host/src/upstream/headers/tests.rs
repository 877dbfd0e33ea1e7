use super::*;
use crate::service::Door;
use crate::upstream::routes::tests::routes;
use latchkey_model::access::Access;
use latchkey_model::access::KeyScope;
use latchkey_net::client_addr::Scheme;

fn inbound(authority: &str, scheme: Scheme) -> Inbound {
    Inbound {
        door: Door::Tunnel {
            app_connection: Some("c1".to_owned()),
            scope: KeyScope::Full,
        },
        address: "203.0.113.9".parse().unwrap(),
        scheme,
        authority: authority.parse().unwrap(),
        prefix: String::new(),
        websocket: false,
        request_id: "r1".to_owned(),
    }
}

fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn request(path: &str, forward_address: bool, fields: &[(&'static str, &str)]) -> HeaderMap {
    let admission = Admission::Upto(Access::View, None);
    request_of(&admission, path, forward_address, fields)
}

fn request_of(
    admission: &Admission,
    path: &str,
    forward_address: bool,
    fields: &[(&'static str, &str)],
) -> HeaderMap {
    let inbound = inbound("app-x.example.net:8443", Scheme::Https);
    let routes = routes();
    let credential = Credential::new("host-key").unwrap();
    let mut headers = map(fields);
    RequestPolicy {
        kind: UpstreamKind::OctoPrint,
        inbound: &inbound,
        route: &routes.find(path),
        forward_address,
        admission,
        credential: Some(&credential),
    }
    .apply(&mut headers);
    headers
}

#[test]
fn the_upstream_learns_the_public_address_and_nothing_it_should_not() {
    let headers = request("/api/version", false, &[("host", "app-x.example.net:8443")]);
    assert_eq!(headers["host"], "127.0.0.1:5000");
    assert_eq!(headers["x-forwarded-host"], "app-x.example.net:8443");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["x-api-key"], "host-key");
    assert!(!headers.contains_key("x-forwarded-for"));
    let headers = request("/", true, &[]);
    assert_eq!(headers["x-forwarded-for"], "203.0.113.9");
    assert_eq!(headers["x-real-ip"], "203.0.113.9");
}

#[test]
fn a_camera_never_sees_the_printers_credential() {
    let headers = request("/webcam/", false, &[]);
    assert_eq!(headers["host"], "127.0.0.1:8080");
    assert!(!headers.contains_key("x-api-key"));
}

#[test]
fn an_origin_names_the_server_that_is_asked() {
    let own = "https://app-x.example.net:8443";
    for (path, passed) in [
        ("/sockjs/websocket", "http://127.0.0.1:5000"),
        ("/webcam/", "http://127.0.0.1:8080"),
    ] {
        let headers = request(path, false, &[("origin", own)]);
        assert_eq!(headers["origin"], passed);
    }
}

#[test]
fn own_origins_become_local_and_foreign_ones_stay() {
    for (name, value, passed) in [
        (
            "origin",
            "https://app-x.example.net:8443",
            "http://127.0.0.1:5000",
        ),
        (
            "referer",
            "https://app-x.example.net:8443/a/b?c=%20",
            "http://127.0.0.1:5000/a/b?c=%20",
        ),
        (
            "referer",
            "https://app-x.example.net:8443/",
            "http://127.0.0.1:5000/",
        ),
        ("origin", "https://evil.example", "https://evil.example"),
        (
            "origin",
            "https://app-x.example.net",
            "https://app-x.example.net",
        ),
        ("origin", "null", "null"),
        ("origin", "capacitor://localhost", "capacitor://localhost"),
    ] {
        assert_eq!(
            request("/", false, &[(name, value)])[name],
            passed,
            "{value}"
        );
    }
}

#[test]
fn a_credential_of_the_caller_stays_at_the_host() {
    let fields = [
        ("x-api-key", "of-the-app"),
        ("authorization", "Bearer of-the-app"),
        ("x-csrf-token", "t"),
        ("cookie", "session_P443=s"),
        ("cookie", "theme=dark"),
    ];
    for (path, key) in [("/api/job", Some("host-key")), ("/webcam/", None)] {
        let headers = request(path, false, &fields);
        let found = headers.get("x-api-key").map(|key| key.to_str().unwrap());
        assert_eq!(found, key, "{path}");
        assert_eq!(headers["cookie"], "theme=dark");
        assert!(!headers.contains_key("authorization"));
        assert!(!headers.contains_key("x-csrf-token"));
    }
    let headers = request_of(&Admission::Untouched, "/api/job", false, &fields);
    assert_eq!(headers["x-api-key"], "of-the-app");
    assert_eq!(headers["authorization"], "Bearer of-the-app");
    assert_eq!(headers["x-csrf-token"], "t");
    assert_eq!(headers["cookie"], "session_P443=s; theme=dark");
    let headers = request_of(&Admission::Untouched, "/api/job", false, &[]);
    assert!(!headers.contains_key("x-api-key"));
}

fn location(value: &str, path: &str) -> String {
    let inbound = inbound("app-x.example.net:8443", Scheme::Https);
    let routes = routes();
    let mut headers = map(&[("location", value)]);
    apply_to_response(
        &mut headers,
        &inbound,
        &routes.find(path),
        &routes,
        &Admission::Untouched,
    );
    headers["location"].to_str().unwrap().to_owned()
}

#[test]
fn locations_lead_through_the_public_address() {
    for (path, value, public) in [
        ("/", "/login/?redirect=%2F", "/login/?redirect=%2F"),
        ("/", "relative/x", "relative/x"),
        (
            "/",
            "http://127.0.0.1:5000/a%2Fb?c#d",
            "https://app-x.example.net:8443/a%2Fb?c#d",
        ),
        (
            "/",
            "http://localhost:5000/a",
            "https://app-x.example.net:8443/a",
        ),
        (
            "/",
            "http://[::1]:5000/a",
            "https://app-x.example.net:8443/a",
        ),
        (
            "/",
            "http://127.0.0.1:5000",
            "https://app-x.example.net:8443/",
        ),
        (
            "/",
            "http://app-x.example.net:8443/a",
            "https://app-x.example.net:8443/a",
        ),
        (
            "/",
            "http://127.0.0.1:8080/snap",
            "https://app-x.example.net:8443/webcam/snap",
        ),
        ("/", "http://127.0.0.1:9999/a", "http://127.0.0.1:9999/a"),
        (
            "/",
            "https://elsewhere.example/a",
            "https://elsewhere.example/a",
        ),
        ("/", "//elsewhere.example/a", "//elsewhere.example/a"),
        ("/", "octopod://done", "octopod://done"),
        ("/webcam/", "/javascript.html", "/webcam/javascript.html"),
    ] {
        assert_eq!(location(value, path), public, "{value}");
    }
}

#[test]
fn cookies_stay_apart_and_at_home() {
    let inbound = inbound("app-x.example.net", Scheme::Https);
    let routes = routes();
    let mut headers = map(&[
        (
            "set-cookie",
            "session_P443=a; HttpOnly; Path=/; SameSite=Lax",
        ),
        (
            "set-cookie",
            "b=1; Domain=example.net; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
        ),
        ("set-cookie", "c=2; secure; domain=.local"),
        ("latchkey-failure", "upstream_broken"),
        ("x-api-key", "echoed"),
        ("connection", "x-gone"),
        ("x-gone", "1"),
    ]);
    apply_to_response(
        &mut headers,
        &inbound,
        &routes.find("/"),
        &routes,
        &Admission::Untouched,
    );
    let cookies: Vec<_> = headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(
        cookies,
        [
            "session_P443=a; HttpOnly; Path=/; SameSite=Lax; Secure",
            "b=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Secure",
            "c=2; secure",
        ]
    );
    assert_eq!(headers.keys_len(), 1, "{headers:?}");
}
