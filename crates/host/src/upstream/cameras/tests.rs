use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use latchkey_model::access::{Access, KeyScope};
use latchkey_net::tunnel::SharesCamera;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::tests::{Bench, closed, get, plain, soon};
use super::super::{Admission, Answer};
use super::*;
use crate::service::Door;

const STREAM: &str = "/webcam/?action=stream";
const CAMERA: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\
    Content-Type: multipart/x-mixed-replace;boundary=x\r\n";

/// A request through a relay that can share.
fn shared(path: &str, fields: &[(&'static str, &'static str)]) -> Request<Body> {
    let mut request = get(path);
    request.extensions_mut().insert(SharesCamera);
    for (name, value) in fields {
        let value = HeaderValue::from_static(value);
        request.headers_mut().insert(*name, value);
    }
    request
}

fn away() -> Door {
    Door::Tunnel {
        app_connection: Some("c1".to_owned()),
        scope: KeyScope::Full,
    }
}

/// Takes a request at the camera, and says something. What was asked comes back, too.
async fn take(bench: &Bench, answer: &str) -> (TcpStream, String) {
    let (mut connection, _) = bench.server.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    connection.write_all(answer.as_bytes()).await.unwrap();
    (connection, String::from_utf8(head).unwrap().to_lowercase())
}

async fn ask(bench: &Bench, admission: &Admission, request: Request<Body>) -> Response<Body> {
    let answer: Answer = bench.pass_by(away(), admission, request, false).await;
    plain(answer)
}

fn named(answer: &mut Response<Body>) -> SharedCamera {
    SharedCamera::take(answer.headers_mut()).expect("a name")
}

/// Nobody is asked at the camera meanwhile.
async fn without_the_camera<T>(bench: &Bench, what: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        outcome = what => outcome,
        _ = bench.server.accept() => panic!("the camera was asked"),
    }
}

#[tokio::test]
async fn everybody_is_judged_and_the_camera_asked_once() {
    let bench = Bench::new().await;
    let admission = Admission::Upto(Access::View, None);
    let fields = [
        ("cookie", "theme=dark"),
        ("x-api-key", "own"),
        ("authorization", "Bearer own"),
        ("if-none-match", "\"a\""),
    ];
    let first = ask(&bench, &admission, shared(STREAM, &fields));
    let head = format!(
        "{CAMERA}Set-Cookie: stream_client=1\r\nAccess-Control-Allow-Origin: *\r\n\r\nbegun"
    );
    let (mut first, (mut camera, asked)) = tokio::join!(first, take(&bench, &head));
    for (name, _) in fields {
        assert!(!asked.contains(name), "{asked}");
    }
    let seen = named(&mut first);
    assert_eq!((seen.shows, seen.held), (Shows::Stream, false));
    assert_eq!(first.headers().len(), 2, "no cookie of the first one's");
    assert_eq!(first.headers()["access-control-allow-origin"], "*");
    assert_eq!(
        first.headers()[CONTENT_TYPE],
        "multipart/x-mixed-replace;boundary=x"
    );
    let name = seen.name.clone();
    // The others hear the same, and the camera nothing.
    let other = ask(
        &bench,
        &admission,
        shared(&format!("{STREAM}&fps=3&1764138000123"), &[]),
    );
    let mut other = without_the_camera(&bench, other).await;
    assert_eq!(named(&mut other), seen);
    assert!(other.body().is_end_stream(), "nothing here could end it");
    // The first answer is what the relay fetches; then the first caller may go.
    let mut picture = bench.upstream.show_camera(&name).await.unwrap();
    drop(first);
    let begun = picture.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(begun.into_data().unwrap(), "begun");
    camera.write_all(b"goes on").await.unwrap();
    let more = picture.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(more.into_data().unwrap(), "goes on");
    // Single ones come out of it.
    let single = ask(&bench, &admission, shared("/webcam/?action=snapshot", &[]));
    let mut single = without_the_camera(&bench, single).await;
    let seen = named(&mut single);
    assert_eq!((seen.name, seen.shows), (name, Shows::Picture));
    // Who may not is refused all the same.
    let command = ask(
        &bench,
        &admission,
        shared("/webcam/?action=command&stream", &[]),
    );
    let command = without_the_camera(&bench, command).await;
    assert_eq!(command.status(), StatusCode::FORBIDDEN);
    drop(picture);
    closed(camera).await;
}

