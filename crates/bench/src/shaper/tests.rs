use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::lane::Lane;
use super::*;

const SOON: Duration = Duration::from_secs(10);
/// Longer than anything takes that was not held back.
const QUIET: Duration = Duration::from_millis(150);

/// A connection through a shaper: the end that connected, and the other one.
async fn ends(shaper: &Shaper, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let near = TcpStream::connect(shaper.address()).await.unwrap();
    let (far, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    (near, far)
}

async fn line(line: Line) -> (Shaper, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    (Shaper::before(target, line).await.unwrap(), listener)
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(SOON, stream.read_exact(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    bytes
}

/// What comes within a while in which everything comes that is not held back.
async fn quiet(stream: &mut TcpStream) -> Option<usize> {
    let mut byte = [0];
    let heard = timeout(QUIET, stream.read(&mut byte)).await;
    heard.ok().map(Result::unwrap)
}

#[test]
fn chance_repeats_itself() {
    let losses = |seed| {
        let mut dice = Dice::new(seed);
        (0..10_000).filter(|_| dice.happens(0.03)).count()
    };
    assert_eq!(losses(7), losses(7));
    assert!((200..400).contains(&losses(7)), "{}", losses(7));
    assert_eq!(
        (0..1_000).filter(|_| Dice::new(1).happens(0.0)).count(),
        0,
        "what never happens"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lane_takes_its_time_and_no_more_than_its_queue() {
    let shape = Shape {
        queue: 10_000,
        ..Shape::far(Duration::from_millis(30)).bits(8_000_000)
    };
    let mut lane = Lane::new(shape, Dice::new(1));
    let begun = Instant::now();
    let ms = Duration::from_millis;
    for taken in 1..=10 {
        assert_eq!(lane.room_for(1_000), Duration::ZERO, "{taken}");
        // A megabyte a second: a millisecond each.
        assert_eq!(lane.take(1_000).arrives - begun, ms(30 + taken));
    }
    assert_eq!(lane.room_for(1_000), ms(1));
    tokio::time::advance(ms(5)).await;
    assert_eq!(lane.room_for(1_000), Duration::ZERO);
    assert_eq!(lane.room_for(50_000), ms(5), "into an empty queue only");
}

#[tokio::test]
async fn bytes_pass_whole_and_in_order_over_a_bad_line() {
    let bad = Shape {
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(5),
        rate: Some(2_000_000),
        queue: 20_000,
        loss: 0.05,
    };
    let (shaper, listener) = line(Line {
        there: bad,
        back: bad,
        seed: 3,
    })
    .await;
    let (mut near, mut far) = ends(&shaper, &listener).await;
    let sent: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let begun = Instant::now();
    let (mut to_far, there) = (sent.clone(), sent.len());
    let sending = async {
        near.write_all(&to_far).await.unwrap();
        near.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let receiving = async { far.read_to_end(&mut received).await.unwrap() };
    let ((), count) = timeout(SOON, async { tokio::join!(sending, receiving) })
        .await
        .unwrap();
    to_far.truncate(count);
    assert!(received == sent, "{count} of {there}");
    assert!(
        begun.elapsed() >= Duration::from_millis(400),
        "800,000 bytes take 400 ms and more: {:?}",
        begun.elapsed()
    );
    // The other direction is still open.
    far.write_all(b"yes").await.unwrap();
    assert_eq!(read(&mut near, 3).await, b"yes");
}

#[tokio::test]
async fn a_round_trip_takes_both_delays() {
    let there = Shape::far(Duration::from_millis(40));
    let (shaper, listener) = line(Line {
        there,
        back: there,
        seed: 1,
    })
    .await;
    let (mut near, mut far) = ends(&shaper, &listener).await;
    let begun = Instant::now();
    near.write_all(b"ping").await.unwrap();
    read(&mut far, 4).await;
    far.write_all(b"pong").await.unwrap();
    read(&mut near, 4).await;
    assert!(
        begun.elapsed() >= Duration::from_millis(80),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn what_is_stalled_comes_when_the_line_is_healed() {
    let (shaper, listener) = line(Line::default()).await;
    let (mut near, mut far) = ends(&shaper, &listener).await;
    shaper.stall(Direction::There);
    near.write_all(b"late").await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(quiet(&mut far).await, None, "neither bytes nor the end");
    far.write_all(b"on time").await.unwrap();
    assert_eq!(read(&mut near, 7).await, b"on time");
    shaper.heal();
    assert_eq!(read(&mut far, 4).await, b"late");
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_black_hole_tells_nobody_and_new_connections_pass_after_it() {
    let (shaper, listener) = line(Line::default()).await;
    let (mut near, mut far) = ends(&shaper, &listener).await;
    shaper.blackhole();
    near.write_all(b"lost").await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(quiet(&mut far).await, None);
    far.write_all(b"lost, too").await.unwrap();
    assert_eq!(quiet(&mut near).await, None);
    let mut unheard = TcpStream::connect(shaper.address()).await.unwrap();
    unheard.write_all(b"hello?").await.unwrap();
    assert!(timeout(QUIET, listener.accept()).await.is_err());

    shaper.heal();
    assert_eq!(quiet(&mut far).await, None, "forgotten for good");
    let (mut near, mut far) = ends(&shaper, &listener).await;
    near.write_all(b"again").await.unwrap();
    assert_eq!(read(&mut far, 5).await, b"again");
}

#[tokio::test]
async fn a_reset_reaches_both_ends_of_what_is_there() {
    let (shaper, listener) = line(Line::default()).await;
    let (mut near, mut far) = ends(&shaper, &listener).await;
    near.write_all(b"there").await.unwrap();
    read(&mut far, 5).await;
    shaper.reset();
    for end in [&mut near, &mut far] {
        let outcome = timeout(SOON, end.read(&mut [0])).await.unwrap();
        assert_eq!(
            outcome.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionReset
        );
    }
    let (mut near, mut far) = ends(&shaper, &listener).await;
    near.write_all(b"again").await.unwrap();
    assert_eq!(read(&mut far, 5).await, b"again");
}

#[tokio::test]
async fn one_direction_is_closed_and_the_other_goes_on() {
    let (shaper, listener) = line(Line::default()).await;
    let (mut near, mut far) = ends(&shaper, &listener).await;
    near.write_all(b"before").await.unwrap();
    assert_eq!(read(&mut far, 6).await, b"before");
    shaper.half_close(Direction::There);
    let ended = timeout(SOON, far.read(&mut [0])).await.unwrap();
    assert_eq!(ended.unwrap(), 0);
    near.write_all(b"into nothing").await.unwrap();
    far.write_all(b"still").await.unwrap();
    assert_eq!(read(&mut near, 5).await, b"still");
}

#[tokio::test]
async fn a_reset_of_one_end_passes() {
    let (shaper, listener) = line(Line::default()).await;
    let (near, mut far) = ends(&shaper, &listener).await;
    assert_eq!(shaper.connections(), 1);
    socket2::SockRef::from(&near)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(near);
    let outcome = timeout(SOON, far.read(&mut [0])).await.unwrap();
    assert_eq!(
        outcome.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn the_loss_of_a_segment_costs_a_round_trip() {
    let there = Shape::far(Duration::from_millis(20)).losing(0.6);
    let (shaper, listener) = line(Line {
        there,
        back: Shape::far(Duration::from_millis(20)),
        seed: 5,
    })
    .await;
    let (mut near, mut far) = ends(&shaper, &listener).await;
    let begun = Instant::now();
    for _ in 0..5 {
        near.write_all(b"one").await.unwrap();
        read(&mut far, 3).await;
    }
    let took = begun.elapsed();
    // The same throws once more.
    let mut lane = Lane::new(there, Dice::new(Dice::new(5).roll()));
    let (mut passed, mut lost) = (0, 0);
    while passed < 5 {
        if lane.take(3).lost {
            lost += 1;
        } else {
            passed += 1;
        }
    }
    assert!(lost > 0, "a seed that loses nothing shows nothing");
    assert!(
        took >= Duration::from_millis(5 * 20 + lost * 40),
        "{took:?} with {lost} lost"
    );
}
