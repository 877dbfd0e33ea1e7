//! A host that loses its power at any moment loses no key that an app was given, and brings no revoked one back.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use latchkey_model::chance::{Chance as _, SeededChance};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::home::{ANN, BOB, Home};
use crate::harness::http::Request;

const KILLS: usize = 200;
/// By then every step of a round has been taken at least now and then.
const LATEST_KILL: Duration = Duration::from_millis(120);

/// What the test was told of the keys it has seen, by their text.
#[derive(Default)]
struct Known {
    /// An app was given it, and nothing else was heard.
    given: BTreeMap<String, String>,
    /// Its revocation was acknowledged.
    revoked: Vec<String>,
    /// Its revocation was asked for and never answered.
    in_doubt: Vec<String>,
    rounds: usize,
}

#[tokio::test]
async fn no_key_is_lost_and_no_revoked_key_comes_back_over_200_kills() {
    let mut home = Home::prepare("http://127.0.0.1:9", "nobody-is-there").await;
    home.start_host().await;
    let admin = home.key(ANN, "The test itself").await;
    let owner = home.key(BOB, "The owner").await;
    let base = home.url("");
    let chance = SeededChance::new(41);
    let mut known = Known::default();
    for kill in 0..KILLS {
        let mut byte = [0; 2];
        chance.fill(&mut byte);
        let at = LATEST_KILL.mul_f64(f64::from(u16::from_le_bytes(byte)) / 65_535.0);
        {
            let round = work(&base, &owner, &mut known, kill);
            tokio::pin!(round);
            let _ = timeout(at, &mut round).await;
            // Killed in the middle of whatever is going on; the round sees its connection end.
            home.host.kill().await;
            let _ = timeout(Duration::from_secs(5), round).await;
        }
        home.start_host().await;
        if kill % 20 == 19 {
            check(&base, &known).await;
        }
    }
    check(&base, &known).await;
    let me = who(&base, &admin).await;
    assert_eq!(me["name"], ANN.name);
    println!(
        "{KILLS} kills: {} keys given and kept, {} revoked, {} revocations in doubt, {} whole rounds",
        known.given.len(),
        known.revoked.len(),
        known.in_doubt.len(),
        known.rounds,
    );
    assert!(
        known.given.len() >= 10 && known.revoked.len() >= 10,
        "the kills came too early to show anything"
    );
}

/// Key requests, decisions, fetches and revocations, one after the other, until the host is gone.
async fn work(base: &str, owner: &str, known: &mut Known, kill: usize) {
    for turn in 0.. {
        let app = format!("App {kill}-{turn}");
        let address = format!("10.{}.{}.{}", kill % 250 + 1, turn / 250, turn % 250 + 1);
        let Some(key) = obtain(base, owner, &app, &address).await else {
            return;
        };
        known.given.insert(key.clone(), app.clone());
        if turn % 2 == 1 {
            // In doubt from the moment at which it is asked for.
            known.given.remove(&key);
            known.in_doubt.push(key.clone());
            let command = json!({"command": "revoke", "app": app});
            let asked = Request::post(format!("{base}/api/plugin/appkeys")).json(&command);
            let Some(answer) = status(asked.header("X-Api-Key", owner)).await else {
                return;
            };
            assert_eq!(answer, StatusCode::NO_CONTENT);
            known.in_doubt.pop();
            known.revoked.push(key);
        }
        known.rounds += 1;
    }
}

/// The whole workflow; `None` when the host went away meanwhile.
async fn obtain(base: &str, owner: &str, app: &str, address: &str) -> Option<String> {
    let asked = Request::post(format!("{base}/plugin/appkeys/request")).json(&json!({"app": app}));
    let asked = answer(asked.header("X-Forwarded-For", address)).await?;
    let token = asked["app_token"].as_str().unwrap().to_owned();
    let list = Request::get(format!("{base}/api/plugin/appkeys")).header("X-Api-Key", owner);
    let list = answer(list).await?;
    let pending = list["pending"].as_object().unwrap();
    let (user_token, _) = pending.iter().find(|(_, entry)| entry["app_id"] == app)?;
    let decision = Request::post(format!("{base}/plugin/appkeys/decision/{user_token}"));
    let decision = decision.json(&json!({"decision": true}));
    status(decision.header("X-Api-Key", owner)).await?;
    let fetched = Request::get(format!("{base}/plugin/appkeys/request/{token}"));
    let fetched = answer(fetched).await?;
    Some(fetched["api_key"].as_str().unwrap().to_owned())
}

/// A whole answer; `None` for one that was cut off.
async fn answer(request: Request) -> Option<Value> {
    let mut answer = request.try_send().await.ok()?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).ok()
}

async fn status(request: Request) -> Option<StatusCode> {
    Some(request.try_send().await.ok()?.status())
}

async fn check(base: &str, known: &Known) {
    for (key, app) in &known.given {
        assert_eq!(
            who(base, key).await["name"],
            BOB.name,
            "the key of {app} is lost"
        );
    }
    for key in &known.revoked {
        assert!(
            who(base, key).await["name"].is_null(),
            "a revoked key is back"
        );
    }
}

async fn who(base: &str, key: &str) -> Value {
    let asked = Request::get(format!("{base}/api/currentuser")).header("X-Api-Key", key);
    asked.send().await.read().await.json()
}
