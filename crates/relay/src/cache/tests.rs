use http::{HeaderName, Method, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use latchkey_model::chance::{Chance, SeededChance};
use latchkey_net::body::BodyError;

use super::*;

const RUN: HostRun = HostRun([1; 16]);

fn printer(seed: u64) -> PrinterId {
    let chance: &dyn Chance = &SeededChance::new(seed);
    PrinterId::generate(chance)
}

fn cache(max_bytes: u64, max_bytes_per_printer: u64) -> Cache {
    Cache::new(CacheBounds {
        max_bytes,
        max_bytes_per_printer,
    })
}

fn roomy() -> Cache {
    Cache::new(CacheBounds::default())
}

fn fields(headers: &mut http::HeaderMap, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
}

fn get(path: &str, with: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::new(body::empty());
    *request.uri_mut() = format!("https://app-1.example.net{path}").parse().unwrap();
    fields(request.headers_mut(), with);
    request
}

fn text(size: usize) -> String {
    "x".repeat(size)
}

/// An answer of this run of the host.
fn said(status: u16, with: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut answer = Response::new(body::full(body.to_owned()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer.extensions_mut().insert(RUN);
    fields(answer.headers_mut(), with);
    answer
}

/// One that may be kept, with further fields.
fn keepable(size: usize, with: &[(&str, &str)]) -> Response<Body> {
    let length = size.to_string();
    let mut all = vec![("etag", "\"a\""), ("content-length", length.as_str())];
    if !with.iter().any(|(name, _)| *name == "content-type") {
        all.push(("content-type", "text/css"));
    }
    all.extend_from_slice(with);
    said(200, &all, &text(size))
}

async fn read(answer: Response<Body>) -> Result<String, BodyError> {
    let bytes = answer.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Lets an answer to a request pass by the cache; says whether it is known afterwards.
async fn passes(cache: &Cache, asked: &Request<Body>, answer: Response<Body>) -> bool {
    let of = printer(1);
    if let Some(asking) = cache.look(&of, RUN, asked) {
        read(asking.keep(answer)).await.unwrap();
    }
    is_known(cache, &of, asked)
}

fn is_known(cache: &Cache, of: &PrinterId, asked: &Request<Body>) -> bool {
    let asking = cache.look(of, RUN, asked);
    asking.is_some_and(|asking| asking.condition().is_some())
}

fn held(cache: &Cache) -> i64 {
    cache.0.counts.held.get()
}

#[tokio::test]
async fn what_is_kept_is_answered_when_the_server_says_that_it_holds() {
    let cache = roomy();
    let asked = get("/app.js?v=1", &[]);
    let with = [
        ("date", "Thu, 26 Nov 2026 05:00:00 GMT"),
        ("cache-control", "no-cache"),
        ("content-type", "application/javascript"),
        ("x-robots-tag", "noindex"),
    ];
    assert!(passes(&cache, &asked, keepable(5_000, &with)).await);
    let asking = cache.look(&printer(1), RUN, &asked).unwrap();
    assert_eq!(asking.condition().unwrap(), "\"a\"");
    let fresh = [
        ("etag", "\"a\""),
        ("date", "Thu, 26 Nov 2026 06:00:00 GMT"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-robots-tag", "none"),
        ("content-type", "text/plain"),
        ("content-length", "7"),
    ];
    let answer = asking.answer(&said(304, &fresh, "")).unwrap();
    assert_eq!(answer.status(), 200);
    let mut expected = http::HeaderMap::new();
    fields(
        &mut expected,
        &[
            ("etag", "\"a\""),
            ("content-length", "5000"),
            ("cache-control", "no-cache"),
            ("content-type", "application/javascript"),
            ("date", "Thu, 26 Nov 2026 06:00:00 GMT"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("x-robots-tag", "none"),
        ],
    );
    assert_eq!(answer.headers(), &expected);
    assert_eq!(read(answer).await.unwrap(), text(5_000));
    assert_eq!(cache.0.counts.answers.get(), 1);
    assert_eq!(cache.0.counts.bytes.get(), 5_000);
}

#[tokio::test]
async fn only_whole_answers_that_are_the_same_for_all_are_kept() {
    let asked = get("/app.js", &[]);
    assert!(passes(&roomy(), &asked, keepable(1_024, &[])).await);
    let vary = [("vary", "accept-Encoding, Accept-encoding")];
    assert!(passes(&roomy(), &asked, keepable(1_024, &vary)).await);
    let open = [("access-control-allow-origin", "*")];
    assert!(passes(&roomy(), &asked, keepable(1_024, &open)).await);
    for with in [
        ("set-cookie", "a=b"),
        ("cache-control", "max-age=5, No-Store"),
        ("cache-control", "private=\"x\""),
        ("vary", "Cookie"),
        ("vary", "Accept-Encoding, Origin"),
        ("vary", "*"),
        ("www-authenticate", "Basic"),
        ("access-control-allow-origin", "https://somebody.example"),
        ("access-control-allow-credentials", "true"),
        ("content-range", "bytes 0-1023/2048"),
        ("trailer", "x"),
        ("etag", "\"b\""),
        ("content-length", "1024"),
        ("x-long", &text(9_000)),
    ] {
        let answer = keepable(1_024, &[with]);
        assert!(!passes(&roomy(), &asked, answer).await, "{with:?}");
    }
    let kind = ("content-type", "text/css");
    for tag in ["W/\"a\"", "a", "\"a", "\"a\"b\"", ""] {
        let fields = [("etag", tag), ("content-length", "2000"), kind];
        let answer = said(200, &fields, &text(2_000));
        assert!(!passes(&roomy(), &asked, answer).await, "{tag:?}");
    }
    let unknown = said(200, &[("etag", "\"a\""), kind], &text(2_000));
    assert!(!passes(&roomy(), &asked, unknown).await);
    for size in [1_023, 4 * 1024 * 1024 + 1] {
        assert!(
            !passes(&roomy(), &asked, keepable(size, &[])).await,
            "{size}"
        );
    }
    for status in [203, 206, 404, 500] {
        let mut answer = keepable(2_000, &[]);
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        assert!(!passes(&roomy(), &asked, answer).await, "{status}");
    }
}

/// OctoPrint's settings have the same tag whether they show a key or not.
#[tokio::test]
async fn only_what_pages_are_made_of_is_kept() {
    let asked = get("/app.js", &[]);
    for (kind, kept) in [
        ("text/css", true),
        ("Application/JavaScript; charset=utf-8", true),
        ("font/woff2", true),
        ("image/svg+xml", true),
        ("application/wasm", true),
        ("application/json", false),
        ("text/html", false),
        ("text/plain", false),
        ("image/jpeg", false),
        ("image/png", false),
        ("application/octet-stream", false),
        ("", false),
    ] {
        let answer = keepable(2_000, &[("content-type", kind)]);
        assert_eq!(passes(&roomy(), &asked, answer).await, kept, "{kind}");
    }
    let twice = [("content-type", "text/css"), ("content-type", "text/css")];
    assert!(!passes(&roomy(), &asked, keepable(2_000, &twice)).await);
}

#[tokio::test]
async fn nothing_is_kept_for_a_question_of_another_kind() {
    for asked in [
        get("/app.js", &[("range", "bytes=0-1")]),
        get("/app.js", &[("if-range", "\"a\"")]),
        get("/app.js", &[("cache-control", "no-store")]),
        get("/webcam/?action=snapshot", &[]),
        get("/x?action=stream", &[]),
        get(&format!("/{}", text(5_000)), &[]),
    ] {
        assert!(!passes(&roomy(), &asked, keepable(2_000, &[])).await);
    }
    for method in [Method::HEAD, Method::POST, Method::CONNECT] {
        let mut asked = get("/app.js", &[]);
        *asked.method_mut() = method;
        assert!(roomy().look(&printer(1), RUN, &asked).is_none());
    }
    let mut asked = get("/app.js", &[]);
    *asked.body_mut() = body::full("a body");
    assert!(roomy().look(&printer(1), RUN, &asked).is_none());
}

#[tokio::test]
async fn a_callers_own_question_is_left_as_it_is() {
    let cache = roomy();
    assert!(passes(&cache, &get("/app.js", &[]), keepable(2_000, &[])).await);
    for with in [
        ("if-none-match", "\"b\""),
        ("if-modified-since", "Thu, 26 Nov 2026 05:00:00 GMT"),
        ("if-match", "\"a\""),
        ("if-unmodified-since", "Thu, 26 Nov 2026 05:00:00 GMT"),
        ("cache-control", "no-cache"),
        ("pragma", "no-cache"),
    ] {
        assert!(
            !is_known(&cache, &printer(1), &get("/app.js", &[with])),
            "{with:?}"
        );
    }
    let reload = get("/app.js", &[("cache-control", "max-age=0")]);
    assert!(is_known(&cache, &printer(1), &reload));
    // What it brings is kept, though.
    let cache = roomy();
    let anew = get("/app.js", &[("cache-control", "no-cache")]);
    passes(&cache, &anew, keepable(2_000, &[])).await;
    assert!(is_known(&cache, &printer(1), &get("/app.js", &[])));
}

#[tokio::test]
async fn one_printers_answers_and_one_addresss_are_nobody_elses() {
    let cache = roomy();
    let asked = get("/app.js", &[("accept-encoding", "gzip")]);
    assert!(passes(&cache, &asked, keepable(2_000, &[])).await);
    assert!(!is_known(&cache, &printer(2), &asked));
    for (path, with) in [
        ("/app.js?", "gzip"),
        ("/App.js", "gzip"),
        ("/app.js?v=2", "gzip"),
        ("/app.js", "br"),
    ] {
        let other = get(path, &[("accept-encoding", with)]);
        assert!(!is_known(&cache, &printer(1), &other), "{path} {with}");
    }
    assert!(!is_known(&cache, &printer(1), &get("/app.js", &[])));
    let mut elsewhere = get("/app.js", &[("accept-encoding", "gzip")]);
    *elsewhere.uri_mut() = "https://app-2.example.net/app.js".parse().unwrap();
    assert!(!is_known(&cache, &printer(1), &elsewhere));
    let later = cache.look(&printer(1), HostRun([2; 16]), &asked).unwrap();
    assert!(
        later.condition().is_none(),
        "of a host that was started anew"
    );
}

#[tokio::test]
async fn a_doubt_is_no_answer_and_is_not_met_again() {
    let asked = get("/app.js", &[]);
    let elsewhere = || {
        let mut answer = said(304, &[("etag", "\"a\"")], "");
        answer.extensions_mut().insert(HostRun([9; 16]));
        answer
    };
    for doubtful in [
        said(304, &[], ""),
        said(304, &[("etag", "\"b\"")], ""),
        said(304, &[("etag", "W/\"a\"")], ""),
        said(304, &[("etag", "\"a\""), ("etag", "\"a\"")], ""),
        said(200, &[("etag", "\"a\"")], ""),
        elsewhere(),
    ] {
        let cache = roomy();
        assert!(passes(&cache, &asked, keepable(2_000, &[])).await);
        let asking = cache.look(&printer(1), RUN, &asked).unwrap();
        assert!(asking.answer(&doubtful).is_none(), "{doubtful:?}");
        drop(asking);
        assert!(!is_known(&cache, &printer(1), &asked));
        assert_eq!(held(&cache), 0);
        assert!(!passes(&cache, &asked, keepable(2_000, &[])).await);
    }
    let cache = roomy();
    let mut answer = keepable(2_000, &[]);
    answer.extensions_mut().insert(HostRun([9; 16]));
    assert!(!passes(&cache, &asked, answer).await, "of another run");
}

#[tokio::test]
async fn what_does_not_arrive_whole_is_not_kept() {
    #[derive(Debug, thiserror::Error)]
    #[error("it broke")]
    struct Broke;
    let asked = get("/app.js", &[]);
    let with_body = |frames: Vec<Result<&'static str, Broke>>| {
        let frames = frames.into_iter().map(|frame| {
            let frame = frame.map(|text| hyper::body::Frame::data(text.into()));
            frame.map_err(|broke| -> BodyError { broke.into() })
        });
        let body = StreamBody::new(futures_util::stream::iter(frames));
        keepable(2_000, &[]).map(|_| body::boxed(body))
    };
    let half: &'static str = Box::leak(text(1_000).into());
    for (frames, kept) in [
        (vec![Ok(half), Ok(half)], true),
        (vec![Ok(half)], false),
        (vec![Ok(half), Err(Broke)], false),
        (vec![Ok(half), Ok(half), Ok("x")], true),
        (vec![Ok(half), Ok("x"), Ok(half)], false),
    ] {
        let cache = roomy();
        let asking = cache.look(&printer(1), RUN, &asked).unwrap();
        let _ = read(asking.keep(with_body(frames))).await;
        assert_eq!(is_known(&cache, &printer(1), &asked), kept);
        assert_eq!(held(&cache) > 0, kept);
    }
    // The caller goes away in the middle.
    let cache = roomy();
    let asking = cache.look(&printer(1), RUN, &asked).unwrap();
    let mut body = asking.keep(with_body(vec![Ok(half), Ok(half)])).into_body();
    body.frame().await.unwrap().unwrap();
    assert!(held(&cache) > 2_000, "paid for before it is there");
    drop(body);
    assert_eq!(held(&cache), 0);
    assert!(!is_known(&cache, &printer(1), &asked));
}

#[tokio::test]
async fn another_tag_takes_the_place_of_the_one_before() {
    let cache = roomy();
    let asked = get("/app.js", &[]);
    assert!(passes(&cache, &asked, keepable(2_000, &[])).await);
    let before = held(&cache);
    let other = [
        ("etag", "\"b\""),
        ("content-length", "2000"),
        ("content-type", "text/css"),
    ];
    assert!(passes(&cache, &asked, said(200, &other, &"y".repeat(2_000))).await);
    let asking = cache.look(&printer(1), RUN, &asked).unwrap();
    assert_eq!(asking.condition().unwrap(), "\"b\"");
    let answer = asking.answer(&said(304, &[("etag", "\"b\"")], "")).unwrap();
    assert_eq!(read(answer).await.unwrap(), "y".repeat(2_000));
    drop(asking);
    assert_eq!(held(&cache), before);
}

#[tokio::test]
async fn of_one_answer_that_many_bring_one_copy_is_made() {
    let cache = roomy();
    let asked = get("/app.js", &[]);
    let bring = || {
        let asking = cache.look(&printer(1), RUN, &asked).unwrap();
        asking.keep(keepable(2_000, &[]))
    };
    let first = bring();
    let paid = held(&cache);
    let second = bring();
    assert_eq!(held(&cache), paid);
    drop(first);
    assert_eq!(held(&cache), 0);
    assert_eq!(read(second).await.unwrap(), text(2_000));
    read(bring()).await.unwrap();
    assert!(is_known(&cache, &printer(1), &asked));
}

#[tokio::test]
async fn bounds_hold_and_what_was_used_last_stays() {
    // Three of each printer, six of all.
    let cache = cache(6 * 12_000, 3 * 12_000);
    let path = |n: usize| get(&format!("/{n}.js"), &[]);
    let known = |of: &PrinterId| {
        let known = (0..6).filter(|n| is_known(&cache, of, &path(*n)));
        known.collect::<Vec<_>>()
    };
    let bring = async |of: &PrinterId, n: usize| {
        let asking = cache.look(of, RUN, &path(n)).unwrap();
        read(asking.keep(keepable(10_000, &[]))).await.unwrap();
    };
    let [one, two, three] = [1, 2, 3].map(printer);
    for n in 0..3 {
        bring(&one, n).await;
    }
    assert!(is_known(&cache, &one, &path(0)), "now the last used");
    bring(&one, 3).await;
    assert_eq!(known(&one), [0, 2, 3]);
    for n in 0..3 {
        bring(&two, n).await;
    }
    assert_eq!((known(&one).len(), known(&two).len()), (3, 3));
    bring(&three, 0).await;
    assert_eq!((known(&two).len(), known(&three).len()), (3, 1));
    assert_eq!(known(&one).len(), 2, "the oldest of all went");
    assert!(held(&cache) <= 6 * 12_000);
    assert!(cache.look(&one, RUN, &path(9)).is_some());
    let larger_than_all = keepable(50_000, &[]);
    let asking = cache.look(&three, RUN, &path(9)).unwrap();
    read(asking.keep(larger_than_all)).await.unwrap();
    assert!(!is_known(&cache, &three, &path(9)));
}

/// Whoever reads slowly what was forgotten holds memory that others do not get.
#[tokio::test]
async fn what_somebody_still_reads_is_paid_for() {
    let cache = cache(12_000, 12_000);
    let asked = get("/app.js", &[]);
    assert!(passes(&cache, &asked, keepable(10_000, &[])).await);
    let asking = cache.look(&printer(1), RUN, &asked).unwrap();
    let reading = asking.answer(&said(304, &[("etag", "\"a\"")], "")).unwrap();
    drop(asking);
    cache.forget(&printer(1));
    assert!(!is_known(&cache, &printer(1), &asked));
    assert!(held(&cache) > 10_000);
    assert!(!passes(&cache, &asked, keepable(10_000, &[])).await);
    assert_eq!(read(reading).await.unwrap(), text(10_000));
    assert_eq!(held(&cache), 0);
    assert!(passes(&cache, &asked, keepable(10_000, &[])).await);
}

#[tokio::test]
async fn of_a_printer_that_is_removed_nothing_stays_and_nothing_comes_back() {
    let cache = roomy();
    let asked = get("/app.js", &[]);
    assert!(passes(&cache, &asked, keepable(2_000, &[])).await);
    let other = get("/other.js", &[]);
    let asking = cache.look(&printer(1), RUN, &other).unwrap();
    let on_its_way = asking.keep(keepable(2_000, &[]));
    cache.forget(&printer(1));
    read(on_its_way).await.unwrap();
    assert!(!is_known(&cache, &printer(1), &asked));
    assert!(!is_known(&cache, &printer(1), &other));
    assert_eq!(held(&cache), 0);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_forgotten_after_an_hour() {
    let cache = roomy();
    let stop = CancellationToken::new();
    let watching = cache.clone().watch(stop.clone());
    let story = async {
        let (seldom, often) = (get("/seldom.js", &[]), get("/often.js", &[]));
        assert!(passes(&cache, &seldom, keepable(2_000, &[])).await);
        assert!(passes(&cache, &often, keepable(2_000, &[])).await);
        tokio::time::sleep(Duration::from_mins(40)).await;
        assert!(is_known(&cache, &printer(1), &often));
        tokio::time::sleep(Duration::from_mins(25)).await;
        let one = held(&cache);
        assert!(is_known(&cache, &printer(1), &often));
        assert!(!is_known(&cache, &printer(1), &seldom));
        tokio::time::sleep(Duration::from_mins(65)).await;
        assert!(one > 2_000);
        assert_eq!(held(&cache), 0);
        stop.cancel();
    };
    tokio::join!(watching, story);
}

#[tokio::test]
async fn switched_off_it_keeps_nothing() {
    for (all, each) in [(0, 1_000_000), (1_000_000, 0)] {
        let cache = cache(all, each);
        assert!(cache.look(&printer(1), RUN, &get("/app.js", &[])).is_none());
    }
}
