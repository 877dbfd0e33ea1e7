//! Methods, targets, lengths and framing: what reaches the other side is what was sent.

use crate::harness::inproc::{Door, Printer, Setup, Way, at_both_hops};
use crate::harness::raw::{End, RawConnection};

at_both_hops!(
    connect_is_refused_and_goes_nowhere,
    every_other_method_passes,
    path_and_query_pass_byte_for_byte,
    head_keeps_its_length_and_has_no_body,
    answers_without_a_body_end_with_their_head,
    lengths_are_kept_and_no_chunking_is_added,
    chunks_of_an_answer_arrive_before_the_next_is_sent,
    chunks_of_a_request_arrive_before_the_next_is_sent,
    http10_caller_is_answered_and_let_go,
    http10_printer_is_read_to_its_end,
    answer_that_ends_with_the_connection_is_whole,
    trailers_of_a_request_are_dropped,
    long_poll_waits_beside_other_requests,
    interim_answers_are_tolerated,
    expectation_is_met_only_after_the_checks,
    pipelined_requests_are_answered_in_order,
    body_behind_an_answer_without_one_does_not_poison_the_connection,
);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Both ends of a connection that has carried one request.
struct Line {
    printer: Printer,
    door: Door,
    caller: RawConnection,
    upstream: RawConnection,
}

async fn line(way: Way) -> Line {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    caller.send(door.head("GET /first", &[])).await;
    let mut upstream = printer.accept().await;
    upstream.read_request().await;
    upstream.send(OK).await;
    assert_eq!(caller.read_response().await.status(), 200);
    Line {
        printer,
        door,
        caller,
        upstream,
    }
}

impl Line {
    /// Shows that caller and printer understand each other still, on these connections.
    async fn goes_on(&mut self) {
        self.caller.send(self.door.head("GET /after", &[])).await;
        let seen = self.upstream.read_request().await;
        assert_eq!(seen.line, "GET /after HTTP/1.1");
        self.upstream
            .send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter")
            .await;
        assert_eq!(self.caller.read_response().await.body, b"after");
    }
}

async fn connect_is_refused_and_goes_nowhere(way: Way) {
    let mut line = line(way).await;
    let authority = line.door.authority.clone();
    for head in [
        format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"),
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n".to_owned(),
        line.door.head("CONNECT /", &[]),
        line.door.head("OPTIONS *", &[]),
    ] {
        let mut caller = line.door.connect().await;
        caller.send(&head).await;
        let answer = caller.read_response().await;
        assert_eq!(answer.status(), 400, "{head}");
        assert_eq!(caller.read_to_end().await.1, End::Closed);
    }
    // Nothing of it came here.
    line.goes_on().await;
}

async fn every_other_method_passes(way: Way) {
    let mut line = line(way).await;
    for method in [
        "GET",
        "OPTIONS",
        "PATCH",
        "PUT",
        "POST",
        "DELETE",
        "TRACE",
        "PROPFIND",
        "M-SEARCH",
        "X!#$%&'*+.^_`|~1",
    ] {
        line.caller
            .send(line.door.head(&format!("{method} /x"), &[]))
            .await;
        let seen = line.upstream.read_request().await;
        assert_eq!(seen.line, format!("{method} /x HTTP/1.1"));
        line.upstream.send(OK).await;
        assert_eq!(line.caller.read_response().await.status(), 200, "{method}");
    }
}

async fn path_and_query_pass_byte_for_byte(way: Way) {
    let mut line = line(way).await;
    for target in [
        "/%2F%2f",
        "//double//slashes/",
        "/../a/./b/..",
        "/%2e%2e/%2E",
        "/?",
        "/a?",
        "/a?b=%20+c&&d=&e",
        "/a?b=c;d=e",
        "/a;b=1/c",
        "/a?x=/../y?z=http://evil.example/",
        "/a%20b%00%ff",
        "/*",
        "/a:80@b/c",
        "/~x/!$&'()*+,=",
        "/files/\u{fc}nf H\u{e4}kchen.gcode"
            .replace(' ', "%20")
            .as_str(),
        "/|x^[y]{z}\"",
        "/a\\..\\b",
    ] {
        line.caller
            .send(line.door.head(&format!("GET {target}"), &[]))
            .await;
        let seen = line.upstream.read_request().await;
        let bytes: String = target.bytes().map(char::from).collect();
        assert_eq!(seen.line, format!("GET {bytes} HTTP/1.1"));
        line.upstream.send(OK).await;
        assert_eq!(line.caller.read_response().await.status(), 200, "{target}");
    }
    // The absolute form means the same, under the same name.
    let absolute = format!("GET http://{}/a//b?c=%2F", line.door.authority);
    line.caller.send(line.door.head(&absolute, &[])).await;
    let seen = line.upstream.read_request().await;
    assert_eq!(seen.line, "GET /a//b?c=%2F HTTP/1.1");
    line.upstream.send(OK).await;
    assert_eq!(line.caller.read_response().await.status(), 200);
}

