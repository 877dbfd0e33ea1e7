//! Which fields cross, and what the printer's server is told about the caller.

use std::fmt::Write as _;

use latchkey_host::config::{AuthorityMode, ClientAddress, Credential, UpstreamKind, Webcam};

use crate::harness::inproc::{Door, Printer, Setup, Way, at_both_hops, upstream};
use crate::harness::raw::{RawConnection, RawRequest};

at_both_hops!(
    connection_fields_end_at_each_hop,
    nominated_fields_are_removed_whichever_connection_field_names_them,
    fields_by_which_a_caller_pretends_to_be_a_hop_never_arrive,
    printer_is_told_the_address_the_caller_used,
    credential_of_the_edge_stays_there_and_the_printers_own_pass,
    origin_and_referrer_name_the_printer_where_they_named_the_door,
    own_origin_becomes_the_printers_and_a_foreign_one_is_never_rewritten,
    address_is_hidden_from_a_printer_that_asks_local_callers_for_a_key,
    address_is_told_to_a_printer_that_trusts_local_callers,
    address_is_told_while_nobody_knows_what_the_printer_trusts,
    address_is_told_or_hidden_as_configured,
    response_fields_pass_but_for_those_of_the_connection_and_of_ours,
    cookies_stay_separate_keep_their_names_and_lose_their_domain,
    locations_at_the_printer_become_locations_at_the_door,
    conditional_and_partial_answers_pass_unchanged,
    hosts_key_is_seen_by_the_printer_alone,
);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What the printer sees of a request with these fields.
async fn seen(setup: Setup, line: &str, fields: &[&str]) -> (RawRequest, String) {
    let (printer, door) = setup.open().await;
    let mut caller = door.connect().await;
    caller.send(door.head(line, fields)).await;
    let mut upstream = printer.accept().await;
    let request = upstream.read_request().await;
    upstream.send(OK).await;
    assert_eq!(caller.read_response().await.status(), 200);
    (request, door.authority.clone())
}

async fn connection_fields_end_at_each_hop(way: Way) {
    let (seen, _) = seen(
        Setup::new(way),
        "GET /",
        &[
            "Connection: keep-alive, x-one",
            "Keep-Alive: timeout=5",
            "TE: trailers",
            "Proxy-Connection: keep-alive",
            "Proxy-Authorization: Basic eDp5",
            "Proxy-Authenticate: Basic",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            "X-One: 1",
            "X-Stays: 1",
        ],
    )
    .await;
    let names = seen.names();
    for name in [
        "connection",
        "keep-alive",
        "te",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "upgrade",
        "x-one",
    ] {
        assert!(!names.iter().any(|seen| seen == name), "{name} in {seen:?}");
    }
    assert_eq!(seen.field("x-stays"), Some("1"));
    assert_eq!(seen.line, "GET / HTTP/1.1");
}

async fn nominated_fields_are_removed_whichever_connection_field_names_them(way: Way) {
    let (seen, _) = seen(
        Setup::new(way),
        "GET /",
        &[
            "Connection: X-One",
            "X-One: 1",
            "X-Two: 2",
            "X-Three: 3",
            "Connection: ,x-TWO , , x-four",
            "X-Four: 4",
        ],
    )
    .await;
    let names = seen.names();
    let ours: Vec<_> = names
        .iter()
        .filter(|name| name.starts_with("x-t"))
        .collect();
    assert_eq!(ours, ["x-three"], "{seen:?}");
    assert!(seen.field("x-one").is_none() && seen.field("x-four").is_none());
}

