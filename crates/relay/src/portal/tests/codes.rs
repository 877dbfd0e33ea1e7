//! Code mode.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;

use super::bench::{Bench, Browser, Page};
use super::{ALLOWED, to_decision};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const ASKING: &str = "appid=octopod&returnUrl=octopod:x&responseMode=code&codeChallengeMethod=S256&state=s%201\
                      &codeChallenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn code(bench: &Bench) -> (Browser, BTreeMap<String, String>) {
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = to_decision(&mut browser, ASKING, printer.id.as_str()).await;
    let page = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
    let page = browser.get(page.location()).await;
    let values = page.completion();
    (browser, values)
}

async fn exchange(bench: &Bench, code: &str, verifier: &str) -> Page {
    let body = format!("{{\"code\":\"{code}\",\"codeVerifier\":\"{verifier}\"}}");
    bench
        .browser()
        .post_json("/appportal/v1/token", &body)
        .await
}

#[tokio::test]
async fn a_code_is_changed_for_the_values_once() {
    let bench = Bench::new().await;
    let (_, values) = code(&bench).await;
    assert_eq!(
        values.keys().collect::<Vec<_>>(),
        ["code", "state", "success"]
    );
    assert_eq!(values["state"], "s 1");
    let given = exchange(&bench, &values["code"], VERIFIER).await;
    assert_eq!(given.status, StatusCode::OK);
    assert_eq!(given.headers["access-control-allow-origin"], "*");
    assert_eq!(given.headers["cache-control"], "no-store");
    assert!(
        given.body.starts_with("{\"success\":\"true\",\"id\":\""),
        "{}",
        given.body
    );
    for name in [
        "url",
        "appApiToken",
        "authbasichttpuser",
        "authBasicHttpUser",
        "authBearerToken",
        "printername",
    ] {
        assert!(given.has(&format!("\"{name}\":\"")), "{name}");
    }
    let again = exchange(&bench, &values["code"], VERIFIER).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.has("\"error\":\"invalid_grant\"") && again.has("\"errorDescription\":\""));
}

#[tokio::test]
async fn a_code_is_for_who_asked_and_for_a_minute() {
    let bench = Bench::new().await;
    let (_, values) = code(&bench).await;
    let wrong = exchange(&bench, &values["code"], &"a".repeat(43)).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let used = exchange(&bench, &values["code"], VERIFIER).await;
    assert_eq!(used.status, StatusCode::BAD_REQUEST);
    let bench = Bench::new().await;
    let (_, values) = code(&bench).await;
    bench.clock.advance(Duration::from_mins(1));
    assert_eq!(
        exchange(&bench, &values["code"], VERIFIER).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn who_says_no_tells_it_with_the_state() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    let page = browser.get(&super::start(ASKING)).await;
    let page = browser
        .submit(&page, "/appportal/v1", &[("decision", "cancel")])
        .await;
    let values = page.completion();
    assert_eq!(
        (
            values["success"].as_str(),
            values["error"].as_str(),
            values["state"].as_str()
        ),
        ("false", "cancelled", "s 1")
    );
}

#[tokio::test]
async fn nonsense_is_refused_readably() {
    let bench = Bench::new().await;
    for body in [
        "",
        "{}",
        "[]",
        "{\"code\":1,\"codeVerifier\":2}",
        &format!("{{\"code\":\"{}\"}}", "x".repeat(9000)),
    ] {
        let page = bench.browser().post_json("/appportal/v1/token", body).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", body.len());
        assert!(page.has("\"error\":\"invalid_request\""));
        assert_eq!(page.headers["access-control-allow-origin"], "*");
    }
    assert_eq!(
        exchange(&bench, "lk_code_x", VERIFIER).await.status,
        StatusCode::BAD_REQUEST
    );
}
