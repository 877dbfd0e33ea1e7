use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::*;
use crate::body::BodyError;

fn ignored() -> Tally {
    Arc::new(|_| {})
}

fn coder() -> Coder {
    Coder::new(ignored())
}

fn pieces(pieces: Vec<Bytes>) -> Body {
    let frames = futures_util::stream::iter(pieces);
    body::boxed(StreamBody::new(
        frames.map(|piece| Ok::<_, BodyError>(Frame::data(piece))),
    ))
}

/// A body that a test feeds by hand.
fn fed() -> (mpsc::Sender<Result<Frame<Bytes>, BodyError>>, Body) {
    let (feed, mut frames) = mpsc::channel(4);
    let stream = futures_util::stream::poll_fn(move |cx| frames.poll_recv(cx));
    (feed, body::boxed(StreamBody::new(stream)))
}

fn script(fields: &[(&str, &str)], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, "application/javascript".parse().unwrap());
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    response
}

/// What a server sends that says how long it is.
fn whole(text: &str) -> Response<Body> {
    let length = text.len().to_string();
    script(&[("content-length", &length)], body::full(text.to_owned()))
}

fn is_coded(response: &Response<Body>) -> bool {
    response.headers().contains_key(CODING)
}

fn code(response: Response<Body>) -> Response<Body> {
    let coded = coder().code(&Method::GET, response);
    assert!(is_coded(&coded));
    coded
}

fn undone(response: Response<Body>) -> Response<Body> {
    undo(response, true, &ignored()).unwrap()
}

async fn read(response: Response<Body>) -> Result<Bytes, BodyError> {
    Ok(response.into_body().collect().await?.to_bytes())
}

fn repetitive() -> String {
    "function temperature(bed) { return bed.actual; }\n".repeat(2_000)
}

/// What a host may send in place of what it should.
async fn undone_of(coded: Vec<u8>, length: Option<&str>) -> Result<Bytes, BodyError> {
    let mut response = Response::new(pieces(vec![coded.into()]));
    response.headers_mut().insert(CODING, DEFLATE);
    if let Some(length) = length {
        let length = length.parse().unwrap();
        response.headers_mut().insert(LENGTH, length);
    }
    read(undone(response)).await
}

async fn coded_bytes(text: &str) -> Vec<u8> {
    read(code(whole(text))).await.unwrap().to_vec()
}

#[tokio::test]
async fn what_comes_out_is_what_went_in_with_every_field() {
    let text = repetitive();
    let length = text.len().to_string();
    let fields = [
        ("content-length", length.as_str()),
        ("etag", "\"a\""),
        ("cache-control", "no-cache"),
        ("accept-ranges", "bytes"),
        ("vary", "Cookie"),
    ];
    let before = script(&fields, body::full(text.clone()));
    let expected = before.headers().clone();
    let coded = code(before);
    assert!(!coded.headers().contains_key(CONTENT_LENGTH));
    let coded_length = read(coded).await.unwrap().len();
    assert!(coded_length < text.len() / 20, "{coded_length}");
    let after = undone(code(script(&fields, body::full(text.clone()))));
    assert_eq!(after.headers(), &expected);
    assert_eq!(after.body().size_hint().exact(), Some(text.len() as u64));
    assert_eq!(read(after).await.unwrap(), text);
}

#[tokio::test]
async fn both_ends_count_what_went_through() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tally = || -> Tally {
        let told = Arc::clone(&told);
        Arc::new(move |sizes| told.lock().unwrap().push(sizes))
    };
    let text = repetitive();
    let coded = Coder::new(tally()).code(&Method::GET, whole(&text));
    read(undo(coded, true, &tally()).unwrap()).await.unwrap();
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0].plain, text.len() as u64);
    assert!(told[0].coded > 0 && told[0].coded < told[0].plain);
}

#[tokio::test]
async fn only_text_that_goes_as_its_server_made_it_is_coded() {
    let text = repetitive();
    let coded_as = |fields: &[(&str, &str)]| {
        let response = script(fields, body::full(text.clone()));
        is_coded(&coder().code(&Method::GET, response))
    };
    for kind in [
        "text/html; charset=utf-8",
        "Text/CSS",
        "application/json",
        "application/x-javascript;charset=utf-8",
        "application/manifest+json",
        "image/svg+xml",
        "application/xml",
    ] {
        assert!(coded_as(&[("content-type", kind)]), "{kind}");
    }
    for kind in [
        "text/event-stream",
        "multipart/x-mixed-replace; boundary=x",
        "multipart/byteranges; boundary=x",
        "image/png",
        "font/woff2",
        "application/wasm",
        "application/octet-stream",
        "video/mp4",
        "nonsense",
        "",
    ] {
        assert!(!coded_as(&[("content-type", kind)]), "{kind}");
    }
    for fields in [
        [("content-encoding", "gzip")],
        [("content-encoding", "identity")],
        [("cache-control", "private, No-Store")],
        [("content-length", "1023")],
        [("content-length", "nonsense")],
    ] {
        assert!(!coded_as(&fields), "{fields:?}");
    }
    // To transform it is forbidden, and nothing is transformed.
    assert!(coded_as(&[("cache-control", "no-transform")]));
}

