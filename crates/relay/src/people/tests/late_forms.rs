//! Forms that come after their session.

use crate::tests::Bench;

/// Somebody with everything that forms change, and all these forms with the pages they are on.
struct Scene {
    forms: Vec<(String, String)>,
    bench: Bench,
}

impl Scene {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let ann = bench.administrator("ann@example.com").await;
        let bob = bench.account("bob@example.com").await;
        let printer = bench.printer(&ann, "Voron").await;
        let app = bench.app_connection(&ann, &printer, "Fieldglass").await;
        bench.share(&printer, &bob).await;
        let at = format!("/printers/{}", printer.id);
        let account = format!("/admin/accounts/{}", bob.id);
        let revoke = format!("/app-connections/{}/revoke", app.id);
        let mut forms = vec![
            (revoke.clone(), revoke),
            ("/join".to_owned(), "/join?code=".to_owned()),
            ("/account/delete".to_owned(), "/account/delete".to_owned()),
        ];
        for (form, back) in [
            ("/rename", ""),
            ("/remove", "/remove"),
            ("/revoke-all", "/revoke-all"),
            ("/invite", "/invite"),
            ("/invite/withdraw", ""),
            ("/swap", "/swap"),
            (&*format!("/members/{}/remove", bob.id), ""),
        ] {
            forms.push((format!("{at}{form}"), format!("{at}{back}")));
        }
        for form in [
            "password",
            "address",
            "confirm-address",
            "end-session",
            "end-others",
        ] {
            forms.push((format!("/account/{form}"), "/account".to_owned()));
        }
        for form in ["find", "invitations", "invitations/withdraw"] {
            forms.push((format!("/admin/{form}"), "/admin".to_owned()));
        }
        for form in ["plan", "suspend", "unsuspend", "administrator"] {
            forms.push((format!("{account}/{form}"), account.clone()));
        }
        let remove = format!("{account}/remove");
        forms.push((remove.clone(), remove));
        Self { forms, bench }
    }

    /// All that the forms would change.
    async fn state(&self) -> String {
        let store = self.bench.store();
        let mut accounts = Vec::new();
        let kept = store.accounts();
        for account in kept.list(None, 10).await.unwrap() {
            let printers = store.members().list_used(&account.id).await.unwrap();
            let hash = kept
                .find_password_hash(&account.id)
                .await
                .unwrap()
                .unwrap()
                .expose()
                .to_owned();
            accounts.push(format!("{account:?} {hash} {printers:?}"));
        }
        accounts.join("\n")
    }
}

const FIELDS: [(&str, &str); 10] = [
    ("name", "Stolen"),
    ("email", "eve@example.com"),
    ("reason", "because"),
    ("plan", "free"),
    ("administrator", "true"),
    ("old", crate::tests::PASSWORD),
    ("password", "another-long-password"),
    ("again", "another-long-password"),
    ("invitation", "x"),
    ("code", ""),
];

#[tokio::test]
async fn after_the_end_of_a_session_they_lead_to_the_sign_in_and_back_and_change_nothing() {
    let scene = Scene::new().await;
    let before = scene.state().await;
    let mut browser = scene.bench.browser();
    browser.sign_in("ann@example.com").await;
    browser.get("/account").await.is(200);
    browser.cookies.remove("__Host-lk_session");
    for (form, back) in &scene.forms {
        for token in [browser.token.clone(), "nonsense".to_owned()] {
            let answer = browser.post_with(&token, form, &FIELDS).await;
            let then = crate::pages::paths::with("/sign-in", "then", back);
            answer.leads_to(&then);
        }
    }
    browser.origin = "https://evil.example";
    for (form, _) in &scene.forms {
        browser.post(form, &FIELDS).await.is(403);
    }
    assert_eq!(scene.state().await, before);
}

#[tokio::test]
async fn in_another_session_they_are_shown_anew_and_change_nothing() {
    let scene = Scene::new().await;
    let before = scene.state().await;
    let mut browser = scene.bench.browser();
    browser.sign_in("ann@example.com").await;
    browser.get("/account").await.is(200);
    let old = browser.token.clone();
    browser.cookies.remove("__Host-lk_session");
    browser.sign_in("ann@example.com").await;
    browser.get("/account").await.is(200);
    for (form, back) in &scene.forms {
        browser.post_with(&old, form, &FIELDS).await.leads_to(back);
    }
    assert_eq!(scene.state().await, before);
    for (_, back) in &scene.forms {
        let page = browser.get(back).await;
        assert!([200, 404].contains(&page.status.as_u16()), "{back}");
        assert_eq!(page.status == 404, back == "/join?code=", "{back}");
    }
    browser.origin = "https://evil.example";
    for (form, _) in &scene.forms {
        browser.post_with(&old, form, &FIELDS).await.is(403);
    }
    assert_eq!(scene.state().await, before);
}

#[tokio::test]
async fn signing_out_after_the_end_of_a_session_forgets_it() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    browser.get("/account").await.is(200);
    let old = browser.token.clone();
    let sessions = bench.store().sessions();
    sessions.end_others(&ann.id, None).await.unwrap();
    browser.origin = "https://evil.example";
    browser.post("/sign-out", &[]).await.is(403);
    assert!(browser.cookies.contains_key("__Host-lk_session"));
    browser.origin = "https://relay.example.net";
    browser.post("/sign-out", &[]).await.leads_to("/sign-in");
    assert!(!browser.cookies.contains_key("__Host-lk_session"));
    // A page of before does not sign out who signed in since.
    browser.sign_in("ann@example.com").await;
    browser.get("/account").await.is(200);
    let answer = browser.post_with(&old, "/sign-out", &[]).await;
    answer.leads_to("/printers");
    browser.post_with("x", "/sign-out", &[]).await.is(403);
    browser.get("/account").await.is(200);
    browser.post("/sign-out", &[]).await.leads_to("/sign-in");
    assert!(sessions.list_of(&ann.id).await.unwrap().is_empty());
}