async fn head_keeps_its_length_and_has_no_body(way: Way) {
    let mut line = line(way).await;
    for (framing, length) in [
        ("Content-Length: 1234", Some("1234")),
        ("Content-Length: 0", Some("0")),
        ("Transfer-Encoding: chunked", None),
    ] {
        line.caller.send(line.door.head("HEAD /file", &[])).await;
        assert_eq!(
            line.upstream.read_request().await.line,
            "HEAD /file HTTP/1.1"
        );
        line.upstream
            .send(format!(
                "HTTP/1.1 200 OK\r\nETag: \"a\"\r\n{framing}\r\n\r\n"
            ))
            .await;
        let answer = line.caller.read_response_head().await;
        assert_eq!(
            (answer.status(), answer.field("etag")),
            (200, Some("\"a\""))
        );
        assert_eq!(answer.field("content-length"), length, "{answer:?}");
    }
    line.goes_on().await;
}

async fn answers_without_a_body_end_with_their_head(way: Way) {
    let mut line = line(way).await;
    for (status, fields) in [
        ("204 No Content", ""),
        ("304 Not Modified", "ETag: \"a\"\r\n"),
        ("304 Not Modified", "Content-Length: 77\r\n"),
        ("205 Reset Content", "Content-Length: 0\r\n"),
    ] {
        line.caller.send(line.door.head("GET /", &[])).await;
        line.upstream.read_request().await;
        line.upstream
            .send(format!("HTTP/1.1 {status}\r\n{fields}\r\n"))
            .await;
        let answer = line.caller.read_response().await;
        assert_eq!(answer.status().to_string(), status[..3]);
        assert_eq!(answer.field("transfer-encoding"), None, "{answer:?}");
        if status.starts_with("204") {
            assert_eq!(answer.field("content-length"), None, "{answer:?}");
        }
    }
    line.goes_on().await;
}

async fn lengths_are_kept_and_no_chunking_is_added(way: Way) {
    let mut line = line(way).await;
    for (sent, returned) in [("", ""), ("abc", ""), ("", "defgh"), ("abc", "defgh")] {
        let length = format!("Content-Length: {}", sent.len());
        line.caller
            .send(line.door.head("POST /", &[&length]) + sent)
            .await;
        let seen = line.upstream.read_request().await;
        assert_eq!(
            seen.field("content-length"),
            Some(&*sent.len().to_string()),
            "{seen:?}"
        );
        assert_eq!(seen.field("transfer-encoding"), None);
        assert_eq!(seen.body, sent.as_bytes());
        line.upstream
            .send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{returned}",
                returned.len()
            ))
            .await;
        let answer = line.caller.read_response().await;
        assert_eq!(
            answer.values("content-length"),
            [returned.len().to_string()]
        );
        assert_eq!(answer.field("transfer-encoding"), None);
        assert_eq!(answer.body, returned.as_bytes());
    }
    // A request without a body gets none on the way.
    line.caller.send(line.door.head("DELETE /", &[])).await;
    let seen = line.upstream.read_request().await;
    assert_eq!(seen.field("transfer-encoding"), None, "{seen:?}");
    assert!(
        seen.field("content-length")
            .is_none_or(|length| length == "0"),
        "{seen:?}"
    );
}

async fn chunks_of_an_answer_arrive_before_the_next_is_sent(way: Way) {
    let mut line = line(way).await;
    for kind in ["text/event-stream", "application/octet-stream"] {
        line.caller
            .send(
                line.door
                    .head("GET /events", &["Accept: text/event-stream"]),
            )
            .await;
        line.upstream.read_request().await;
        line.upstream
            .send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
            ))
            .await;
        let head = line.caller.read_response_head().await;
        assert_eq!(head.field("content-type"), Some(kind));
        assert_eq!(head.field("transfer-encoding"), Some("chunked"));
        for event in ["data: 1\n\n", "data: two\n\n", "d", "a"] {
            line.upstream
                .send(format!("{:x}\r\n{event}\r\n", event.len()))
                .await;
            let line_end = line.caller.read_until("\r\n").await;
            assert_eq!(line_end, format!("{:X}\r\n", event.len()).into_bytes());
            let expected = format!("{event}\r\n");
            assert_eq!(
                line.caller.read_exactly(expected.len()).await,
                expected.as_bytes()
            );
        }
        line.upstream.send("0\r\n\r\n").await;
        assert_eq!(line.caller.read_exactly(5).await, b"0\r\n\r\n");
    }
    line.goes_on().await;
}

