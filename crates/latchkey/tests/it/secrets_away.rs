//! Secrets of people and apps at a relay are looked for wherever they must not be: in the log, at its most talkative,
//! and in the files of relay and host.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::browser::Browser;
use crate::harness::demo::Demo;
use crate::harness::files::{has, read_all};
use crate::harness::http::Request;
use crate::harness::portal::{asking, through_the_portal};

const WRONG_PASSWORD: &str = "canary-password-6a09e667";
const NEW_PASSWORD: &str = "canary-new-password-510e527f";
const WRONG_LINK: &str = "lk_link_canary9b05688c";
const WRONG_CODE: &str = "canary-code-1f83d9ab";

/// `SHA256("canary-verifier-…")` of RFC 7636, as the app sends it ahead.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Secrets by what they are.
type Secrets = BTreeMap<String, String>;

/// Lets the demo's app in by both ways, and keeps what it was given.
async fn let_an_app_in(demo: &Demo, secrets: &mut Secrets) {
    let given = through_the_portal(demo, "full").await;
    let relay = demo.text("relay_url").to_owned();
    let code = asking(
        demo,
        "view",
        &format!("&responseMode=code&codeChallenge={CHALLENGE}&codeChallengeMethod=S256&state=s1"),
    )
    .await;
    assert_eq!(code["state"], "s1");
    let exchange = |code: &str| {
        let body = json!({"code": code, "codeVerifier": VERIFIER});
        Request::post(format!("{relay}/appportal/v1/token")).json(&body)
    };
    let wrong = exchange(WRONG_CODE).send().await.status();
    assert_eq!(wrong, StatusCode::BAD_REQUEST);
    let exchanged = exchange(&code["code"]).send().await.read().await;
    assert_eq!(exchanged.status, StatusCode::OK, "{}", exchanged.text());
    secrets.insert("the code".into(), code["code"].clone());
    let label = |url: &str| {
        let (_, rest) = url.split_once("//").unwrap();
        rest.split('.').next().unwrap().to_owned()
    };
    for (way, member) in [
        ("parameters", &given),
        ("code", &serde_json::from_value(exchanged.json()).unwrap()),
    ] {
        for name in [
            "authbasichttpuser",
            "authbasichttppassword",
            "authBearerToken",
            "appApiToken",
            "octoPrintApiKey",
        ] {
            secrets.insert(format!("{name} by {way}"), member[name].clone());
        }
        secrets.insert(format!("the label by {way}"), label(&member["url"]));
        // It is used, rightly and wrongly.
        let url = format!("{}/api/version?apikey=canary-key-bb67ae85", member["url"]);
        let wrong = Request::get(&url).basic("canary", WRONG_PASSWORD);
        assert_eq!(wrong.send().await.status().as_u16(), 606);
        let right = Request::get(&url).bearer(&member["authBearerToken"]);
        right.send().await.read().await;
        let info = Request::get(format!("{relay}/api/appconnection/info"));
        let info = info.header("AppToken", &member["appApiToken"]);
        assert_eq!(info.send().await.status(), StatusCode::OK);
    }
}

/// Signs in and up, rightly and wrongly, as people do.
async fn come_and_go(demo: &Demo, secrets: &mut Secrets) {
    let mut browser = Browser::at(demo.text("relay_url"));
    browser.open("/sign-in").await;
    let fields = [
        ("email", "ann@oyelaran.example"),
        ("password", WRONG_PASSWORD),
    ];
    let wrong = browser.post("/sign-in", &fields).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    browser
        .open(&format!("/sign-up?invitation={WRONG_LINK}"))
        .await;
    browser.sign_up("ann@oyelaran.example", NEW_PASSWORD).await;
    browser.open("/account").await;
    secrets.insert("a form's token".into(), browser.token().to_owned());
    for cookie in browser.cookie_values() {
        secrets.insert(format!("a cookie, {cookie}"), cookie);
    }
}

#[tokio::test]
async fn no_secret_of_the_portal_is_where_it_does_not_belong() {
    let folder = TempDir::with_prefix("latchkey-secrets-away-").unwrap();
    let data = folder.path().join("demo");
    let demo = Demo::start(&data).await;
    let mut secrets = Secrets::new();
    for (what, secret) in [
        ("a wrong password", WRONG_PASSWORD),
        ("a new password", NEW_PASSWORD),
        ("a wrong link", WRONG_LINK),
        ("a wrong code", WRONG_CODE),
        ("a verifier", VERIFIER),
        ("a wrong key", "canary-key-bb67ae85"),
        ("the app's return address", "octoeverywhere?success"),
        ("an address", "ann@oyelaran.example"),
    ] {
        secrets.insert(what.into(), secret.into());
    }
    let password = demo.facts["account"]["password"].as_str().unwrap();
    secrets.insert("the demo's password".into(), password.to_owned());
    let_an_app_in(&demo, &mut secrets).await;
    come_and_go(&demo, &mut secrets).await;
    // While it runs there are journals beside the databases.
    let mut files = read_all(&data);
    let log = demo.log();
    assert!(log.matches("latchkey::request").count() > 20, "{log}");
    demo.stop().await;
    files.extend(read_all(&data));
    files.push((
        folder.path().join("demo.log"),
        std::fs::read(folder.path().join("demo.log")).unwrap(),
    ));
    assert!(secrets.len() > 20, "{:?}", secrets.keys());
    let mut hits = Vec::new();
    for (what, secret) in &secrets {
        for (path, content) in &files {
            // What the demo tells its user, and where people's addresses are kept.
            let belongs = path.ends_with("demo.json")
                || (what == "an address" && path.to_string_lossy().contains("relay.db"));
            if !belongs && has(content, secret) {
                hits.push(format!("{what} is in {}", path.display()));
            }
        }
    }
    assert!(hits.is_empty(), "{}", hits.join("\n"));
}
