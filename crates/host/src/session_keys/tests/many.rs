//! Many at once: every key is verified once, and strangers take no memory and nobody's place.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio_util::task::TaskTracker;

use super::*;
use crate::session_keys::table::MOST;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_claims_at_once_exactly_one_is_good_a_thousand_times() {
    const RACES: usize = 1000;
    let bench = Arc::new(bench().await);
    let mut good = 0;
    for race in 0..RACES {
        // A new address for each, for one may not have so many.
        let from = IpAddr::from([
            10,
            0,
            u8::try_from(race / 250).unwrap(),
            u8::try_from(race % 250).unwrap(),
        ]);
        let body = get(&bench, from).await.json();
        let key = body["unverifiedKey"].as_str().unwrap().to_owned();
        let claim = Arc::new(claim("1.0", &key));
        let both = Arc::new(Barrier::new(2));
        let tracker = TaskTracker::new();
        let claims = [(); 2].map(|()| {
            let (bench, claim, both) = (Arc::clone(&bench), Arc::clone(&claim), Arc::clone(&both));
            tracker.spawn(async move {
                both.wait().await;
                post_from(&bench, &claim, from).await.status
            })
        });
        let [first, second] = claims;
        let mut statuses = [
            first.await.unwrap().as_u16(),
            second.await.unwrap().as_u16(),
        ];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "race {race}");
        assert!(is_good(&bench, &key).await, "race {race}");
        good += 1;
    }
    assert_eq!(good, RACES);
}

/// Bytes of memory that this process has in use, from `/proc`.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// What strangers ask: by turns a few of them often, and each time another.
fn ask_often(bench: &Bench, times: u32) -> (u64, u64) {
    let (mut given, mut refused) = (0, 0);
    for number in 0..times {
        let [a, b, c, d] = number.to_be_bytes();
        let from = if number / 5000 % 2 == 0 {
            IpAddr::from([203, 0, 113, d % 16])
        } else {
            IpAddr::from([10 + (a & 1), b, c, d])
        };
        match bench.authority.session_keys.begin(from) {
            Ok(_) => given += 1,
            Err(_) => refused += 1,
        }
        if number % 1000 == 0 {
            bench.clock.advance(std::time::Duration::from_millis(100));
        }
    }
    (given, refused)
}

/// The handshake of an app at another address.
async fn sign_in(bench: &Bench) {
    let from = IpAddr::from([192, 168, 9, 9]);
    let given = get(bench, from).await.json();
    let key = given["unverifiedKey"].as_str().unwrap();
    let reply = post_from(bench, &claim("1.0", key), from).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
}

#[tokio::test]
async fn a_million_strangers_take_no_memory_and_nobodys_place() {
    const MILLION: u32 = 1_000_000;
    const ROUNDS: u32 = 20;
    let bench = bench().await;
    // Tables grow to their bounds, and the database to what it keeps in memory.
    ask_often(&bench, MILLION / ROUNDS);
    sign_in(&bench).await;
    let before = resident();
    let (mut given, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let more = ask_often(&bench, MILLION / ROUNDS);
        (given, refused) = (given + more.0, refused + more.1);
        sign_in(&bench).await;
    }
    let grown = resident().saturating_sub(before);
    println!(
        "{given} keys given and {refused} refused, {ROUNDS} apps signed in between, {} KiB more",
        grown / 1024
    );
    assert_eq!(given + refused, u64::from(MILLION));
    assert!(grown < 1 << 20, "{grown} bytes");
}

/// An app that has its key and needs a moment to sign, while one address asks as often as it may
/// and a thousand others ask once each.
#[tokio::test]
async fn an_apps_key_waits_among_many_others() {
    let bench = bench().await;
    let key = unverified(&bench).await;
    let keys = &bench.authority.session_keys;
    for number in 0..u32::try_from(MOST).unwrap() - 100 {
        let [_, b, c, d] = number.to_be_bytes();
        keys.begin(IpAddr::from([10, b, c, d])).unwrap();
    }
    for address in 0..20_u8 {
        for _ in 0..40 {
            let _ = keys.begin([172, 16, 0, address].into());
        }
    }
    assert_eq!(
        post(&bench, &claim("1.0", &key)).await.status,
        StatusCode::OK
    );
}