async fn fields_by_which_a_caller_pretends_to_be_a_hop_never_arrive(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    let mut upstream = None;
    let pretended = [
        "X-Forwarded-Server",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Protocol",
        "X-Forwarded-Ssl",
        "X-Forwarded-By",
        "X-Forwarded",
        "Forwarded",
        "X-Real-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "X-Scheme",
        "X-Script-Name",
        "X-Original-Proto",
        "X-Original-Host",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-URL-Scheme",
        "Remote-User",
        "X-Remote-User",
        "X-Authenticated-User",
        "Latchkey-Kind",
        "Latchkey-Caller",
        "Latchkey-Scheme",
        "Latchkey-App-Connection",
        "Latchkey-Request",
        "Latchkey-Failure",
        // Believed of a trusted proxy, so only their twins can be tried at a loopback door.
        "X_Forwarded_For",
        "X_Forwarded_Host",
        "X_Forwarded_Proto",
        "X-Forwarded_For",
    ];
    for name in pretended {
        let lower = name.to_ascii_lowercase();
        let spellings = [
            name.to_owned(),
            lower.clone(),
            name.to_ascii_uppercase(),
            name.replace('-', "_"),
        ];
        let mut fields = String::new();
        for spelling in &spellings {
            // Twice each: neither the first nor the last may slip through.
            write!(fields, "{spelling}: planted\r\n{spelling}: planted\r\n").unwrap();
        }
        let fields = fields.trim_end().to_owned();
        caller.send(door.head("GET /", &[&fields])).await;
        if upstream.is_none() {
            upstream = Some(printer.accept().await);
        }
        let printer = upstream.as_mut().unwrap();
        let seen = printer.read_request().await;
        assert!(
            !seen.fields.iter().any(|field| field.contains("planted")),
            "{name}: {seen:?}"
        );
        printer.send(OK).await;
        assert_eq!(caller.read_response().await.status(), 200, "{name}");
        // Nominating one is an attempt to strip what a hop adds.
        let mut second = door.connect().await;
        let nominated = format!("Connection: {lower}");
        second.send(door.head("GET /", &[&nominated])).await;
        assert_eq!(second.read_response().await.status(), 400, "{name}");
    }
}

