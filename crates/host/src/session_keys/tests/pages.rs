//! The administrator's pages about registered apps.

use super::*;
use crate::sessions::tests::{Browser, PASSWORD};

async fn with_ann() -> Bench {
    let bench = bench().await;
    let users = &bench.authority.users;
    let admins = latchkey_model::user::Group::Admins;
    users.add("ann", PASSWORD, admins).await.unwrap();
    bench
}

async fn submit(browser: &mut Browser<'_>, path: &str, fields: &[(&str, &str)]) -> Reply {
    let token = browser.csrf();
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields).append_pair("csrf_token", &token);
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    browser.send("POST", path, &kind, &body.finish()).await
}

#[tokio::test]
async fn an_app_is_registered_signs_in_and_is_removed() {
    let bench = with_ann().await;
    let mut browser = bench.signed_in("ann").await;
    // As it is pasted from a mail.
    let pasted = format!("  {}\n{} ", &PUBKEY[..40], &PUBKEY[40..]);
    let fields = [
        ("name", "com.example.my_octoprint_app:5"),
        ("pubkey", &*pasted),
        ("scope", "view"),
        ("allow_weak_keys", "true"),
    ];
    let reply = submit(&mut browser, "/latchkey/apps", &fields).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text);
    let list = browser.send("GET", reply.field("location"), &[], "").await;
    assert!(list.text.contains("is registered") && list.text.contains("Weak key: 512 bits"));
    let key = verified(&bench, "5").await;
    let page = "/latchkey/apps/com%2Eexample%2Emy%5Foctoprint%5Fapp%3A5";
    let shown = browser.send("GET", page, &[], "").await;
    for word in [
        "SHA256:",
        "512 bits",
        "Watch only",
        "Signed in",
        "minutes left",
    ] {
        assert!(shown.text.contains(word), "{word}");
    }
    assert!(!shown.text.contains(&key));

    let reply = submit(&mut browser, &format!("{page}/remove"), &[]).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert!(!is_good(&bench, &key).await);
    let again = submit(&mut browser, &format!("{page}/remove"), &[]).await;
    assert_eq!(again.field("location"), "/latchkey/apps");
    assert_eq!(
        browser.send("GET", page, &[], "").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn what_cannot_be_registered_is_told_and_stays_in_the_form() {
    let bench = with_ann().await;
    let mut browser = bench.signed_in("ann").await;
    for (name, pubkey, scope, allow, said) in [
        (
            "no-version",
            PUBKEY,
            "full",
            "true",
            "needs the form id:version",
        ),
        ("x:1", "", "full", "true", "public key is missing"),
        ("x:1", "AAAA", "full", "true", "cannot be read"),
        (
            "x:1",
            "-----BEGIN RSA PUBLIC KEY-----",
            "full",
            "true",
            "without BEGIN",
        ),
        (
            "x:1",
            PUBKEY,
            "full",
            "",
            "has 512 bits. Anybody can break that",
        ),
        (
            "x:1",
            PUBKEY,
            "admin",
            "true",
            "needs a key of 2048 bits or more",
        ),
        (
            "com.example.my_octoprint_app:1.0",
            PUBKEY,
            "full",
            "true",
            "registered already",
        ),
    ] {
        let fields = [
            ("name", name),
            ("pubkey", pubkey),
            ("scope", scope),
            ("allow_weak_keys", allow),
        ];
        let reply = submit(&mut browser, "/latchkey/apps", &fields).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name} {said}");
        assert!(reply.text.contains(said), "{said}");
        assert!(reply.text.contains(&format!("value=\"{name}\"")), "{name}");
    }
    let kept = bench.authority.store.session_apps().list().await.unwrap();
    assert_eq!(kept, []);
}

#[tokio::test]
async fn an_app_of_a_file_is_switched_and_not_removed() {
    let bench = with_ann().await;
    let mut browser = bench.signed_in("ann").await;
    let key = verified(&bench, "1.0").await;
    let page = "/latchkey/apps/com%2Eexample%2Emy_octoprint_app%3A1%2E0";
    let reply = submit(&mut browser, &format!("{page}/disable"), &[]).await;
    assert_eq!(reply.field("location"), format!("{page}?changed=off"));
    assert!(!is_good(&bench, &key).await);
    let shown = browser.send("GET", reply.field("location"), &[], "").await;
    assert!(shown.text.contains("Switched off") && shown.text.contains("Ended early"));
    assert!(!shown.text.contains("/remove"));
    let asked = browser
        .send("GET", &format!("{page}/remove"), &[], "")
        .await;
    assert_eq!(asked.status, StatusCode::NOT_FOUND);
    submit(&mut browser, &format!("{page}/remove"), &[]).await;
    let reply = submit(&mut browser, &format!("{page}/enable"), &[]).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    verified(&bench, "1.0").await;
    for action in ["enable", "disable"] {
        let nobodys = format!("/latchkey/apps/nobodys%3A1/{action}");
        let reply = submit(&mut browser, &nobodys, &[]).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
    }
}
