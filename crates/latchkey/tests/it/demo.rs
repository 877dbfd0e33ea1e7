//! The demo as a script meets it: one line of JSON, and everything in it works.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::harness::PATIENCE;
use crate::harness::demo::Demo;
use crate::harness::home::Browser;
use crate::harness::http::Request;
use crate::harness::stack::latchkey;

async fn status(request: Request) -> u16 {
    request.send().await.status().as_u16()
}

/// Runs a command to its end: exit code, and all it wrote.
async fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = timeout(PATIENCE * 3, latchkey().args(arguments).output()).await;
    let output = output.expect("it ends").unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    text.push_str(&String::from_utf8(output.stderr).unwrap());
    (output.status.code(), text)
}

#[tokio::test]
async fn demo_prints_what_a_script_needs_and_each_access_mode_works_accordingly() {
    let data = TempDir::new().unwrap();
    let demo = Demo::start(data.path()).await;
    assert!(demo.text("relay_url").starts_with("http://localhost:"));
    assert_eq!(
        demo.text("relay_url"),
        format!("http://{}", demo.text("connection_domain"))
    );
    assert_eq!(status(Request::get(demo.text("relay_url"))).await, 200);
    let at_host = |path: &str| Request::get(format!("{}{path}", demo.text("host_url")));
    assert_eq!(status(at_host("/login/")).await, 200);
    assert_eq!(status(at_host("/api/version")).await, 403);
    assert_eq!(status(Request::get(demo.text("sim_url"))).await, 200);
    assert!(!demo.text("printer_id").is_empty());
    for member in ["email", "password"] {
        assert!(demo.facts["account"][member].is_string(), "{}", demo.facts);
    }
    let users = demo.facts["host_users"].as_array().unwrap();
    let admins: Vec<_> = users.iter().map(|user| user["admin"].as_bool()).collect();
    assert_eq!(admins, [Some(true), Some(false)], "{users:?}");
    for user in users {
        let mut browser = Browser::at(demo.text("host_url"));
        let (name, password) = (user["name"].as_str(), user["password"].as_str());
        let signed_in = browser.log_in(name.unwrap(), password.unwrap()).await;
        assert_eq!(signed_in.status, 200, "{signed_in:?}");
        assert_eq!(signed_in.json()["admin"], user["admin"]);
    }

    let modes: Vec<_> = demo
        .connections()
        .iter()
        .map(|one| one["access"].as_str().unwrap())
        .collect();
    assert_eq!(modes, ["none", "basic", "bearer", "enhanced"]);
    for connection in demo.connections() {
        let member = |name: &str| connection[name].as_str();
        let access = member("access").unwrap();
        let url = member("url").unwrap();
        assert!(
            url.ends_with(&format!(".{}", demo.text("connection_domain"))),
            "{url}"
        );
        assert!(
            member("id").is_some() && member("app_token").is_some(),
            "{connection}"
        );
        let asked = || Request::get(format!("{url}/api/version"));

        assert_eq!(
            status(asked()).await,
            if access == "none" { 200 } else { 606 },
            "{access}"
        );
        let pair = member("user").zip(member("password"));
        assert_eq!(
            pair.is_some(),
            matches!(access, "basic" | "enhanced"),
            "{access}"
        );
        if let Some((user, password)) = pair {
            assert_eq!(status(asked().basic(user, password)).await, 200, "{access}");
            assert_eq!(status(asked().basic(user, "wrong")).await, 606, "{access}");
            assert_eq!(status(asked().bearer(password)).await, 606, "{access}");
        }
        let token = member("bearer");
        assert_eq!(
            token.is_some(),
            matches!(access, "bearer" | "enhanced"),
            "{access}"
        );
        if let Some(token) = token {
            assert_eq!(status(asked().bearer(token)).await, 200, "{access}");
            assert_eq!(status(asked().bearer("wrong")).await, 606, "{access}");
            assert_eq!(status(asked().basic("", token)).await, 606, "{access}");
        }
    }
    demo.stop().await;
}

#[tokio::test]
async fn second_start_keeps_everything_but_the_ports() {
    let data = TempDir::new().unwrap();
    let first = Demo::start(data.path()).await;
    let file = data.path().join("demo.json");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, first.facts);
    let before = first.facts.clone();
    first.stop().await;

    let second = Demo::start(data.path()).await;
    for member in ["account", "host_users", "printer_id"] {
        assert_eq!(second.facts[member], before[member], "{member}");
    }
    let earlier = before["app_connections"].as_array().unwrap();
    assert_eq!(second.connections().len(), earlier.len());
    for (now, earlier) in second.connections().into_iter().zip(earlier) {
        let label = |one: &Value| {
            one["url"]
                .as_str()
                .unwrap()
                .split('.')
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(label(now), label(earlier));
        for member in ["access", "id", "user", "password", "bearer", "app_token"] {
            assert_eq!(now[member], earlier[member], "{member}");
        }
        let asked = Request::get(format!("{}/api/version", now["url"].as_str().unwrap()));
        let asked = match (
            now["bearer"].as_str(),
            now["user"].as_str(),
            now["password"].as_str(),
        ) {
            (Some(token), _, _) => asked.bearer(token),
            (None, Some(user), Some(password)) => asked.basic(user, password),
            _ => asked,
        };
        assert_eq!(status(asked).await, 200, "{now}");
    }
    second.stop().await;
}

#[tokio::test]
async fn configuration_of_a_running_demo_is_checked_and_examined() {
    let data = TempDir::new().unwrap();
    let demo = Demo::start(data.path()).await;
    for role in ["host", "relay"] {
        let file = data.path().join(format!("{role}.yaml"));
        let file = file.to_str().unwrap();
        let (code, said) = run(&["config", "check", file]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(role), "{said}");
        let (code, shown) = run(&["config", "show", file]).await;
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains("drain_seconds"), "{shown}");
        let (code, said) = run(&["doctor", "--config", file]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("Nothing is wrong"), "{said}");

        let good = std::fs::read_to_string(file).unwrap();
        let broken = data.path().join(format!("broken-{role}.yaml"));
        std::fs::write(&broken, format!("{good}\nlisten_on: 127.0.0.1:1\n")).unwrap();
        let broken = broken.to_str().unwrap();
        for arguments in [
            &["config", "check", broken][..],
            &[role, "--config", broken],
        ] {
            let (code, said) = run(arguments).await;
            assert_eq!(code, Some(2), "{said}");
            assert!(
                said.contains("listen_on") && said.contains(broken),
                "{said}"
            );
        }
    }
    demo.stop().await;
    // The doctor says what is missing once it is.
    let file = data.path().join("host.yaml");
    let (code, said) = run(&["doctor", "--config", file.to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("try: "), "{said}");
    let (code, said) = run(&["host", "--config", "/nonexistent/host.yaml"]).await;
    assert_eq!(code, Some(2), "{said}");
}
