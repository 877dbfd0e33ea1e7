//! Keys and app connections beside and instead of a session.

use latchkey_net::tunnel::Ended;
use serde_json::json;

use super::*;
use crate::authority::caller::Caller;

async fn who(bench: &Bench, fields: &[(&str, &str)], path: &str) -> Value {
    let reply = bench
        .ask(request("GET", path, fields, ""), &at_home())
        .await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.field("set-cookie"), "", "keys get no cookie");
    reply.json()["name"].clone()
}

#[tokio::test]
async fn a_key_counts_in_its_three_places_and_the_first_decides() {
    let bench = Bench::new().await;
    let key = bench.key("bob", KeyScope::Full).await;
    let bearer = format!("Bearer {key}");
    let (plain, query) = ("/api/currentuser", format!("/api/currentuser?apikey={key}"));
    for (path, fields, name) in [
        (&*query, vec![], json!("bob")),
        (plain, vec![("x-api-key", &*key)], json!("bob")),
        (plain, vec![("authorization", &*bearer)], json!("bob")),
        (plain, vec![("x-api-key", "wrong")], json!(null)),
        (plain, vec![("x-api-key", "")], json!(null)),
        (
            plain,
            vec![("x-api-key", "wrong"), ("authorization", &*bearer)],
            json!(null),
        ),
        (
            "/api/currentuser?apikey=wrong",
            vec![("x-api-key", &*key)],
            json!(null),
        ),
    ] {
        assert_eq!(who(&bench, &fields, path).await, name, "{path} {fields:?}");
    }
}

