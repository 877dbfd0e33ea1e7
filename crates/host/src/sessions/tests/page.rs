//! `/login/`, and addresses behind a proxy.

use super::*;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn submit(browser: &mut Browser<'_>, user: &str, pass: &str, redirect: &str) -> Reply {
    let token = browser.csrf();
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("user", user),
        ("pass", pass),
        ("redirect", redirect),
        ("csrf_token", &token),
    ]);
    browser
        .send("POST", "/login/", &[FORM], &form.finish())
        .await
}

#[tokio::test]
async fn the_page_is_a_form_that_scripted_browsers_know() {
    let bench = Bench::new().await;
    for path in ["/login", "/login/"] {
        let mut browser = bench.browser();
        let reply = browser.get(path).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.field("content-type"), "text/html; charset=utf-8");
        for id in [
            "login-user",
            "login-password",
            "login-remember",
            "login-button",
        ] {
            assert!(reply.text.contains(&format!("id=\"{id}\"")), "{id}");
        }
        assert!(reply.text.contains(&browser.csrf()));
        let policy = reply.field("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"));
    }
}

#[tokio::test]
async fn signing_in_goes_on_to_known_pages_of_this_host_only() {
    let bench = Bench::new().await;
    for (redirect, target) in [
        ("", "/"),
        ("/", "/"),
        ("/latchkey/keys", "/latchkey/keys"),
        ("/plugin/appkeys/auth/abc?", "/plugin/appkeys/auth/abc?"),
        ("//evil.example/", "/"),
        ("http://evil.example/", "/"),
        ("/api/version", "/"),
    ] {
        let mut browser = bench.browser();
        browser.visit_login().await;
        let reply = submit(&mut browser, "ann", PASSWORD, redirect).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{redirect}");
        assert_eq!(reply.field("location"), target, "{redirect}");
        // Somebody signed in is led on at once.
        let path = contract_query(&[("redirect", redirect)]);
        let reply = browser.get(&path).await;
        assert_eq!(reply.status, StatusCode::FOUND, "{redirect}");
        assert_eq!(reply.field("location"), target, "{redirect}");
    }
}

#[tokio::test]
async fn somebody_signed_in_stays_where_more_is_needed() {
    let bench = Bench::new().await;
    let dialog = ("redirect", "/plugin/appkeys/auth/abc?");
    let grant = ("permissions", "PLUGIN_APPKEYS_GRANT");
    let again = ("reauthenticate", "true");
    for (user, minutes, query, status, text) in [
        ("bob", 0, vec![dialog, grant], 302, ""),
        ("rita", 0, vec![dialog, grant], 200, "may not decide"),
        ("bob", 0, vec![dialog, ("user_id", "ann")], 200, "readonly"),
        ("bob", 0, vec![dialog, ("user_id", "bob")], 302, ""),
        (
            "bob",
            6,
            vec![dialog, grant, again, ("user_id", "bob")],
            200,
            "Is it still you?",
        ),
        ("bob", 6, vec![dialog, grant], 302, ""),
        ("bob", 1, vec![dialog, again], 302, ""),
    ] {
        let mut browser = bench.signed_in(user).await;
        bench.clock.advance(MINUTE * minutes);
        let reply = browser.get(&contract_query(&query)).await;
        assert_eq!(reply.status.as_u16(), status, "{user} {query:?}");
        assert!(reply.text.contains(text), "{user} {query:?} {}", reply.text);
    }
}

#[tokio::test]
async fn a_wrong_form_comes_back_with_what_is_wrong() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.visit_login().await;
    let strange = browser.clone();
    for _ in 0..3 {
        let reply = submit(&mut browser, "ann", "wrong", "/latchkey/").await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert!(reply.text.contains("do not go together"));
        assert!(!reply.text.contains("wrong\""), "no password comes back");
    }
    let reply = submit(&mut browser, "ann", PASSWORD, "/latchkey/").await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(reply.text.contains("Try again in a minute"));
    let mut stale = strange.clone();
    stale.jar.clear();
    let reply = submit(&mut stale, "ann", PASSWORD, "").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(stale.cookie("session"), None);
    let token = strange.csrf();
    let body = format!("user=bob&pass={PASSWORD}&csrf_token={token}");
    let fields = [FORM, ("origin", "http://evil.example")];
    let mut foreign = strange.clone();
    let reply = foreign.send("POST", "/login/", &fields, &body).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert_eq!(foreign.cookie("session"), None);
}

#[tokio::test]
async fn behind_a_proxy_cookies_and_redirects_are_those_of_the_public_address() {
    let bench = Bench::new().await;
    let behind = Inbound {
        scheme: Scheme::Https,
        authority: "p.example".parse().unwrap(),
        prefix: "/octo".to_owned(),
        ..at_home()
    };
    let mut browser = Browser::new(&bench, behind.clone());
    let reply = browser.get("/login/?redirect=/octo/latchkey/keys").await;
    let cookie = reply.field("set-cookie");
    assert!(cookie.starts_with("csrf_token_P443_R|octo="), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/octo/; SameSite=Lax; Secure"),
        "{cookie}"
    );
    assert!(reply.text.contains("action=\"/octo/login/\""));
    let reply = submit(&mut browser, "ann", PASSWORD, "/octo/latchkey/keys").await;
    assert_eq!(reply.field("location"), "/octo/latchkey/keys");
    let session = browser.cookie("session_P443_R|octo").unwrap();
    assert_eq!(browser.who().await.as_deref(), Some("ann"));
    // The same cookie without a suffix counts, under another address's name it does not.
    for (name, user) in [("session", Some("ann")), ("session_P80", None)] {
        let mut other = Browser::new(&bench, behind.clone());
        other.jar.insert(name.to_owned(), session.clone());
        assert_eq!(other.who().await.as_deref(), user, "{name}");
    }
}

fn contract_query(pairs: &[(&str, &str)]) -> String {
    crate::contract::with_query("/login/", pairs)
}