async fn chunks_of_a_request_arrive_before_the_next_is_sent(way: Way) {
    let mut line = line(way).await;
    for method in ["POST", "GET", "DELETE"] {
        line.caller
            .send(
                line.door
                    .head(&format!("{method} /up"), &["Transfer-Encoding: chunked"]),
            )
            .await;
        let head = line.upstream.read_request_head().await;
        assert_eq!(head.field("transfer-encoding"), Some("chunked"), "{head:?}");
        for chunk in ["one", "fourteen bytes", "3"] {
            line.caller
                .send(format!("{:x};ext=\"v\"\r\n{chunk}\r\n", chunk.len()))
                .await;
            let expected = format!("{:X}\r\n{chunk}\r\n", chunk.len());
            let seen = line.upstream.read_exactly(expected.len()).await;
            assert_eq!(String::from_utf8(seen).unwrap(), expected);
        }
        line.caller.send("0\r\n\r\n").await;
        assert_eq!(line.upstream.read_exactly(5).await, b"0\r\n\r\n");
        line.upstream.send(OK).await;
        assert_eq!(line.caller.read_response().await.status(), 200);
    }
}

async fn http10_caller_is_answered_and_let_go(way: Way) {
    let line = line(way).await;
    let mut upstream = line.upstream;
    for (framing, body) in [
        ("Content-Length: 3", "abc"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
    ] {
        let mut caller = line.door.connect().await;
        caller
            .send(
                line.door
                    .head("GET /old", &[])
                    .replace("HTTP/1.1", "HTTP/1.0"),
            )
            .await;
        assert_eq!(upstream.read_request().await.line, "GET /old HTTP/1.1");
        upstream
            .send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}"))
            .await;
        let head = caller.read_response_head().await;
        assert_eq!(head.field("transfer-encoding"), None, "{head:?}");
        assert_eq!(caller.read_to_end().await, (b"abc".to_vec(), End::Closed));
    }
}

