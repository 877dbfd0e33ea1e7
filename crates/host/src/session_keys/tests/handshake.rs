//! `/apps/auth`, as the contract's table has it.

use std::time::Duration;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_key_is_given_for_a_minute_and_verified_for_two_hours_from_then() {
    let bench = bench().await;
    let now = f64::from(i32::try_from(bench.clock.now().millis() / 1000).unwrap());
    bench.clock.advance(Duration::from_millis(17));
    let reply = get(&bench, at_home().address).await;
    let body = reply.json();
    let key = body["unverifiedKey"].as_str().unwrap();
    assert_eq!(body.as_object().unwrap().len(), 2);
    assert!(key.len() == 32 && key.bytes().all(|byte| b"0123456789ABCDEF".contains(&byte)));
    let until = body["validUntil"].as_f64().unwrap();
    assert!((until - (now + 60.017)).abs() < 1e-3);
    assert!(reply.text.contains(".017"), "{}", reply.text);
    assert!(reply.field("cache-control").starts_with("no-store"));
    assert_eq!(
        (reply.field("pragma"), reply.field("expires")),
        ("no-cache", "-1")
    );
    assert!(reply.field("access-control-allow-origin").is_empty());
    assert!(reply.field("set-cookie").is_empty());

    bench.clock.advance(Duration::from_secs(30));
    let reply = post(&bench, &claim("1.0", key)).await;
    assert_eq!(reply.status, StatusCode::OK);
    let body = reply.json();
    assert_eq!(body["key"], key);
    assert_eq!(body.as_object().unwrap().len(), 2);
    let difference = body["validUntil"].as_f64().unwrap() - until;
    assert!(difference.to_string() == "7140", "{difference}");
    assert!(is_good(&bench, key).await);
}

/// Whole seconds are floats too.
#[tokio::test]
async fn a_time_always_has_a_fraction() {
    let bench = bench().await;
    let reply = get(&bench, at_home().address).await;
    assert!(reply.text.contains("1769860860.0"), "{}", reply.text);
}

#[derive(Clone, Copy)]
struct Case {
    what: &'static str,
    content_type: &'static str,
    body: fn(&str) -> String,
    status: u16,
    text: &'static str,
    /// Whether the key can be verified afterwards.
    kept: bool,
}

const JSON: &str = "application/json";

fn signed_as(version: &str, key: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut claim = claim(version, key);
    change(&mut claim);
    claim.to_string()
}

fn without(key: &str, member: &str) -> String {
    signed_as("1.0", key, |claim| {
        claim.as_object_mut().unwrap().remove(member);
    })
}

fn good(key: &str) -> String {
    claim("1.0", key).to_string()
}

const fn case(
    what: &'static str,
    body: fn(&str) -> String,
    status: u16,
    text: &'static str,
) -> Case {
    Case {
        what,
        content_type: JSON,
        body,
        status,
        text,
        kept: false,
    }
}

const fn kept(case: Case) -> Case {
    Case { kept: true, ..case }
}

const fn sent_as(content_type: &'static str, case: Case) -> Case {
    Case {
        content_type,
        ..case
    }
}