#[tokio::test]
async fn who_is_let_in_by_a_key_sees_it_until_the_key_ends() {
    let bench = Bench::new().await;
    let first = ask(&bench, &bench.admission, shared(STREAM, &[]));
    let head = format!("{CAMERA}\r\n");
    let (mut first, (_camera, _)) = tokio::join!(first, take(&bench, &head));
    let seen = named(&mut first);
    assert!(seen.held);
    let picture = bench.upstream.show_camera(&seen.name).await.unwrap();
    let second = ask(&bench, &bench.admission, shared(STREAM, &[]));
    let mut second = without_the_camera(&bench, second).await;
    assert!(named(&mut second).held);
    let others = Admission::Upto(Access::View, None);
    let mut other = ask(&bench, &others, shared(STREAM, &[])).await;
    assert!(!named(&mut other).held);
    bench.end();
    for mut answer in [first, second] {
        let end = soon("the end", answer.body_mut().frame()).await.unwrap();
        assert!(end.is_err());
    }
    // The picture is the others' as well.
    assert!(!picture.body().is_end_stream());
}

#[tokio::test]
async fn a_camera_that_wants_to_know_who_asks_is_asked_for_each() {
    let bench = Bench::new().await;
    let untouched = Admission::Untouched;
    let asked = ask(&bench, &untouched, shared(STREAM, &[("cookie", "me=1")]));
    let taken = async {
        let no = "HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let (_, first) = take(&bench, no).await;
        let (connection, second) = take(&bench, &format!("{CAMERA}\r\nmine")).await;
        (first, second, connection)
    };
    let (mut answer, (first, second, _camera)) = tokio::join!(asked, taken);
    assert!(!first.contains("cookie") && second.contains("cookie: me=1"));
    assert!(SharedCamera::take(answer.headers_mut()).is_none());
    let mine = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(mine.into_data().unwrap(), "mine");
}

#[tokio::test]
async fn what_may_differ_is_not_shared() {
    let bench = Bench::new().await;
    let open = Admission::Untouched;
    let plain_stream = format!("{CAMERA}\r\n");
    let head = |fields: &str| format!("{CAMERA}{fields}\r\n\r\n");
    let mut head_only = shared(STREAM, &[]);
    *head_only.method_mut() = http::Method::HEAD;
    for (request, answer) in [
        // A relay that cannot share.
        (get(STREAM), plain_stream.clone()),
        (head_only, plain_stream.clone()),
        (
            shared(STREAM, &[("range", "bytes=0-1")]),
            plain_stream.clone(),
        ),
        // Somebody who signs in at the camera.
        (
            shared(STREAM, &[("authorization", "Basic eA==")]),
            plain_stream,
        ),
        (shared(STREAM, &[]), head("Vary: Accept, Origin")),
        (
            shared(STREAM, &[]),
            head("Access-Control-Allow-Origin: https://a.example"),
        ),
        (
            shared(STREAM, &[]),
            "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n\r\n".to_owned(),
        ),
        (
            shared(STREAM, &[]),
            "HTTP/1.1 404 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ),
        (
            shared("/webcam/?action=snapshot", &[]),
            "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n\r\n".to_owned(),
        ),
    ] {
        let asked = ask(&bench, &open, request);
        let (answer, _camera) = tokio::join!(asked, take(&bench, &answer));
        assert!(!answer.headers().contains_key(SHARED_CAMERA));
    }
}

#[tokio::test]
async fn a_camera_is_let_go_of_when_nobody_comes_for_its_picture() {
    let bench = Bench::new().await;
    let admission = Admission::Upto(Access::View, None);
    let asked = ask(&bench, &admission, shared(STREAM, &[]));
    let head = format!("{CAMERA}\r\n");
    let (answer, (camera, _)) = tokio::join!(asked, take(&bench, &head));
    drop(answer);
    closed(camera).await;
    // It is asked for again by whoever comes a little later.
    let again = ask(&bench, &admission, shared(STREAM, &[]));
    let (mut again, (_camera, _)) = tokio::join!(again, take(&bench, &head));
    let name = named(&mut again).name;
    drop(again);
    let fetched = bench.upstream.show_camera(&name);
    let (fetched, (_camera, asked)) = tokio::join!(fetched, take(&bench, &head));
    assert!(fetched.is_ok());
    assert!(asked.starts_with("get /?action=stream http/1.1"), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn only_what_was_named_lately_is_fetched() {
    let cameras = Cameras::default();
    assert!(cameras.take("never").is_none());
    let uri = |number: usize| {
        format!("http://127.0.0.1:8080/{number}")
            .parse::<Uri>()
            .unwrap()
    };
    let name = cameras.name(uri(0)).unwrap();
    let (_, _, shown) = cameras.take(&name).unwrap();
    for number in 1..MOST {
        assert!(cameras.name(uri(number)).is_some());
    }
    assert_eq!(cameras.name(uri(MOST)), None, "there is no room");
    tokio::time::advance(NAMED_FOR).await;
    assert!(cameras.take(&name_of(&uri(1))).is_none());
    assert!(cameras.take(&name).is_some(), "it is running");
    assert!(cameras.name(uri(MOST)).is_some());
    drop(shown);
    assert!(cameras.take(&name).is_none());
}
