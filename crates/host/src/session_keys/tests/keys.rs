//! What a verified key is good for, and what ends it.

use std::time::Duration;

use futures_util::FutureExt as _;
use latchkey_store::host::SessionKeyOutcome;

use super::*;
use crate::authority::endings::Holder;
use crate::push::Listeners;
use crate::service::Door;

fn keys_of(bench: &Bench) -> &crate::session_keys::SessionKeys {
    &bench.authority.session_keys
}

/// Waits for the end of what is open in a key's name.
fn opened(bench: &Bench, key: &str) -> crate::authority::endings::Hold {
    let found = keys_of(bench).find(key).unwrap();
    let endings = &bench.authority.endings;
    endings.hold(Holder::SessionKey(found.id.clone()))
}

#[tokio::test]
async fn it_acts_as_the_api_user_with_the_rights_of_its_scope() {
    let bench = bench().await;
    let ask = async |key: &str| {
        let fields = [("x-api-key", key)];
        let request = request("GET", "/api/currentuser", &fields, "");
        bench.ask(request, &at_home()).await.json()
    };
    for (version, groups) in [("1.0", json!(["users"])), ("view", json!(["readonly"]))] {
        let key = verified(&bench, version).await;
        let told = ask(&key).await;
        assert_eq!((&told["name"], &told["groups"]), (&json!("_api"), &groups));
        let permissions = told["permissions"].as_array().unwrap();
        assert!(!permissions.contains(&json!("PLUGIN_APPKEYS_GRANT")));
        assert_eq!(permissions.contains(&json!("PRINT")), version == "1.0");
    }
    let unverified = unverified(&bench).await;
    assert_eq!(ask(&unverified).await["name"], Value::Null);
}

/// In each place where a key may stand.
#[tokio::test]
async fn it_is_taken_wherever_a_key_is() {
    let bench = bench().await;
    let key = verified(&bench, "1.0").await;
    let bearer = format!("Bearer {key}");
    for (path, field) in [
        (format!("/api/currentuser?apikey={key}"), None),
        ("/api/currentuser".to_owned(), Some(("x-api-key", &*key))),
        (
            "/api/currentuser".to_owned(),
            Some(("authorization", &*bearer)),
        ),
    ] {
        let fields: Vec<_> = field.into_iter().collect();
        let inbound = at_home();
        let reply = bench.ask(request("GET", &path, &fields, ""), &inbound);
        assert_eq!(reply.await.json()["name"], "_api", "{fields:?}");
    }
}

