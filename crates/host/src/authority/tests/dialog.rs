//! The dialog, in the order of the contract's table.

use std::time::Duration;

use super::*;

fn sign_in(dialog: &str, more: &str) -> String {
    let target: String = url::form_urlencoded::byte_serialize(dialog.as_bytes()).collect();
    format!("/login/?redirect={target}&permissions=PLUGIN_APPKEYS_GRANT{more}")
}

#[tokio::test]
async fn the_dialog_leads_to_the_sign_in_or_asks_or_knows_nothing() {
    let bench = host().await;
    let (open, _) = ask(&bench, None);
    let (bobs, _) = ask(&bench, Some("bob"));
    let open = format!("/plugin/appkeys/auth/{open}");
    let bobs = format!("/plugin/appkeys/auth/{bobs}");
    let to = |path: &str, more: &str| {
        let path = if path.contains('?') {
            path.to_owned()
        } else {
            format!("{path}?")
        };
        Err(sign_in(&path, more))
    };
    let restricted = format!("{bobs}?user=bob");
    let unknown = "/plugin/appkeys/auth/unknown".to_owned();
    let open_as_bob = format!("{open}?user=bob");
    for (user, path, expected) in [
        (None, &unknown, Ok(404)),
        (Some("bob"), &unknown, Ok(404)),
        (None, &open, to(&open, "")),
        (Some("rita"), &open, to(&open, "")),
        (None, &restricted, to(&restricted, "&user_id=bob")),
        (Some("ben"), &restricted, to(&restricted, "&user_id=bob")),
        (Some("ann"), &restricted, to(&restricted, "&user_id=bob")),
        (Some("bob"), &open_as_bob, Ok(404)),
        (Some("ben"), &bobs, Ok(404)),
        (Some("bob"), &bobs, Ok(200)),
        (Some("bob"), &restricted, Ok(200)),
        (Some("ben"), &open, Ok(200)),
    ] {
        let mut browser = match user {
            Some(user) => browser_of(&bench, user).await,
            None => bench.browser(),
        };
        let reply = browser.get(path).await;
        let what = format!("{user:?} {path}");
        match expected {
            Ok(status) => assert_eq!(reply.status, status, "{what}"),
            Err(location) => {
                assert_eq!(reply.status, StatusCode::FOUND, "{what}");
                assert_eq!(reply.field("location"), location, "{what}");
            }
        }
        if reply.status == StatusCode::OK {
            let kind = reply.field("content-type");
            assert!(kind.starts_with("text/html"), "{what}");
            assert!(browser.cookie("csrf_token_P80").is_some(), "{what}");
        }
    }
}

#[tokio::test]
async fn a_password_typed_long_ago_is_asked_for_once_more() {
    let bench = host().await;
    let mut bob = browser_of(&bench, "bob").await;
    bench.clock.advance(Duration::from_secs(301));
    let (open, _) = ask(&bench, None);
    let open = format!("/plugin/appkeys/auth/{open}");
    let reply = bob.get(&open).await;
    assert_eq!(reply.status, StatusCode::FOUND);
    let location = sign_in(&format!("{open}?"), "&reauthenticate=true&user_id=bob");
    assert_eq!(reply.field("location"), location);
}

#[tokio::test]
async fn the_dialog_names_app_and_address_and_runs_nothing_of_an_apps_name() {
    let bench = host().await;
    let mut bob = browser_of(&bench, "bob").await;
    let app = AppName::cleaned("<script>alert(1)</script>").unwrap();
    let requests = &bench.authority.key_requests;
    let token = requests.ask(app, None, [192, 168, 1, 40].into()).unwrap();
    let path = format!("/plugin/appkeys/auth/{}", token.expose());
    let shown = bob
        .get(&format!("{path}?redirect=javascript:alert(1)"))
        .await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(!shown.text.contains("<script>alert"));
    assert!(shown.text.contains("alert(1)") && shown.text.contains("192.168.1.40"));
    assert!(!shown.text.contains("javascript:alert"));
    assert!(
        shown
            .field("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
}

#[tokio::test]
async fn a_key_opens_the_dialog_without_a_sign_in() {
    let bench = host().await;
    let mut app = Caller::new(&bench, Who::BobsFullKey).await;
    let (open, _) = ask(&bench, None);
    let path = format!("/plugin/appkeys/auth/{open}");
    assert_eq!(
        app.send("GET", &path, Sent::Nothing).await.status,
        StatusCode::OK
    );
}