#[tokio::test]
async fn what_has_no_body_of_its_own_goes_as_it_is() {
    let text = repetitive();
    for method in [Method::HEAD, Method::POST, Method::PUT, Method::CONNECT] {
        let response = coder().code(&method, whole(&text));
        assert!(!is_coded(&response), "{method}");
    }
    for status in [204, 205, 304] {
        let mut response = whole(&text);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        assert!(!is_coded(&coder().code(&Method::GET, response)), "{status}");
    }
    for status in [206, 404] {
        let mut response = whole(&text);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        assert!(is_coded(&coder().code(&Method::GET, response)), "{status}");
    }
    assert!(!is_coded(
        &coder().code(&Method::GET, script(&[], body::empty()))
    ));
}

#[tokio::test]
async fn while_all_are_busy_answers_go_as_they_are() {
    let (coder, text) = (coder(), repetitive());
    let busy: Vec<_> = (0..AT_ONCE)
        .map(|_| coder.code(&Method::GET, whole(&text)))
        .collect();
    assert!(busy.iter().all(is_coded));
    let one_more = coder.code(&Method::GET, whole(&text));
    assert!(!is_coded(&one_more));
    assert_eq!(read(one_more).await.unwrap(), text);
    drop(busy);
    assert!(is_coded(&coder.code(&Method::GET, whole(&text))));
}

#[tokio::test]
async fn nothing_that_was_said_is_held_back() {
    let (feed, body) = fed();
    let mut answer = undone(code(script(&[], body))).into_body();
    for word in ["one", "two", "and a longer one"] {
        let data = Frame::data(Bytes::from_static(word.as_bytes()));
        feed.send(Ok(data)).await.unwrap();
        let mut heard = Vec::new();
        while heard.len() < word.len() {
            let frame = tokio::time::timeout(Duration::from_secs(10), answer.frame());
            heard.extend_from_slice(&frame.await.unwrap().unwrap().unwrap().into_data().unwrap());
        }
        assert_eq!(heard, word.as_bytes());
    }
    drop(feed);
    assert!(answer.frame().await.is_none());
    assert!(answer.is_end_stream());
}

#[tokio::test]
async fn trailers_come_after_the_last_byte() {
    let (feed, body) = fed();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-digest", "7".parse().unwrap());
    let text = Frame::data(Bytes::from_static(b"text"));
    feed.send(Ok(text)).await.unwrap();
    feed.send(Ok(Frame::trailers(trailers.clone())))
        .await
        .unwrap();
    drop(feed);
    let collected = undone(code(script(&[], body))).into_body();
    let collected = collected.collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
    assert_eq!(collected.to_bytes(), "text");
}

#[derive(Debug, thiserror::Error)]
#[error("it broke")]
struct Broke;

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_behind_it() {
    let (feed, body) = fed();
    let text = Frame::data(repetitive().into());
    feed.send(Ok(text)).await.unwrap();
    feed.send(Err(Broke.into())).await.unwrap();
    let error = read(undone(code(script(&[], body)))).await.unwrap_err();
    assert!(error.is::<Broke>());
}

#[tokio::test]
async fn a_coded_answer_that_is_cut_short_is_never_a_whole_one() {
    let text = repetitive();
    let length = text.len().to_string();
    let coded = coded_bytes(&text).await;
    let fine = undone_of(coded.clone(), Some(&length)).await.unwrap();
    assert_eq!(fine, text);
    for cut in 0..coded.len() {
        let part = coded.get(..cut).unwrap().to_vec();
        for length in [Some(length.as_str()), None] {
            let error = undone_of(part.clone(), length).await.unwrap_err();
            let error = error.downcast_ref::<BrokenCoding>();
            assert_eq!(error, Some(&BrokenCoding::Truncated), "{cut}");
        }
    }
}

