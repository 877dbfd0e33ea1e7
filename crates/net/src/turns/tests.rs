use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::*;

const BOUNDS: Bounds = Bounds {
    most: 4,
    most_of_one: 3,
    waiting: 6,
    waiting_of_one: 4,
    patience: Duration::from_secs(10),
    long_after: Duration::from_secs(5),
    most_long: 4,
    most_long_of_one: 3,
};

fn turns() -> Turns<&'static str> {
    Turns::new(BOUNDS)
}

async fn take(turns: &Turns<&'static str>, party: &'static str) -> Turn<&'static str> {
    turns.take(party).await.unwrap()
}

#[test]
fn a_share_is_three_quarters_and_one_at_least() {
    let shares = [1, 2, 3, 4, 6, 16, 64, 256].map(Bounds::share);
    assert_eq!(shares, [1, 1, 2, 3, 4, 12, 48, 192]);
}

#[tokio::test(start_paused = true)]
async fn one_party_leaves_room_for_another() {
    let turns = turns();
    let _a = [
        take(&turns, "a").await,
        take(&turns, "a").await,
        take(&turns, "a").await,
    ];
    assert!(turns.take("a").now_or_never().is_none(), "the fourth waits");
    assert!(turns.take("b").now_or_never().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_long_is_sent_away_after_exactly_the_patience() {
    let turns = turns();
    let _a = [
        take(&turns, "a").await,
        take(&turns, "a").await,
        take(&turns, "a").await,
    ];
    // Nothing becomes long in this one.
    let _long = [
        turns.take_long("a").unwrap(),
        turns.take_long("a").unwrap(),
        turns.take_long("a").unwrap(),
    ];
    let before = Instant::now();
    assert_eq!(turns.take("a").await.unwrap_err(), NoTurn);
    assert_eq!(before.elapsed(), BOUNDS.patience);
    assert_eq!(turns.count(), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn only_so_many_wait_and_the_rest_hears_at_once() {
    let turns = turns();
    let held = [
        take(&turns, "a").await,
        take(&turns, "a").await,
        take(&turns, "b").await,
        take(&turns, "b").await,
    ];
    let mut waiting: Vec<_> = ["a", "a", "a", "a", "b", "b"]
        .map(|party| Box::pin(turns.take(party)))
        .into();
    for wait in &mut waiting {
        assert!(wait.now_or_never().is_none());
    }
    assert_eq!(turns.count(), (4, 6));
    assert!(
        turns.take("a").now_or_never().unwrap().is_err(),
        "its own are too many"
    );
    assert!(
        turns.take("c").now_or_never().unwrap().is_err(),
        "all are too many"
    );
    drop(waiting);
    assert_eq!(turns.count(), (4, 0), "who gives up has no place");
    drop(held);
    assert_eq!(turns.count(), (0, 0));
    assert!(turns.0.state().parties.is_empty() && turns.0.state().order.is_empty());
}

#[tokio::test(start_paused = true)]
async fn turns_go_round_between_parties() {
    let turns = Turns::new(Bounds {
        most: 1,
        most_of_one: 1,
        ..BOUNDS
    });
    let first = turns.take("a").await.unwrap();
    let order = Mutex::new(Vec::new());
    let waits = ["a", "a", "a", "b", "c"].map(|party| {
        let (turns, order) = (&turns, &order);
        async move {
            let turn = turns.take(party).await.unwrap();
            order.lock().unwrap().push(party);
            drop(turn);
        }
    });
    let all = join_all(waits);
    tokio::pin!(all);
    assert!((&mut all).now_or_never().is_none());
    drop(first);
    all.await;
    assert_eq!(*order.lock().unwrap(), ["a", "b", "c", "a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_gives_its_turn_to_the_next() {
    let turns = turns();
    let slow: Vec<_> = join_all((0..3).map(|_| take(&turns, "slow"))).await;
    let before = Instant::now();
    let next = turns.take("slow").await.unwrap();
    assert!(before.elapsed() >= BOUNDS.long_after);
    assert!(before.elapsed() < BOUNDS.long_after + 2 * LOOK_EVERY);
    // All three are long ones now; there is no room for a fourth of theirs.
    assert!(turns.take_long("slow").is_err());
    assert!(!next.lengthen());
    assert!(turns.take_long("other").is_ok());
    drop(slow);
    assert!(next.lengthen() && next.lengthen());
    drop(next);
    assert_eq!(turns.count(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_comes_before_whoever_comes() {
    let turns = Turns::new(Bounds {
        most: 1,
        most_of_one: 1,
        ..BOUNDS
    });
    let _first = turns.take("a").await.unwrap();
    let mut waits = Box::pin(turns.take("b"));
    assert!((&mut waits).now_or_never().is_none());
    // The first one is long by now, and nobody has looked since.
    tokio::time::advance(BOUNDS.long_after).await;
    assert!(turns.take("c").now_or_never().is_none());
    assert!(waits.now_or_never().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_long_by_nature_makes_room_at_once() {
    let turns = turns();
    let held: Vec<_> = join_all((0..3).map(|_| take(&turns, "a"))).await;
    let mut fourth = Box::pin(turns.take("a"));
    assert!((&mut fourth).now_or_never().is_none());
    assert!(held[0].lengthen());
    assert!(fourth.now_or_never().unwrap().is_ok());
}

#[tokio::test]
async fn nobody_gets_past_the_bounds_however_many_try() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let turns = Turns::new(Bounds {
        waiting: 1_000,
        waiting_of_one: 1_000,
        ..BOUNDS
    });
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let tries = (0..500).map(|number| {
        let (turns, running, most) = (&turns, &running, &most);
        async move {
            let turn = turns.take(["a", "b", "c"][number % 3]).await.unwrap();
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            tokio::task::yield_now().await;
            running.fetch_sub(1, Ordering::SeqCst);
            drop(turn);
        }
    });
    join_all(tries).await;
    assert_eq!(most.load(Ordering::SeqCst), BOUNDS.most);
    assert_eq!(turns.count(), (0, 0));
}
