//! More than the relay is to carry at once, and one tenant's flood beside others (F-18, T-37).

use latchkey_model::account::{Account, Email};
use latchkey_model::app_connection::AccessMode;
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::id::AccountId;
use latchkey_relay::config::Admission;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{Server, ask, sent};
use crate::harness::http::Request;
use crate::harness::inproc::{Door, RunningRelay};
use crate::harness::raw::{RawConnection, RawResponse};
use crate::harness::stack::free_address;

const ADMISSION: Admission = Admission {
    max_concurrent: 12,
    max_concurrent_per_account: 8,
    max_concurrent_per_printer: 8,
    max_streams_per_caller: 192,
};

/// A printer of the relay's present account, whose host lets everything through.
async fn attach(relay: &RunningRelay) -> (Server, Door) {
    let server = Server::start().await;
    let door = relay.attach(server.at, AccessMode::Enhanced, |host| {
        host.upstream.load.max_concurrent = 64;
    });
    let door = door.await;
    (server, door)
}

/// Waits for all answers at once.
fn answers(callers: Vec<RawConnection>) -> JoinSet<RawResponse> {
    let read = async |mut caller: RawConnection| caller.read_response().await;
    callers.into_iter().map(read).collect()
}

/// The next so many answers tell that there is too much to do.
async fn refused(answers: &mut JoinSet<RawResponse>, count: usize) {
    for _ in 0..count {
        let told = answers.join_next().await.unwrap().unwrap();
        assert_eq!(told.status(), 503, "{told:?}");
        assert_eq!(told.field("retry-after"), Some("1"));
        let body: Value = serde_json::from_slice(&told.body).unwrap();
        assert_eq!(body["code"], "busy");
    }
}

/// All that are left are good ones. Says how many.
async fn answered(answers: JoinSet<RawResponse>) -> usize {
    let all = answers.join_all().await;
    assert!(all.iter().all(|answer| answer.status() == 200), "{all:?}");
    all.len()
}

/// F-18: in each round twice as much is asked as can be done until the next. What can be done is
/// done, all of it, and the rest hears at once that it is not.
#[tokio::test]
async fn at_twice_what_can_be_done_all_that_can_be_done_is() {
    let status = free_address();
    let relay = RunningRelay::start(|relay| {
        relay.admission = ADMISSION;
        relay.status_listen = Some(status);
    })
    .await;
    let (server, door) = attach(&relay).await;
    let (mut done, rounds, capacity) = (0, 5, ADMISSION.max_concurrent_per_printer);
    for _ in 0..rounds {
        let mut callers = Vec::new();
        for _ in 0..2 * capacity {
            callers.push(sent(&door, "GET /held", &[]).await);
        }
        let mut answers = answers(callers);
        refused(&mut answers, capacity).await;
        server.has(capacity).await;
        let health = Request::get(format!("http://{status}/healthz"))
            .send()
            .await;
        assert_eq!(health.status(), 200);
        server.answer(capacity);
        done += answered(answers).await;
    }
    assert_eq!(done, rounds * capacity);
    assert_eq!(server.most(), capacity);
}

/// T-37: at ten times its share, a tenant takes its share.
#[tokio::test]
async fn the_flood_of_one_tenant_is_not_noticed_by_another() {
    let mut relay = RunningRelay::start(|relay| relay.admission = ADMISSION).await;
    let (noisy, flooded) = attach(&relay).await;
    let neighbour = Account::new(
        AccountId::generate(&SystemChance),
        Email::parse("neighbour@latchkey.example").unwrap(),
        SystemClock.now(),
        "supporter".parse().unwrap(),
    );
    relay
        .store
        .accounts()
        .create(&neighbour, None)
        .await
        .unwrap();
    relay.account = neighbour.id;
    let (quiet, door) = attach(&relay).await;

    let share = ADMISSION.max_concurrent_per_account;
    let mut flood = Vec::new();
    for _ in 0..10 * share {
        flood.push(sent(&flooded, "GET /held", &[]).await);
    }
    let mut flood = answers(flood);
    noisy.has(share).await;
    // While the flood stands, every request of the other passes.
    for _ in 0..50 {
        assert_eq!(ask(&door, "GET /").await.status(), 200);
    }
    refused(&mut flood, 9 * share).await;
    assert_eq!((noisy.most(), quiet.most()), (share, 1));
    noisy.answer(share);
    assert_eq!(answered(flood).await, share);
}