/// The failures, in the order of the checks.
const FAILURES: &[Case] = &[
    kept(sent_as(
        "text/plain",
        case("not JSON", good, 400, "Expected content-type JSON"),
    )),
    kept(sent_as(
        "",
        case("no type", good, 400, "Expected content-type JSON"),
    )),
    kept(sent_as(
        "application/x-www-form-urlencoded",
        case("a form", good, 400, "Expected content-type JSON"),
    )),
    kept(case(
        "cut",
        |_| "{".to_owned(),
        400,
        "Malformed JSON body in request",
    )),
    kept(case(
        "a list",
        |_| "[]".to_owned(),
        400,
        "Malformed JSON body in request",
    )),
    kept(case(
        "nothing",
        |_| String::new(),
        400,
        "Malformed JSON body in request",
    )),
    kept(case(
        "empty",
        |_| "{}".to_owned(),
        400,
        "Missing argument: appid",
    )),
    kept(case(
        "no id",
        |key| without(key, "appid"),
        400,
        "Missing argument: appid",
    )),
    kept(case(
        "no key",
        |key| without(key, "key"),
        400,
        "Missing argument: key",
    )),
    kept(case(
        "no signature",
        |key| without(key, "_sig"),
        400,
        "Missing argument: _sig",
    )),
    kept(case(
        "a null",
        |key| signed_as("1.0", key, |claim| claim["key"] = Value::Null),
        400,
        "Missing argument: key",
    )),
    kept(case(
        "a number",
        |key| signed_as("1.0", key, |claim| claim["appid"] = json!(7)),
        400,
        "Malformed argument: appid",
    )),
    kept(case(
        "a list as version",
        |key| signed_as("1.0", key, |claim| claim["appversion"] = json!(["1.0"])),
        400,
        "Malformed argument: appversion",
    )),
    kept(case(
        "no BASE64",
        |key| signed_as("1.0", key, |claim| claim["_sig"] = json!("$$$")),
        401,
        "Invalid signature",
    )),
    kept(case(
        "a line break",
        |key| {
            let signature = format!("{}\n", sign("1.0", key));
            signed_as("1.0", key, |claim| claim["_sig"] = json!(signature))
        },
        401,
        "Invalid signature",
    )),
    kept(case(
        "no padding",
        |key| {
            let signature = sign("1.0", key).trim_end_matches('=').to_owned();
            signed_as("1.0", key, |claim| claim["_sig"] = json!(signature))
        },
        401,
        "Invalid signature",
    )),
    case(
        "unknown version",
        |key| signed_as("2.0", key, |_| {}),
        401,
        "Invalid app: com.example.my_octoprint_app:2.0",
    ),
    case(
        "unknown app",
        |key| {
            signed_as("1.0", key, |claim| {
                claim["appid"] = json!("com.example.other");
            })
        },
        401,
        "Invalid app: com.example.other:1.0",
    ),
    case(
        "markup as app",
        |key| signed_as("1.0", key, |claim| claim["appid"] = json!("<b>&\"'")),
        401,
        "Invalid app: &#60;b&#62;&#38;&#34;&#39;:1.0",
    ),
    case(
        "switched off",
        |key| signed_as("0.9", key, |_| {}),
        401,
        "Invalid app: com.example.my_octoprint_app:0.9",
    ),
    case(
        "no public key",
        |key| signed_as("keyless", key, |_| {}),
        401,
        "Invalid app: com.example.my_octoprint_app:keyless",
    ),
    case(
        "a weak key without leave",
        |key| signed_as("weak", key, |_| {}),
        401,
        "Invalid app: com.example.my_octoprint_app:weak",
    ),
    case(
        "a weak key to administer with",
        |key| signed_as("weak-admin", key, |_| {}),
        401,
        "Invalid app: com.example.my_octoprint_app:weak-admin",
    ),
    case(
        "an unreadable public key",
        |key| signed_as("unreadable", key, |_| {}),
        500,
        "Invalid pubkey stored in server",
    ),
    case(
        "signed as another version",
        |key| signed_as("view", key, |claim| claim["appversion"] = json!("1.0")),
        401,
        "Invalid signature",
    ),
    case(
        "signed with a version, sent without",
        |key| without(key, "appversion"),
        401,
        "Invalid signature",
    ),
    case(
        "signed for another key",
        |key| {
            let signature = sign("1.0", "F43A844750F74AD080FE9F438D47B33C");
            signed_as("1.0", key, |claim| claim["_sig"] = json!(signature))
        },
        401,
        "Invalid signature",
    ),
    case(
        "no signature at all",
        |key| signed_as("1.0", key, |claim| claim["_sig"] = json!("")),
        401,
        "Invalid signature",
    ),
];

async fn send(bench: &Bench, case: &Case, key: &str) -> Reply {
    let fields = [("content-type", case.content_type)];
    let fields = if case.content_type.is_empty() {
        &[][..]
    } else {
        &fields[..]
    };
    let request = request("POST", "/apps/auth", fields, &(case.body)(key));
    bench.ask(request, &at_home()).await
}

#[tokio::test]
async fn failures_are_told_apart_and_cost_the_key_or_not() {
    for case in FAILURES {
        let bench = bench().await;
        let key = unverified(&bench).await;
        let reply = send(&bench, case, &key).await;
        assert_eq!(reply.status, case.status, "{}: {}", case.what, reply.text);
        assert_eq!(reply.text, case.text, "{}", case.what);
        assert_eq!(reply.field("content-type"), "text/html; charset=utf-8");
        assert_eq!(reply.field("x-content-type-options"), "nosniff");
        assert!(!is_good(&bench, &key).await, "{}", case.what);
        let after = post(&bench, &claim("1.0", &key)).await;
        assert_eq!(after.status == StatusCode::OK, case.kept, "{}", case.what);
    }
}

/// What costs an unverified key ends a verified one, and nothing else does.
#[tokio::test]
async fn failures_end_verified_keys_likewise() {
    for case in FAILURES {
        let bench = bench().await;
        let key = verified(&bench, "1.0").await;
        assert_eq!(
            send(&bench, case, &key).await.status,
            case.status,
            "{}",
            case.what
        );
        assert_eq!(is_good(&bench, &key).await, case.kept, "{}", case.what);
    }
}

