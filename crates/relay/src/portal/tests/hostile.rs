//! What apps and people write into names, on the real pages.

use http::StatusCode;
use latchkey_web::page_check::{HOSTILE, faults};

use super::bench::{Bench, encoded};
use super::{ALLOWED, start, to_decision};

#[tokio::test]
async fn texts_from_outside_are_texts_on_every_page() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    for payload in HOSTILE {
        // What of it can be an app's id, and what a printer's name.
        let id: String = payload
            .chars()
            .filter(|c| !c.is_whitespace())
            .take(64)
            .collect();
        let query = format!(
            "appid={}&octoPrintApiKeyAppName={}",
            encoded(&id),
            encoded(payload)
        );
        let page = browser.get(&start(&query)).await;
        if page.status == StatusCode::BAD_REQUEST {
            assert!(
                id.chars()
                    .any(|c| c.is_control() || ('\u{2000}'..'\u{2070}').contains(&c)),
                "{payload:?}"
            );
            assert_eq!(faults(&page.body), Vec::<String>::new());
            continue;
        }
        assert_eq!(faults(&page.body), Vec::<String>::new(), "{payload:?}");
        let name: String = payload
            .chars()
            .filter(|c| !c.is_control())
            .take(64)
            .collect();
        let printer = bench.printer(&ann, &name).await;
        let page = to_decision(&mut browser, &query, printer.id.as_str()).await;
        assert_eq!(faults(&page.body), Vec::<String>::new(), "{payload:?}");
        assert!(!payload.contains('<') || !page.has(payload), "{payload:?}");
        let page = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
        let page = browser.get(page.location()).await;
        assert_eq!(faults(&page.body), Vec::<String>::new(), "{payload:?}");
        assert_eq!(page.completion()["printername"], name.trim());
    }
}

#[tokio::test]
async fn imitated_names_are_called_so_and_unknown_ones_unverified() {
    let bench = Bench::new().await;
    let page = async |query: &str| bench.browser().get(&start(query)).await;
    let registered = page("appid=OctoPod&returnUrl=octopod:x").await;
    assert!(registered.has("Verified app") && !registered.has("This is not"));
    for query in [
        "appid=0ctopod",
        "appid=octopod.app",
        "appid=%D0%BEctopod",
        "appid=new&octoPrintApiKeyAppName=OctoPod",
    ] {
        let page = page(query).await;
        assert!(
            page.has("This is not <bdi>OctoPod</bdi>") && page.has("Unverified app"),
            "{query}"
        );
        assert!(
            !page.has("Verified app") && !page.has("Northlight"),
            "{query}"
        );
    }
    let unknown = page("appid=fieldglass&returnUrl=http://192.168.1.9:1234/x&appLogoUrl=https://evil.example/x.png").await;
    assert!(unknown.has("“<bdi>fieldglass</bdi>”") && unknown.has("Nobody has checked this app"));
    assert!(unknown.has("192.168.1.9:1234") && unknown.has("without encryption"));
    assert!(!unknown.has("evil.example"), "no picture from elsewhere");
}