async fn http10_printer_is_read_to_its_end(way: Way) {
    let mut line = line(way).await;
    line.caller.send(line.door.head("GET /old", &[])).await;
    line.upstream.read_request().await;
    line.upstream
        .send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil ")
        .await;
    let head = line.caller.read_response_head().await;
    assert!(head.status_line.starts_with("HTTP/1.1 200"), "{head:?}");
    line.upstream.send("the end").await;
    drop(line.upstream);
    assert_eq!(line.caller.read_chunks().await, b"until the end");
    line.caller.send(line.door.head("GET /next", &[])).await;
    let mut upstream = line.printer.accept().await;
    upstream.read_request().await;
    upstream
        .send("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        .await;
    assert_eq!(line.caller.read_response().await.body, b"hi");
}

async fn answer_that_ends_with_the_connection_is_whole(way: Way) {
    let mut line = line(way).await;
    line.caller.send(line.door.head("GET /", &[])).await;
    line.upstream.read_request().await;
    line.upstream
        .send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        .await;
    let head = line.caller.read_response_head().await;
    assert_eq!(
        head.field("connection"),
        None,
        "the caller's connection is its own"
    );
    line.upstream.send("all of it").await;
    drop(line.upstream);
    assert_eq!(line.caller.read_chunks().await, b"all of it");
}

async fn trailers_of_a_request_are_dropped(way: Way) {
    let mut line = line(way).await;
    let fields = ["Transfer-Encoding: chunked", "Trailer: X-Real-IP, X-Own"];
    line.caller
        .send(
            line.door.head("POST /", &fields)
                + "3\r\nabc\r\n0\r\nX-Real-IP: planted\r\nX-Own: planted\r\n\r\n",
        )
        .await;
    let seen = line.upstream.read_request().await;
    assert_eq!((&*seen.body, seen.field("trailer")), (&b"abc"[..], None));
    line.upstream.send(OK).await;
    assert_eq!(line.caller.read_response().await.status(), 200);
    line.goes_on().await;
    assert!(!String::from_utf8_lossy(line.upstream.received()).contains("planted"));
}

async fn long_poll_waits_beside_other_requests(way: Way) {
    let mut line = line(way).await;
    line.caller.send(line.door.head("GET /poll", &[])).await;
    line.upstream.read_request().await;
    let mut other = line.door.connect().await;
    let mut upstream = None;
    for _ in 0..20 {
        other.send(line.door.head("GET /quick", &[])).await;
        if upstream.is_none() {
            upstream = Some(line.printer.accept().await);
        }
        let upstream = upstream.as_mut().unwrap();
        upstream.read_request().await;
        upstream.send(OK).await;
        assert_eq!(other.read_response().await.status(), 200);
    }
    line.upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews")
        .await;
    assert_eq!(line.caller.read_response().await.body, b"news");
}

async fn interim_answers_are_tolerated(way: Way) {
    let mut line = line(way).await;
    line.caller.send(line.door.head("GET /", &[])).await;
    line.upstream.read_request().await;
    line.upstream.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    line.upstream
        .send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        .await;
    line.upstream.send("HTTP/1.1 102 Processing\r\n\r\n").await;
    line.upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        .await;
    let answer = line.caller.read_response().await;
    assert_eq!((answer.status(), &*answer.body), (200, &b"hi"[..]));
    line.goes_on().await;
}

async fn expectation_is_met_only_after_the_checks(way: Way) {
    let mut line = line(way).await;
    let upload = ["Content-Length: 4", "Expect: 100-continue"];
    line.caller
        .send(line.door.head("POST /upload", &upload))
        .await;
    assert_eq!(
        line.caller.read_until("\r\n\r\n").await,
        b"HTTP/1.1 100 Continue\r\n\r\n"
    );
    line.caller.send("gcod").await;
    let seen = line.upstream.read_request().await;
    assert_eq!((&*seen.body, seen.field("expect")), (&b"gcod"[..], None));
    line.upstream.send(OK).await;
    assert_eq!(line.caller.read_response().await.status(), 200);

    let mut other = line.door.connect().await;
    let unknown = ["Content-Length: 4", "Expect: the-unexpected"];
    other.send(line.door.head("POST /upload", &unknown)).await;
    assert_eq!(other.read_response().await.status(), 417);

    if way == Way::Edge {
        let mut stranger = line.door.connect().await;
        let head = line.door.head("POST /upload", &upload);
        let (line_one, _) = head.split_once("Authorization").unwrap();
        let wrong = "Authorization: Basic d3Jvbmc6d3Jvbmc=\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
        stranger.send(format!("{line_one}{wrong}")).await;
        // The first thing to be heard is the refusal.
        assert_eq!(stranger.read_response().await.status(), 606);
    }
    line.goes_on().await;
}

async fn pipelined_requests_are_answered_in_order(way: Way) {
    let mut line = line(way).await;
    let all: String = (0..5)
        .map(|n| {
            line.door
                .head(&format!("POST /{n}"), &["Content-Length: 1"])
                + &n.to_string()
        })
        .collect();
    line.caller.send(all).await;
    for n in 0..5 {
        let seen = line.upstream.read_request().await;
        assert_eq!(seen.line, format!("POST /{n} HTTP/1.1"));
        assert_eq!(seen.body, n.to_string().as_bytes());
        line.upstream
            .send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}"))
            .await;
    }
    for n in 0..5 {
        assert_eq!(
            line.caller.read_response().await.body,
            n.to_string().as_bytes()
        );
    }
}

async fn body_behind_an_answer_without_one_does_not_poison_the_connection(way: Way) {
    const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
    let mut line = line(way).await;
    for (method, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ] {
        line.caller
            .send(line.door.head(&format!("{method} /a"), &[]))
            .await;
        line.upstream.read_request().await;
        line.upstream.send(format!("{answer}{EVIL}")).await;
        let seen = line.caller.read_response_head().await;
        assert!(seen.status() < 400);
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(line.caller.read_exactly(body.len()).await, body.as_bytes());
        line.caller.send(line.door.head("GET /b", &[])).await;
        // What followed belongs to nobody, and neither does its connection.
        line.upstream = line.printer.accept().await;
        assert_eq!(line.upstream.read_request().await.line, "GET /b HTTP/1.1");
        line.upstream
            .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
            .await;
        assert_eq!(
            line.caller.read_response().await.body,
            b"good",
            "{method} {answer}"
        );
    }
}
