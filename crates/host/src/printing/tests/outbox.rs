//! What is kept for a relay, and how it is told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use latchkey_model::clock::{FixedClock, Timestamp};
use latchkey_model::printing::{
    Condition, EventKind, Heat, Heats, News, PrinterEvent, PrinterState, Progress, Report,
};
use latchkey_net::body::Body;
use tokio::time::{Instant, advance, timeout};
use tokio_util::sync::CancellationToken;

use crate::printing::outbox::Outbox;

fn outbox() -> (Outbox, CancellationToken) {
    let stopping = CancellationToken::new();
    let clock = FixedClock::new(Timestamp::from_millis(9_000));
    (Outbox::new(Arc::new(clock), stopping.clone()), stopping)
}

fn event(percent: u8) -> PrinterEvent {
    PrinterEvent {
        at: Timestamp::from_millis(5_000),
        kind: EventKind::Progress,
        print: None,
        file: None,
        progress: Progress {
            percent: Some(percent),
            ..Progress::default()
        },
        message: None,
    }
}

fn state(condition: Condition, tenths: i32) -> PrinterState {
    PrinterState {
        at: Timestamp::from_millis(8_000),
        condition,
        job: None,
        heat: Heats {
            nozzle: Some(Heat {
                actual: tenths,
                target: None,
            }),
            ..Heats::default()
        },
        message: None,
        has_camera: false,
    }
}

fn read(line: &Bytes) -> News {
    assert!(line.ends_with(b"\n"));
    let report: Report = serde_json::from_slice(line).unwrap();
    assert_eq!(report.now.millis(), 9_000);
    report.news
}

async fn next(body: &mut Body) -> Option<News> {
    let frame = body.frame().await?.unwrap();
    Some(read(frame.data_ref().unwrap()))
}

async fn number(body: &mut Body) -> u64 {
    match next(body).await {
        Some(News::Event(event)) => event.number,
        other => panic!("{other:?}"),
    }
}

async fn condition(body: &mut Body) -> Condition {
    match next(body).await {
        Some(News::State(state)) => state.condition,
        other => panic!("{other:?}"),
    }
}

async fn is_silent(body: &mut Body, within: Duration) -> bool {
    timeout(within, next(body)).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn events_come_first_and_each_once_to_whoever_says_how_far_they_are() {
    let (outbox, _stopping) = outbox();
    outbox.put(vec![event(10), event(20)], state(Condition::Printing, 0));
    let mut all = outbox.tell(0).unwrap();
    assert_eq!(number(&mut all).await, 1);
    assert_eq!(number(&mut all).await, 2);
    assert_eq!(condition(&mut all).await, Condition::Printing);
    let mut rest = outbox.tell(1).unwrap();
    assert_eq!(number(&mut rest).await, 2);
    outbox.put(vec![event(30)], state(Condition::Printing, 0));
    assert_eq!(number(&mut all).await, 3);
    assert!(
        is_silent(&mut all, Duration::from_hours(1)).await,
        "nothing is new"
    );
}

#[tokio::test(start_paused = true)]
async fn heat_that_is_none_is_told_like_any_other() {
    let (outbox, _stopping) = outbox();
    let mut body = outbox.tell(0).unwrap();
    for tenths in [i32::MIN, i32::MAX, i32::MIN] {
        outbox.put(Vec::new(), state(Condition::Ready, tenths));
        assert_eq!(condition(&mut body).await, Condition::Ready);
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_two_hundred_wait_for_a_relay_that_is_away() {
    let (outbox, _stopping) = outbox();
    for _ in 0..250 {
        outbox.put(vec![event(10)], state(Condition::Printing, 0));
    }
    let mut body = outbox.tell(0).unwrap();
    for expected in 51..=250 {
        assert_eq!(number(&mut body).await, expected);
    }
    assert_eq!(condition(&mut body).await, Condition::Printing);
    outbox.forget();
    outbox.put(vec![event(20)], state(Condition::Ready, 0));
    let mut body = outbox.tell(0).unwrap();
    assert_eq!(number(&mut body).await, 251, "numbers are used once");
}

#[tokio::test(start_paused = true)]
async fn a_state_is_told_once_a_second_and_a_little_warmth_now_and_then() {
    let (outbox, _stopping) = outbox();
    outbox.put(Vec::new(), state(Condition::Ready, 200));
    let mut body = outbox.tell(0).unwrap();
    assert_eq!(condition(&mut body).await, Condition::Ready);
    let told = Instant::now();
    outbox.put(Vec::new(), state(Condition::Paused, 200));
    outbox.put(Vec::new(), state(Condition::Printing, 200));
    assert_eq!(condition(&mut body).await, Condition::Printing);
    assert_eq!(told.elapsed(), Duration::from_secs(1));
    let told = Instant::now();
    outbox.put(Vec::new(), state(Condition::Printing, 205));
    assert_eq!(condition(&mut body).await, Condition::Printing);
    assert_eq!(told.elapsed(), Duration::from_secs(30));
    advance(Duration::from_secs(1)).await;
    outbox.put(Vec::new(), state(Condition::Printing, 220));
    assert!(!is_silent(&mut body, Duration::from_millis(1)).await);
}

#[tokio::test(start_paused = true)]
async fn listeners_are_few_and_end_with_the_host() {
    let (outbox, stopping) = outbox();
    let mut inside: Vec<_> = (0..4).map(|_| outbox.tell(0).unwrap()).collect();
    assert!(outbox.tell(0).is_none());
    inside.pop();
    let mut last = outbox.tell(0).unwrap();
    stopping.cancel();
    assert_eq!(next(&mut last).await, None);
}