#[tokio::test]
async fn a_passive_login_introduces_it_to_the_push_socket_until_it_ends() {
    let bench = bench().await;
    let key = verified(&bench, "1.0").await;
    let fields = [("x-api-key", &*key), ("content-type", "application/json")];
    let login = request("POST", "/api/login", &fields, r#"{"passive":true}"#);
    let told = bench.ask(login, &at_home()).await.json();
    assert_eq!(told["name"], "_api");
    let session = told["session"].as_str().unwrap();
    let listener = Listeners::identify(&bench.authority, "_api", session, &Door::Lan)
        .await
        .unwrap();
    assert!(!listener.sees_requests && listener.receives_upstream);
    assert!(
        Listeners::identify(&bench.authority, "ann", session, &Door::Lan)
            .await
            .is_none()
    );
    keys_of(&bench).set_files(FileApps::default()).await;
    assert!(listener.hold.ended().is_cancelled());
    assert!(
        Listeners::identify(&bench.authority, "_api", session, &Door::Lan)
            .await
            .is_none()
    );
}

#[tokio::test]
async fn it_ends_after_two_hours_with_what_it_has_open() {
    let bench = bench().await;
    let key = verified(&bench, "1.0").await;
    let hold = opened(&bench, &key);
    bench.clock.advance(Duration::from_secs(7199));
    assert!(is_good(&bench, &key).await);
    bench.clock.advance(Duration::from_secs(1));
    assert!(!is_good(&bench, &key).await);
    let stop = tokio_util::sync::CancellationToken::new();
    let watching = keys_of(&bench).clone().watch(stop.clone());
    tokio::select! {
        () = watching => panic!("it watches until it is stopped"),
        () = hold.until_ended() => {}
    }
}

#[tokio::test]
async fn a_registration_that_changes_ends_its_keys_and_no_others() {
    for (what, files) in [
        ("gone", files([app("view", |_| {})])),
        ("off", files([app("1.0", |app| app.enabled = false)])),
        (
            "another scope",
            files([app("1.0", |app| app.scope = SessionScope::View)]),
        ),
        (
            "no leave any more",
            files([app("1.0", |app| app.allow_weak_keys = false)]),
        ),
    ] {
        let bench = bench().await;
        let (key, other) = (verified(&bench, "1.0").await, verified(&bench, "any").await);
        let (hold, others) = (opened(&bench, &key), opened(&bench, &other));
        let mut files = files;
        files
            .entries
            .extend(self::files([app("any", |_| {})]).entries);
        keys_of(&bench).set_files(files).await;
        assert!(!is_good(&bench, &key).await, "{what}");
        assert!(hold.ended().is_cancelled(), "{what}");
        assert!(is_good(&bench, &other).await, "{what}");
        assert!(!others.ended().is_cancelled(), "{what}");
        let log = keys_of(&bench).history(None, 10).await.unwrap();
        let ended: Vec<_> = log.iter().filter(|entry| entry.ended.is_some()).collect();
        assert_eq!(ended.len(), 1, "{what}");
        assert_eq!(ended[0].app.version(), "1.0");
    }
    // The same words again, and a change elsewhere.
    let bench = bench().await;
    let key = verified(&bench, "1.0").await;
    let mut same = all_kinds();
    same.entries.remove(1);
    keys_of(&bench).set_files(same).await;
    assert!(is_good(&bench, &key).await);
}

#[tokio::test]
async fn switching_off_ends_keys_and_holds_over_a_restart() {
    let bench = bench().await;
    let key = verified(&bench, "1.0").await;
    let name = SessionAppName::asked(ID, Some("1.0"));
    assert!(keys_of(&bench).switch(&name, false, "ann").await.unwrap());
    assert!(!is_good(&bench, &key).await);
    let waiting = unverified(&bench).await;
    let reply = post(&bench, &claim("1.0", &waiting)).await;
    assert_eq!(reply.text, format!("Invalid app: {name}"));
    let again = crate::session_keys::SessionKeys::new(crate::session_keys::SessionKeysParts {
        store: Some(bench.authority.store.clone()),
        files: all_kinds(),
        endings: crate::authority::endings::Endings::default(),
        clock: std::sync::Arc::new(bench.clock.clone()),
        chance: std::sync::Arc::new(latchkey_model::chance::SystemChance),
        tracker: tokio_util::task::TaskTracker::new(),
    });
    again.load().await.unwrap();
    let registered = again.registered();
    assert!(registered.find(&name).unwrap().app.usable().is_err());
    assert!(again.switch(&name, true, "ann").await.unwrap());
    assert!(again.registered().find(&name).unwrap().app.usable().is_ok());
}

/// A browser that goes away in the middle of a change must not leave half of it.
#[tokio::test]
async fn a_change_is_made_to_its_end_though_nobody_waits_for_it() {
    let bench = bench().await;
    let key = verified(&bench, "1.0").await;
    let name = SessionAppName::asked(ID, Some("1.0"));
    let switching = keys_of(&bench).switch(&name, false, "ann");
    assert!(switching.now_or_never().is_none(), "it takes a while");
    let ended = async {
        while is_good(&bench, &key).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended)
        .await
        .expect("the switch is made");
    let waiting = unverified(&bench).await;
    let claimed = post(&bench, &claim("1.0", &waiting)).await;
    assert_eq!(claimed.status, StatusCode::UNAUTHORIZED);
}

/// What another change wrote and could not read back counts a little later.
#[tokio::test]
async fn what_is_kept_counts_before_long() {
    let bench = bench().await;
    let key = verified(&bench, "1.0").await;
    let name = SessionAppName::asked(ID, Some("1.0"));
    let switch = latchkey_store::host::SessionAppSwitch {
        name,
        enabled: false,
        wording: [0; 32],
        at: bench.clock.now(),
        by: "ann".to_owned(),
    };
    let store = &bench.authority.store;
    store.session_apps().switch(&switch).await.unwrap();
    assert!(is_good(&bench, &key).await);
    let hold = opened(&bench, &key);
    keys_of(&bench).catch_up().await;
    assert!(hold.ended().is_cancelled());
    assert!(!is_good(&bench, &key).await);
}

#[tokio::test]
async fn what_is_done_is_in_the_log_with_app_and_version() {
    let bench = bench().await;
    let key = verified(&bench, "1.0").await;
    for _ in 0..3 {
        assert!(is_good(&bench, &key).await);
    }
    let waiting = unverified(&bench).await;
    for _ in 0..4 {
        let mut wrong = claim("1.0", &waiting);
        wrong["_sig"] = json!("AAAA");
        post(&bench, &wrong).await;
    }
    post(&bench, &claim("0.9", &waiting)).await;
    post(&bench, &claim("1.0", &waiting)).await;
    // Nobody's app: what strangers call themselves is kept nowhere.
    post(&bench, &claim("7.7", &waiting)).await;
    let log = keys_of(&bench).history(None, 10).await.unwrap();
    let mut told: Vec<_> = log
        .iter()
        .map(|entry| {
            let what = match entry.outcome {
                SessionKeyOutcome::Verified { scope, .. } => scope.as_str(),
                SessionKeyOutcome::Refused(why) => why.as_str(),
            };
            (what, entry.app.to_string(), entry.requests)
        })
        .collect();
    told.sort();
    let app = |version: &str| format!("{ID}:{version}");
    assert_eq!(
        told,
        [
            ("full", app("1.0"), 3),
            ("key", app("1.0"), 1),
            ("signature", app("1.0"), 4),
            ("unusable", app("0.9"), 1),
        ]
    );
    let used = log.iter().find(|entry| entry.requests == 3).unwrap();
    assert_eq!(used.network, "192.168.1.0/24");
    assert_eq!(used.last_use.as_ref().unwrap().1, "192.168.1.0/24");
}

#[test]
fn the_key_of_the_documentation_is_what_is_signed_with() {
    let der = private_key().to_public_key().to_pkcs1_der().unwrap();
    assert_eq!(BASE64.encode(der.as_bytes()), PUBKEY);
}
