//! The three calls of the App API, through the real routes.

use latchkey_store::relay::AuditFilter;
use serde_json::{Value, json};

use super::receiver::{Reaction, Receiver};
use super::*;

const SET: &str = "/api/appconnection/SetNotificationWebhook";
const DELETE: &str = "/api/appconnection/DeleteNotificationWebhook";
const TEST: &str = "/api/appconnection/TestWebhook";

impl Scene {
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let token = self.credentials.app_token.expose();
        self.bench.ask_app_api(method, path, token, body).await
    }

    async fn set_at(&self, url: &str) -> (u16, Value) {
        let body = json!({ "WebhookUrl": url }).to_string();
        self.ask("POST", SET, &body).await
    }
}

#[tokio::test]
async fn an_app_sets_tests_and_deletes_its_webhook() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[Reaction::Status(204)]).await;
    let (status, answer) = scene.ask("GET", TEST, "").await;
    assert_eq!((status, &answer["Status"]), (400, &json!(400)));
    let (status, answer) = scene.set_at(&receiver.url).await;
    assert_eq!(status, 200, "{answer}");
    let secret = answer["Result"]["SecretKey"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("lk_hook_"));
    assert_eq!(answer["SecretKey"], secret, "repeated at the top");
    let until = scene.clock().now().plus(LIFE);
    let until = latchkey_web::moment::Moment {
        at: until,
        now: until,
    }
    .exact();
    assert_eq!(answer["Result"]["ExpiresUtc"], until);
    let (status, answer) = scene.ask("GET", TEST, "").await;
    assert_eq!(
        (status, &answer["Result"]),
        (200, &json!({"StatusCode": 204}))
    );
    let told = receiver.call().await;
    assert_eq!(
        (&told["EventType"], &told["SecretKey"]),
        (&json!(16), &json!(secret))
    );
    // The same address has the same secret; another address gets another.
    let (_, answer) = scene.set_at(&receiver.url).await;
    assert_eq!(answer["SecretKey"], secret);
    let (_, answer) = scene.set_at("http://127.0.0.1:1025/hook").await;
    assert_ne!(answer["SecretKey"], secret);
    let (status, answer) = scene.ask("GET", TEST, "").await;
    let none = json!({"StatusCode": 0, "Failure": "connection_failed"});
    assert_eq!((status, &answer["Result"]), (200, &none));
    for _ in 0..2 {
        let (status, answer) = scene.ask("POST", DELETE, "").await;
        assert_eq!((status, &answer["Result"]), (200, &json!({})));
        assert_eq!(scene.webhook().await, None);
    }
    // HEAD may have no effect, and this call has.
    let (status, _) = scene.ask("HEAD", TEST, "").await;
    assert_eq!(status, 405);
    assert_eq!(scene.ask("GET", SET, "").await.0, 405);
    assert!(receiver.is_quiet());
}

#[tokio::test]
async fn a_wish_that_cannot_be_met_is_400_and_changes_nothing() {
    let scene = Scene::new().await;
    let receiver = Receiver::start(&[]).await;
    scene.set(&receiver).await;
    let kept = scene.webhook().await;
    for url in [
        "",
        "receiver.example",
        "ftp://receiver.example/",
        "https://10.0.0.1/",
        "https://[::ffff:192.168.0.1]/",
        "https://me@receiver.example/",
        "https://receiver.example:25/",
    ] {
        let (status, answer) = scene.set_at(url).await;
        assert_eq!(status, 400, "{url}");
        assert_eq!(answer["IsUserError"], true);
        assert!(answer["Error"].as_str().unwrap().starts_with("WebhookUrl"));
    }
    assert_eq!(scene.ask("POST", SET, "no JSON").await.0, 400);
    assert_eq!(scene.webhook().await, kept);
}

#[tokio::test]
async fn only_a_live_app_connections_token_sets_anything() {
    let scene = Scene::new().await;
    let receiver = Receiver::start(&[]).await;
    let body = json!({ "WebhookUrl": receiver.url }).to_string();
    let calls = [("POST", SET), ("POST", DELETE), ("GET", TEST)];
    let chance = &*scene.bench.chance;
    let strange = latchkey_model::secret::AppToken::generate(chance);
    for (method, path) in calls {
        let bench = &scene.bench;
        assert_eq!(bench.ask_app_api(method, path, "", &body).await.0, 400);
        let asked = bench
            .ask_app_api(method, path, strange.expose(), &body)
            .await;
        assert_eq!(asked.0, 603);
    }
    let (account, life) = (&scene.owner.id, &scene.bench.state.life);
    life.suspend(account, "because").await.unwrap();
    for (method, path) in calls {
        assert_eq!(scene.ask(method, path, &body).await.0, 605);
    }
    life.unsuspend(account).await.unwrap();
    life.revoke(account, &scene.connection.id).await.unwrap();
    for (method, path) in calls {
        assert_eq!(scene.ask(method, path, &body).await.0, 604);
    }
}

#[tokio::test]
async fn tests_are_not_for_calling_somebody_all_day() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[]).await;
    scene.set(&receiver).await;
    for _ in 0..10 {
        assert_eq!(scene.ask("GET", TEST, "").await.0, 200);
        receiver.call().await;
    }
    assert_eq!(scene.ask("GET", TEST, "").await.0, 429);
    assert!(receiver.is_quiet());
    let later = scene.clock().now().plus(Duration::from_mins(1));
    scene.clock().set(later);
    assert_eq!(scene.ask("GET", TEST, "").await.0, 200);
}

#[tokio::test]
async fn a_webhook_is_not_set_and_deleted_all_day_and_the_same_again_is_no_news() {
    let scene = Scene::new().await;
    let receiver = Receiver::start(&[]).await;
    let noted = async || {
        let filter = AuditFilter::default();
        let all = scene.bench.state.audit.list(&filter, 100).await.unwrap();
        let entries = all.iter().map(|record| &record.entry);
        let of_webhooks = entries.filter(|entry| entry.act.starts_with("webhook_"));
        of_webhooks.filter(|entry| entry.actor == "app").count()
    };
    for _ in 0..8 {
        assert_eq!(scene.set_at(&receiver.url).await.0, 200);
    }
    assert_eq!(noted().await, 1);
    let other = json!({ "WebhookUrl": receiver.url, "InclusiveEventTypesFilter": [2] });
    assert_eq!(scene.ask("POST", SET, &other.to_string()).await.0, 200);
    assert_eq!(scene.ask("POST", DELETE, "").await.0, 200);
    assert_eq!(noted().await, 3);
    let (status, answer) = scene.set_at(&receiver.url).await;
    assert_eq!(status, 429, "{answer}");
    assert_eq!(scene.ask("POST", DELETE, "").await.0, 429);
    assert_eq!(scene.webhook().await, None);
    let later = scene.clock().now().plus(Duration::from_mins(1));
    scene.clock().set(later);
    assert_eq!(scene.set_at(&receiver.url).await.0, 200);
}

#[tokio::test]
async fn neither_address_nor_secret_is_kept_in_the_clear() {
    let scene = Scene::new().await;
    let receiver = Receiver::start(&[]).await;
    let set = scene.set(&receiver).await;
    let kept = scene.webhook().await.unwrap();
    let all = format!("{kept:?} {:?} {set:?}", scene.hooks.receiver(&kept));
    assert!(!all.contains("planted") && !all.contains(set.secret.expose()));
    for secret in ["planted", "/hook", set.secret.expose()] {
        for sealed in [&kept.url, &kept.secret] {
            let found = sealed
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{secret}");
        }
    }
    assert_eq!(scene.hooks.receiver(&kept), "127.0.0.1");
}