/// Callers take a whole length for a whole answer, whatever becomes of the stream afterwards.
#[tokio::test]
async fn the_last_byte_is_not_handed_over_before_all_is_well() {
    let text = repetitive();
    let mut coded = coded_bytes(&text).await;
    // Only the sum at its end is wrong.
    *coded.last_mut().unwrap() ^= 1;
    let mut response = Response::new(pieces(vec![coded.into()]));
    response.headers_mut().insert(CODING, DEFLATE);
    response.headers_mut().insert(LENGTH, text.len().into());
    let mut body = undone(response).into_body();
    let mut handed = 0;
    let error = loop {
        match body.frame().await.unwrap() {
            Ok(frame) => handed += frame.into_data().unwrap().len(),
            Err(error) => break error,
        }
    };
    assert!(handed < text.len());
    assert!(error.is::<BrokenCoding>());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn more_or_less_than_announced_breaks_off() {
    let text = repetitive();
    let coded = coded_bytes(&text).await;
    for length in [0, 1, text.len() - 1, text.len() + 1, 1 << 40] {
        let announced = length.to_string();
        let error = undone_of(coded.clone(), Some(&announced));
        let error = error.await.unwrap_err();
        let error = error.downcast_ref::<BrokenCoding>();
        assert_eq!(error, Some(&BrokenCoding::Length), "{length}");
    }
    let mut longer = coded.clone();
    longer.extend_from_slice(b"and more");
    for length in [None, Some(text.len().to_string())] {
        let error = undone_of(longer.clone(), length.as_deref());
        assert!(error.await.unwrap_err().is::<BrokenCoding>());
    }
    for nonsense in [&b"nonsense"[..], b"", &[0x78, 0xbb, 1, 2, 3, 4]] {
        let error = undone_of(nonsense.to_vec(), None).await.unwrap_err();
        assert!(error.is::<BrokenCoding>(), "{nonsense:?}");
    }
}

/// A few kilobytes that stand for a gigabyte are handed on piece by piece, as the caller takes them.
#[tokio::test]
async fn a_bomb_costs_time_and_no_memory() {
    let zeros = Bytes::from(vec![b' '; 1 << 20]);
    let body = pieces(vec![zeros; 64]);
    let coded = read(code(script(&[], body))).await.unwrap();
    assert!(coded.len() < 512 * 1024);
    let mut response = Response::new(pieces(vec![coded]));
    response.headers_mut().insert(CODING, DEFLATE);
    let mut body = undone(response).into_body();
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        assert!(data.len() <= 64 * 1024, "{}", data.len());
        total += data.len();
    }
    assert_eq!(total, 64 << 20);
}

#[tokio::test]
async fn a_host_codes_only_what_and_as_it_was_asked_to() {
    let text = repetitive();
    assert!(undo(code(whole(&text)), false, &ignored()).is_err());
    let told = |fields: &[(&str, &str)], status: u16| {
        let mut response = Response::new(body::full("x"));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            response.headers_mut().append(name, value.parse().unwrap());
        }
        undo(response, true, &ignored()).map(|_| ())
    };
    let coding = ("latchkey-coding", "deflate");
    assert_eq!(told(&[coding], 200), Ok(()));
    assert_eq!(told(&[coding, ("latchkey-length", "7")], 200), Ok(()));
    // Without a coding the length means nothing, and goes the way of all fields of ours.
    assert_eq!(told(&[("latchkey-length", "x")], 200), Ok(()));
    for (fields, status) in [
        (&[("latchkey-coding", "gzip")][..], 200),
        (&[coding, coding], 200),
        (&[coding, ("content-length", "1")], 200),
        (&[coding, ("content-encoding", "br")], 200),
        (&[coding, ("latchkey-length", "-1")], 200),
        (&[coding, ("latchkey-length", "+1")], 200),
        (
            &[coding, ("latchkey-length", "1"), ("latchkey-length", "1")],
            200,
        ),
        (&[coding], 304),
        (&[coding], 204),
    ] {
        assert_eq!(told(fields, status), Err(Uncalled), "{fields:?} {status}");
    }
}

/// Cuts a text into pieces of these sizes, over and over.
fn cut_up(bytes: &Bytes, sizes: &[usize]) -> Vec<Bytes> {
    let mut rest = bytes.clone();
    let mut all = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        all.push(rest.split_to((*size).min(rest.len())));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_it_is_cut_up_it_comes_out_the_same(
        words in prop::collection::vec("[a-d]{1,9}|\\PC{0,40}", 0..400),
        sizes in prop::collection::vec(1_usize..5_000, 1..8),
        in_tunnel in prop::collection::vec(1_usize..700, 1..8),
        is_announced: bool,
    ) {
        let text = Bytes::from(words.concat().repeat(3) + &" ".repeat(1024));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let length = text.len().to_string();
        let fields = [("content-length", length.as_str())];
        let fields = if is_announced { &fields[..] } else { &[] };
        let coded = code(script(fields, pieces(cut_up(&text, &sizes))));
        let (parts, body) = coded.into_parts();
        let through = runtime.block_on(body.collect()).unwrap().to_bytes();
        let body = pieces(cut_up(&through, &in_tunnel));
        let plain = undone(Response::from_parts(parts, body));
        prop_assert_eq!(runtime.block_on(read(plain)).unwrap(), text);
    }

    #[test]
    fn garbage_ends_in_an_error(
        garbage in prop::collection::vec(any::<u8>(), 0..2_000),
        sizes in prop::collection::vec(1_usize..300, 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut response = Response::new(pieces(cut_up(&garbage.into(), &sizes)));
        response.headers_mut().insert(CODING, DEFLATE);
        prop_assert!(runtime.block_on(read(undone(response))).is_err());
    }
}