async fn printer_is_told_the_address_the_caller_used(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    caller
        .send(door.head("GET /", &["Upgrade-Insecure-Requests: 1"]))
        .await;
    let mut upstream = printer.accept().await;
    let seen = upstream.read_request().await;
    assert_eq!(seen.field("host"), Some(&*printer.address().to_string()));
    // The port is not the scheme's own, so it must be there: cookies are named after it.
    assert!(door.authority.contains(':'));
    assert_eq!(seen.field("x-forwarded-host"), Some(&*door.authority));
    assert_eq!(seen.field("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.field("upgrade-insecure-requests"), None);
    upstream.send(OK).await;
    caller.read_response().await;
}

async fn credential_of_the_edge_stays_there_and_the_printers_own_pass(way: Way) {
    let setup = Setup::new(way);
    let own = ["X-Api-Key: of-the-caller", "Cookie: session_P443=abc; a=b"];
    let (printer, door) = setup.open().await;
    let mut caller = door.connect().await;
    let authorization = match way {
        Way::Edge => None,
        Way::Lan => Some("Authorization: Basic cHJpbnRlcjpvd24="),
    };
    let fields: Vec<_> = own.into_iter().chain(authorization).collect();
    caller.send(door.head("GET /", &fields)).await;
    let mut upstream = printer.accept().await;
    let seen = upstream.read_request().await;
    // At home nobody but the printer asks for credentials, so the field is its own.
    let expected = door.either(None, Some("Basic cHJpbnRlcjpvd24="));
    assert_eq!(seen.field("authorization"), expected);
    assert_eq!(seen.field("x-api-key"), Some("of-the-caller"));
    assert_eq!(seen.field("cookie"), Some("session_P443=abc; a=b"));
    upstream.send(OK).await;
    caller.read_response().await;
}

async fn origin_and_referrer_name_the_printer_where_they_named_the_door(way: Way) {
    let (printer, door) = Setup::new(way)
        .host(|host| host.upstream.kind = UpstreamKind::Moonraker)
        .open()
        .await;
    let local = format!("http://{}", printer.address());
    let own = format!("http://{}", door.authority);
    let own_with_path = format!("{own}/a//b?c=%2F");
    let local_with_path = format!("{local}/a//b?c=%2F");
    let mut caller = door.connect().await;
    let mut upstream = None;
    for (field, sent, expected) in [
        ("Origin", &own, &local),
        ("Origin", &own.to_ascii_uppercase(), &local),
        ("Referer", &own_with_path, &local_with_path),
    ] {
        let seen = one(
            &printer,
            &door,
            &mut caller,
            &mut upstream,
            &format!("{field}: {sent}"),
        )
        .await;
        assert_eq!(seen.field(field), Some(&**expected), "{sent}");
    }
}

async fn own_origin_becomes_the_printers_and_a_foreign_one_is_never_rewritten(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let own = format!("http://{}", door.authority);
    let mut caller = door.connect().await;
    let mut upstream = None;
    // Printer servers compare with `Host`.
    let own_field = format!("Origin: {own}");
    let seen = one(&printer, &door, &mut caller, &mut upstream, &own_field).await;
    let host = seen.field("host").unwrap();
    assert_eq!(seen.field("origin"), Some(&*format!("http://{host}")));
    let own_field = format!("Referer: {own}/a//b?c=%2F");
    let seen = one(&printer, &door, &mut caller, &mut upstream, &own_field).await;
    let local = format!("http://{}/a//b?c=%2F", seen.field("host").unwrap());
    assert_eq!(seen.field("referer"), Some(&*local));
    for field in [
        "Origin: https://evil.example".to_owned(),
        "Origin: null".to_owned(),
        format!("Origin: {own}.evil.example"),
        format!("Referer: https://evil.example/{own}"),
    ] {
        let seen = one(&printer, &door, &mut caller, &mut upstream, &field).await;
        assert!(
            seen.fields
                .iter()
                .any(|seen| seen.eq_ignore_ascii_case(&field)),
            "{field}: {seen:?}"
        );
    }
}

/// One request with this field, on connections that are kept: what the printer sees of it.
async fn one(
    printer: &Printer,
    door: &Door,
    caller: &mut RawConnection,
    upstream: &mut Option<RawConnection>,
    field: &str,
) -> RawRequest {
    caller.send(door.head("GET /", &[field])).await;
    if upstream.is_none() {
        *upstream = Some(printer.accept().await);
    }
    let upstream = upstream.as_mut().unwrap();
    let seen = upstream.read_request().await;
    upstream.send(OK).await;
    assert_eq!(caller.read_response().await.status(), 200);
    seen
}

async fn tells_address(setup: Setup) -> bool {
    let (seen, _) = seen(setup, "GET /", &[]).await;
    let told = seen.field("x-forwarded-for");
    assert_eq!(told, seen.field("x-real-ip"));
    assert!(
        told.is_none_or(|address| address == "127.0.0.1"),
        "{told:?}"
    );
    told.is_some()
}

async fn address_is_hidden_from_a_printer_that_asks_local_callers_for_a_key(way: Way) {
    assert!(!tells_address(Setup::new(way).probe("403 Forbidden")).await);
    assert!(!tells_address(Setup::new(way).probe("401 Unauthorized")).await);
}

async fn address_is_told_to_a_printer_that_trusts_local_callers(way: Way) {
    assert!(tells_address(Setup::new(way).probe("200 OK")).await);
}

async fn address_is_told_while_nobody_knows_what_the_printer_trusts(way: Way) {
    assert!(tells_address(Setup::new(way).probe("500 Internal Server Error")).await);
    // It is switched on after the host, and asked for the first time after the first caller.
    let printer = Printer::start().await;
    let address = printer.address();
    drop(printer);
    let door = Setup::new(way).open_before(address).await;
    let mut caller = door.connect().await;
    caller.send(door.head("GET /early", &[])).await;
    caller.read_response().await;
    let printer = Printer::at(address).await;
    caller.send(door.head("GET /first", &[])).await;
    let mut first = printer.accept().await;
    let seen = first.read_request().await;
    // Either of the two may be first: the host's question has no forwarded host.
    let (mut upstream, seen) = if seen.field("x-forwarded-host").is_some() {
        (first, seen)
    } else {
        first
            .send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
            .await;
        let mut upstream = printer.accept().await;
        let seen = upstream.read_request().await;
        (upstream, seen)
    };
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
    upstream.send(OK).await;
    caller.read_response().await;
}

async fn address_is_told_or_hidden_as_configured(way: Way) {
    let hide = Setup::new(way).host(|host| host.client_address = ClientAddress::Hide);
    assert!(!tells_address(hide.probe("200 OK")).await);
    let forward = Setup::new(way).host(|host| host.client_address = ClientAddress::Forward);
    assert!(tells_address(forward).await);
}

async fn response_fields_pass_but_for_those_of_the_connection_and_of_ours(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    caller.send(door.head("GET /", &[])).await;
    let mut upstream = printer.accept().await;
    upstream.read_request().await;
    upstream
        .send(
            "HTTP/1.1 203 Sort Of\r\nServer: printer/1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
             Connection: x-gone\r\nX-Gone: 1\r\nKeep-Alive: timeout=9\r\nTrailer: x\r\n\
             X-Api-Key: echoed\r\nAuthorization: Basic ZWNobw==\r\nLatchkey-Failure: upstream_timed_out\r\n\
             LATCHKEY_Refused_Upgrade: 200\r\nX-Twice: 1\r\nX-Twice: 2\r\nWWW-Authenticate: Basic realm=\"p\"\r\n\
             Content-Length: 2\r\n\r\nhi",
        )
        .await;
    let answer = caller.read_response().await;
    assert_eq!((answer.status(), &*answer.body), (203, &b"hi"[..]));
    for gone in [
        "x-gone",
        "keep-alive",
        "trailer",
        "x-api-key",
        "authorization",
    ] {
        assert_eq!(answer.field(gone), None, "{answer:?}");
    }
    let ours = |line: &&String| line.to_ascii_lowercase().starts_with("latchkey");
    assert_eq!(answer.fields.iter().find(ours), None, "{answer:?}");
    assert_eq!(answer.values("x-twice"), ["1", "2"]);
    assert_eq!(answer.field("server"), Some("printer/1"));
    assert_eq!(answer.values("date"), ["Mon, 01 Jan 2024 00:00:00 GMT"]);
    assert_eq!(answer.field("www-authenticate"), Some("Basic realm=\"p\""));
}

async fn cookies_stay_separate_keep_their_names_and_lose_their_domain(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    caller.send(door.head("GET /", &[])).await;
    let mut upstream = printer.accept().await;
    upstream.read_request().await;
    upstream
        .send(
            "HTTP/1.1 200 OK\r\nSet-Cookie: session_P5000=a; Expires=Thu, 01 Jan 2026 00:00:00 GMT; Path=/\r\n\
             Set-Cookie: csrf_token_P5000=b; Domain=octopi.local; Path=/; SameSite=Lax\r\n\
             Set-Cookie: c=1; domain = .localhost\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
    let answer = caller.read_response().await;
    assert_eq!(
        answer.values("set-cookie"),
        [
            "session_P5000=a; Expires=Thu, 01 Jan 2026 00:00:00 GMT; Path=/",
            "csrf_token_P5000=b; Path=/; SameSite=Lax",
            "c=1",
        ]
    );
}

async fn locations_at_the_printer_become_locations_at_the_door(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let port = printer.address().port();
    let own = format!("http://{}", door.authority);
    let mut caller = door.connect().await;
    let mut upstream = None;
    for (sent, expected) in [
        (
            format!("http://127.0.0.1:{port}/api/x?y=%2F#z"),
            format!("{own}/api/x?y=%2F#z"),
        ),
        (
            format!("http://localhost:{port}/api/x"),
            format!("{own}/api/x"),
        ),
        (format!("http://localhost:{port}"), format!("{own}/")),
        (format!("{own}/as/told"), format!("{own}/as/told")),
        ("/relative//path".to_owned(), "/relative//path".to_owned()),
        ("relative".to_owned(), "relative".to_owned()),
        (
            "https://github.com/login".to_owned(),
            "https://github.com/login".to_owned(),
        ),
        (
            "http://127.0.0.1:9/other".to_owned(),
            "http://127.0.0.1:9/other".to_owned(),
        ),
        ("octopod://done".to_owned(), "octopod://done".to_owned()),
    ] {
        caller
            .send(door.head("POST /api/files", &["Content-Length: 0"]))
            .await;
        if upstream.is_none() {
            upstream = Some(printer.accept().await);
        }
        let upstream = upstream.as_mut().unwrap();
        upstream.read_request().await;
        upstream
            .send(format!(
                "HTTP/1.1 201 Created\r\nLocation: {sent}\r\nContent-Location: {sent}\r\nContent-Length: 0\r\n\r\n"
            ))
            .await;
        let answer = caller.read_response().await;
        assert_eq!(answer.field("location"), Some(&*expected), "{sent}");
        assert_eq!(answer.field("content-location"), Some(&*expected), "{sent}");
    }
}

async fn conditional_and_partial_answers_pass_unchanged(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    let asked = [
        "Range: bytes=2-3",
        "If-None-Match: \"a\"",
        "If-Range: \"a\"",
        "Accept-Encoding: gzip, br",
    ];
    caller.send(door.head("GET /f", &asked)).await;
    let mut upstream = printer.accept().await;
    let seen = upstream.read_request().await;
    for field in asked {
        let (name, value) = field.split_once(": ").unwrap();
        assert_eq!(seen.field(name), Some(value));
    }
    let fields = "ETag: \"a\"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n";
    upstream
        .send(format!(
            "HTTP/1.1 206 Partial Content\r\n{fields}Content-Range: bytes 2-3/9\r\nContent-Encoding: gzip\r\n\
             Vary: Accept-Encoding\r\nAccept-Ranges: bytes\r\nContent-Length: 2\r\n\r\n\x1f\x01"
        ))
        .await;
    let answer = caller.read_response().await;
    assert_eq!((answer.status(), &*answer.body), (206, &b"\x1f\x01"[..]));
    for (name, value) in [
        ("etag", "\"a\""),
        ("content-range", "bytes 2-3/9"),
        ("content-encoding", "gzip"),
        ("vary", "Accept-Encoding"),
        ("content-length", "2"),
    ] {
        assert_eq!(answer.field(name), Some(value));
    }
    caller.send(door.head("GET /f", &[])).await;
    upstream.read_request().await;
    upstream
        .send(format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n"))
        .await;
    let answer = caller.read_response().await;
    assert_eq!(
        (answer.status(), answer.field("etag")),
        (304, Some("\"a\""))
    );
}

async fn hosts_key_is_seen_by_the_printer_alone(way: Way) {
    const KEY: &str = "planted-upstream-key";
    let camera = Printer::start().await;
    let address = camera.address();
    let setup = Setup::new(way).host(move |host| {
        host.upstream.credential = Credential::new(KEY);
        host.authority = AuthorityMode::Host;
        host.webcams = vec![Webcam {
            path: "/webcam/".to_owned(),
            address: upstream(address),
        }];
    });
    let (printer, door) = setup.open().await;
    let mut caller = door.connect().await;
    caller.send(door.head("GET /api/job", &[])).await;
    if way == Way::Lan {
        // At home nobody has vouched for the caller, for the camera neither.
        assert_eq!(caller.read_response().await.status(), 403);
        caller
            .send(door.head("GET /webcam/?action=stream", &[]))
            .await;
        assert_eq!(caller.read_response().await.status(), 403);
        return;
    }
    let mut server = printer.accept().await;
    let seen = server.read_request().await;
    assert_eq!(seen.field("x-api-key"), Some(KEY));
    let echo = format!("HTTP/1.1 200 OK\r\nX-Api-Key: {KEY}\r\nContent-Length: 0\r\n\r\n");
    server.send(&echo).await;
    caller.read_response().await;
    // A key of the caller's own is for the host; one it does not know is not made good by the
    // app connection.
    for line in ["GET /api/job?a=%20&apikey=own&b", "GET /api/job"] {
        let fields: &[&str] = if line.contains("apikey") {
            &[]
        } else {
            &["X-Api-Key: own"]
        };
        caller.send(door.head(line, fields)).await;
        assert_eq!(caller.read_response().await.status(), 403, "{line}");
    }

    caller
        .send(door.head("GET /webcam/?action=stream", &[]))
        .await;
    let mut viewed = camera.accept().await;
    assert_eq!(
        viewed.read_request().await.line,
        "GET /?action=stream HTTP/1.1"
    );
    viewed.send(OK).await;
    caller.read_response().await;
    for heard in [viewed.received(), caller.received()] {
        let heard = String::from_utf8_lossy(heard);
        assert!(!heard.contains(KEY), "{heard}");
    }
}