#[tokio::test]
async fn a_cookies_login_wins_over_a_key_and_needs_the_token() {
    let bench = Bench::new().await;
    let key = bench.key("bob", KeyScope::Full).await;
    let mut browser = bench.signed_in("ann").await;
    let reply = browser
        .send("GET", "/api/currentuser", &[("x-api-key", &*key)], "")
        .await;
    assert_eq!(reply.json()["name"], "ann");
    let fields = [("x-api-key", &*key), ("content-type", "application/json")];
    let body = r#"{"passive":true}"#;
    let reply = browser.send("POST", "/api/login", &fields, body).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_key_signs_in_passively_without_a_token_in_json_and_in_a_form() {
    let bench = Bench::new().await;
    let key = bench.key("bob", KeyScope::Full).await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let in_form = format!("passive=true&apikey={key}");
    for (fields, body, status) in [
        (vec![form, ("x-api-key", &*key)], "passive=true", 200),
        (
            vec![("content-type", "application/json"), ("x-api-key", &*key)],
            r#"{"passive":true}"#,
            200,
        ),
        (vec![form], &*in_form, 200),
        (vec![form, ("x-api-key", "wrong")], &*in_form, 200),
        (
            vec![form, ("x-api-key", &*key)],
            "passive=true&apikey=wrong",
            400,
        ),
        (vec![form, ("x-api-key", "wrong")], "passive=true", 400),
    ] {
        let request = request("POST", "/api/login", &fields, body);
        let reply = bench.ask(request, &at_home()).await;
        assert_eq!(reply.status.as_u16(), status, "{fields:?} {body}");
        if status == 200 {
            let told = reply.json();
            assert_eq!(told["name"], "bob");
            assert_eq!(told["_login_mechanism"], "apikey");
            assert_eq!(reply.field("set-cookie"), "");
            let handle = told["session"].as_str().unwrap();
            let caller = bench.authority.sessions.identify_push("bob", handle).await;
            assert!(matches!(caller, Some(Caller::App(_))));
            let other = bench.authority.sessions.identify_push("ann", handle).await;
            assert!(other.is_none());
        }
    }
}

#[tokio::test]
async fn a_key_of_an_inactive_user_names_them_and_does_no_more() {
    let bench = Bench::new().await;
    let key = bench.key("bob", KeyScope::Full).await;
    let fields = [("x-api-key", &*key)];
    bench
        .authority
        .users
        .set_active(&name("bob"), false)
        .await
        .unwrap();
    let reply = bench
        .ask(request("GET", "/api/currentuser", &fields, ""), &at_home())
        .await;
    let expected = json!({ "name": "bob", "permissions": [], "groups": ["users"] });
    assert_eq!(reply.json(), expected);
    for path in ["/api/plugin/appkeys", "/api/version"] {
        let reply = bench
            .ask(request("GET", path, &fields, ""), &at_home())
            .await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
    }
    let body = r#"{"passive":true}"#;
    let passive = [("x-api-key", &*key), ("content-type", "application/json")];
    let request = request("POST", "/api/login", &passive, body);
    let told = bench.ask(request, &at_home()).await.json();
    assert_eq!(told.get("name"), None);
}

#[tokio::test]
async fn a_view_only_key_tells_that_it_may_look_only() {
    let bench = Bench::new().await;
    let key = bench.key("ann", KeyScope::View).await;
    let fields = [("x-api-key", &*key), ("content-type", "application/json")];
    let request = request("POST", "/api/login", &fields, r#"{"passive":true}"#);
    let told = bench.ask(request, &at_home()).await.json();
    assert_eq!(told["admin"], false);
    assert_eq!(told["groups"], json!(["readonly"]));
    let needs = told["needs"]["role"].as_array().unwrap();
    assert!(needs.contains(&json!("status")) && !needs.contains(&json!("print")));
}

#[tokio::test]
async fn an_app_connection_without_a_key_is_nobody_in_particular_and_may_not_let_apps_in() {
    let bench = Bench::new().await;
    let through = Inbound {
        door: Door::Tunnel {
            app_connection: Some("conn-1".to_owned()),
            scope: KeyScope::Full,
        },
        address: [203, 0, 113, 9].into(),
        scheme: Scheme::Https,
        authority: "app-x.printers.example".parse().unwrap(),
        ..at_home()
    };
    let json = ("content-type", "application/json");
    let body = r#"{"passive":true}"#;
    let reply = bench
        .ask(request("POST", "/api/login", &[json], body), &through)
        .await;
    assert_eq!(reply.status, StatusCode::OK);
    let told = reply.json();
    assert_eq!(
        (&told["name"], &told["admin"]),
        (&json!("_api"), &json!(false))
    );
    assert_eq!(told["groups"], json!(["users"]));
    let needs = told["needs"]["role"].as_array().unwrap();
    assert!(needs.contains(&json!("print")));
    assert!(!needs.contains(&json!("plugin_appkeys_user")));
    let handle = told["session"].as_str().unwrap();
    let sessions = &bench.authority.sessions;
    // It is good while the relay lets the app connection in, as far as the host knows.
    let connections = &bench.authority.app_connections;
    assert!(sessions.identify_push("_api", handle).await.is_none());
    connections.note("conn-1");
    let caller = sessions.identify_push("_api", handle).await;
    assert!(matches!(caller, Some(Caller::AppConnection(id, KeyScope::Full)) if id == "conn-1"));
    connections.hear(Ended::These(vec!["conn-1".to_owned()]));
    assert!(sessions.identify_push("_api", handle).await.is_none());

    let watching = Inbound {
        door: Door::Tunnel {
            app_connection: Some("conn-2".to_owned()),
            scope: KeyScope::View,
        },
        ..through.clone()
    };
    let reply = bench
        .ask(request("POST", "/api/login", &[json], body), &watching)
        .await;
    assert_eq!(reply.json()["groups"], json!(["readonly"]));

    // A key is looked at first, and a wrong one makes its sender a guest there too. An empty one is
    // what apps send that were given none.
    let key = bench.key("bob", KeyScope::Full).await;
    for (key, name) in [
        (&*key, json!("bob")),
        ("wrong", json!(null)),
        ("", json!("_api")),
    ] {
        let fields = [("x-api-key", key)];
        let request = request("GET", "/api/currentuser", &fields, "");
        assert_eq!(bench.ask(request, &through).await.json()["name"], name);
    }
    let request = request("POST", "/api/login", &[json, ("x-api-key", "wrong")], body);
    assert_eq!(bench.ask(request, &through).await.status, 400);
}