#[tokio::test]
async fn a_key_is_verified_once_and_in_time() {
    const USED: &str = "Invalid key or already verified";
    let bench = bench().await;
    let key = verified(&bench, "1.0").await;
    let again = post(&bench, &claim("1.0", &key)).await;
    assert_eq!((again.status.as_u16(), &*again.text), (401, USED));
    assert!(is_good(&bench, &key).await, "a second claim costs nothing");

    let late = unverified(&bench).await;
    bench.clock.advance(MINUTE);
    let reply = post(&bench, &claim("1.0", &late)).await;
    assert_eq!((reply.status.as_u16(), &*reply.text), (401, USED));

    let elsewhere = bench_with(all_kinds()).await;
    let reply = post(&elsewhere, &claim("1.0", &key)).await;
    assert_eq!(reply.text, USED, "another host's key");
    let lower = key.to_lowercase();
    assert_eq!(post(&bench, &claim("1.0", &lower)).await.text, USED);
}

#[tokio::test]
async fn without_a_version_the_word_any_stands_in_its_place() {
    let bench = bench().await;
    let key = unverified(&bench).await;
    let mut wish = claim("any", &key);
    wish.as_object_mut().unwrap().remove("appversion");
    assert_eq!(post(&bench, &wish).await.status, StatusCode::OK);
    // Said aloud it is the same.
    let key = unverified(&bench).await;
    assert_eq!(
        post(&bench, &claim("any", &key)).await.status,
        StatusCode::OK
    );
    // A version that nobody registered does not fall back to it.
    let key = unverified(&bench).await;
    assert_eq!(
        post(&bench, &claim("3.0", &key)).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_version_may_be_sent_as_a_number() {
    let bench = bench().await;
    let key = unverified(&bench).await;
    let mut wish = claim("1.0", &key);
    wish["appversion"] = json!(1.0);
    assert_eq!(post(&bench, &wish).await.status, StatusCode::OK);
}

#[tokio::test]
async fn longer_digests_are_accepted() {
    let bench = bench().await;
    let key = unverified(&bench).await;
    let digest = sha2::Sha256::digest(format!("{ID}:1.0:{key}"));
    let padding = Pkcs1v15Sign::new::<sha2::Sha256>();
    let mut wish = claim("1.0", &key);
    wish["_sig"] = json!(BASE64.encode(&private_key().sign(padding, &digest).unwrap()));
    assert_eq!(post(&bench, &wish).await.status, StatusCode::OK);
}

#[tokio::test]
async fn nobody_elsewhere_ends_a_key_by_a_wrong_claim() {
    let bench = bench().await;
    let (waiting, good) = (unverified(&bench).await, verified(&bench, "1.0").await);
    let stranger = IpAddr::from([192, 168, 1, 66]);
    for key in [&waiting, &good] {
        for version in ["0.9", "1.0", "unreadable"] {
            let mut wrong = claim(version, key);
            wrong["_sig"] = json!("AAAA");
            let reply = post_from(&bench, &wrong, stranger).await;
            assert!(reply.status.as_u16() >= 400);
        }
    }
    assert!(is_good(&bench, &good).await);
    // The app itself may have another address by now.
    let reply = post_from(&bench, &claim("1.0", &waiting), stranger).await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn without_a_registered_app_there_is_nothing() {
    let bench = bench_with(FileApps::default()).await;
    let reply = get(&bench, at_home().address).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(
        post(&bench, &claim("1.0", "K")).await.status,
        StatusCode::NOT_FOUND
    );
    bench.authority.session_keys.set_files(all_kinds()).await;
    assert_eq!(get(&bench, at_home().address).await.status, StatusCode::OK);
}

#[tokio::test]
async fn twenty_a_minute_are_given_to_an_address() {
    let bench = bench().await;
    for _ in 0..20 {
        unverified(&bench).await;
    }
    bench.clock.advance(Duration::from_secs(18));
    let reply = get(&bench, at_home().address).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reply.field("retry-after"), "42");
    assert_eq!(
        get(&bench, [192, 168, 1, 8].into()).await.status,
        StatusCode::OK
    );
    bench.clock.advance(Duration::from_secs(42));
    unverified(&bench).await;
}

#[tokio::test]
async fn other_methods_and_spellings_are_refused() {
    let bench = bench().await;
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let inbound = at_home();
        let reply = bench.ask(request(method, "/apps/auth", &[], ""), &inbound);
        assert_eq!(
            reply.await.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method}"
        );
    }
    for path in ["/apps/auth/", "/Apps/auth", "/apps/%61uth", "//apps/auth"] {
        let inbound = at_home();
        let reply = bench.ask(request("GET", path, &[], ""), &inbound);
        assert_eq!(reply.await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
