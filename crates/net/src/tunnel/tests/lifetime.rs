//! How tunnels end.

use super::*;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// A service whose answer runs until the test ends it.
fn running() -> (
    mpsc::Receiver<mpsc::Sender<Result<Bytes, body::BodyError>>>,
    impl StreamService,
) {
    let (give, feeds) = mpsc::channel(8);
    let service = move |_: Request<Incoming>, _: StreamHead| {
        let give = give.clone();
        async move {
            let (feed, body) = channel_body();
            give.send(feed).await.unwrap();
            Response::new(body)
        }
    };
    (feeds, service)
}

#[tokio::test]
async fn soft_stop_of_the_host_finishes_running_answers_and_takes_no_new_ones() {
    let bench = Bench::new();
    let (mut feeds, service) = running();
    let (tunnel, host) = bench.tunnel(service).await;
    let response = tunnel.send(get("/long"), &head()).await.unwrap();
    let feed = feeds.recv().await.unwrap();
    bench.soft.cancel();
    // What was under way when the GOAWAY came is served; from some request on, the
    // answer is a clear no with the request handed back.
    let mut served = Vec::new();
    let back = loop {
        match tunnel.send(get("/late"), &head()).await {
            Ok(response) => served.push((feeds.recv().await.unwrap(), response)),
            Err(SendError::NotSent(request)) => break request,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(back.uri().path(), "/late");
    assert!(!tunnel.is_open());
    drop(served);
    feed.send(Ok("the rest".into())).await.unwrap();
    drop(feed);
    assert_eq!(text(response).await, "the rest");
    host.closed().await;
    tunnel.closed().await;
}

#[tokio::test]
async fn hard_stop_of_the_host_cuts_what_runs() {
    let bench = Bench::new();
    let (mut feeds, service) = running();
    let (tunnel, host) = bench.tunnel(service).await;
    let response = tunnel.send(get("/long"), &head()).await.unwrap();
    let feed = feeds.recv().await.unwrap();
    bench.hard.cancel();
    assert!(response.into_body().collect().await.is_err());
    feed.closed().await;
    tunnel.closed().await;
    host.closed().await;
    assert_eq!(host.end(), End::Cut);
    assert!(matches!(
        tunnel.send(get("/"), &head()).await,
        Err(SendError::NotSent(_))
    ));
}

#[tokio::test]
async fn relay_finishes_a_tunnel_gently_and_closes_it_hard() {
    let bench = Bench::new();
    let (mut feeds, service) = running();
    let (tunnel, host) = bench.tunnel(service).await;
    let response = tunnel.send(get("/long"), &head()).await.unwrap();
    let feed = feeds.recv().await.unwrap();
    tunnel.finish();
    assert!(matches!(
        tunnel.send(get("/"), &head()).await,
        Err(SendError::NotSent(_))
    ));
    feed.send(Ok("rest".into())).await.unwrap();
    drop(feed);
    assert_eq!(text(response).await, "rest");
    host.closed().await;

    let (tunnel, host) = bench.tunnel(running().1).await;
    tunnel.close();
    tunnel.closed().await;
    assert_eq!(tunnel.end(), Some(End::Cut));
    host.closed().await;
    assert!(!tunnel.probe(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn dropping_the_last_handle_lets_running_answers_finish() {
    let bench = Bench::new();
    let (mut feeds, service) = running();
    let (tunnel, host) = bench.tunnel(service).await;
    let response = tunnel.send(get("/long"), &head()).await.unwrap();
    let feed = feeds.recv().await.unwrap();
    drop(tunnel);
    feed.send(Ok("rest".into())).await.unwrap();
    drop(feed);
    assert_eq!(text(response).await, "rest");
    host.closed().await;
}

/// A wire that loses every byte once the test says so, without an error.
async fn wire_that_goes_dead(bench: &Bench) -> (Tunnel, HostTunnel, CancellationToken) {
    let (host_io, mut host_end) = pipe();
    let (relay_io, mut relay_end) = pipe();
    let dead = CancellationToken::new();
    let died = dead.clone();
    bench.tracker.spawn(async move {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut host_end, &mut relay_end) => return,
            () = died.cancelled() => {}
        }
        let (mut from_host, mut from_relay) = (vec![0; 4096], vec![0; 4096]);
        loop {
            tokio::select! {
                read = host_end.read(&mut from_host) => if read.is_err() { return },
                read = relay_end.read(&mut from_relay) => if read.is_err() { return },
                else => return,
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let (_, service) = running();
    let host = bench.host(host_io, bench.introduction(None), service);
    let arrival = bench.acceptor(NAME).accept(relay_io, None).await.unwrap();
    let tunnel = arrival.welcome("tun-1", None).await.unwrap();
    (tunnel, host, dead)
}

#[tokio::test(start_paused = true)]
async fn idle_tunnel_stays_up_and_dead_one_is_noticed_within_fifteen_seconds() {
    let bench = Bench::new();
    let (tunnel, host, dead) = wire_that_goes_dead(&bench).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(tunnel.is_open(), "PINGs keep an idle tunnel alive");
    assert!(tunnel.probe(Duration::from_secs(1)).await);
    dead.cancel();
    let since = Instant::now();
    let changing = request("POST", "/", body::empty());
    let head = head();
    let (waiting, changing) =
        tokio::join!(tunnel.send(get("/"), &head), tunnel.send(changing, &head));
    assert!(matches!(changing, Err(SendError::Lost(_))));
    // It only asks, so that it may be sent again.
    assert!(matches!(waiting, Err(SendError::Broken(request, _)) if request.uri().path() == "/"));
    assert!(
        since.elapsed() <= Duration::from_secs(16),
        "{:?}",
        since.elapsed()
    );
    tunnel.closed().await;
    host.closed().await;
    assert!(
        since.elapsed() <= Duration::from_secs(21),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(tunnel.end(), Some(End::Silent));
    assert_eq!(host.end(), End::Silent);
}

/// hyper's server waits for room to write its GOAWAY; nobody will ever make room.
#[tokio::test(start_paused = true)]
async fn peer_that_stops_reading_is_noticed_too() {
    let bench = Bench::new();
    let (host_io, relay_io) = tokio::io::duplex(1024);
    let service = |_: Request<Incoming>, _: StreamHead| async {
        Response::new(body::full(vec![0; 1024 * 1024]))
    };
    let host = bench.host(host_io, bench.introduction(None), service);
    let (stalled, mut relay_end) = tokio::io::duplex(1024);
    let (done, copying) = tokio::sync::oneshot::channel();
    bench.tracker.spawn(async move {
        let mut relay_io = relay_io;
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut relay_io, &mut relay_end) => {}
            _ = copying => {}
        }
        // Neither end is read again, nor closed.
        std::future::pending::<()>().await;
    });
    let arrival = bench.acceptor(NAME).accept(stalled, None).await.unwrap();
    let tunnel = arrival.welcome("tun-1", None).await.unwrap();
    let response = tunnel.send(get("/"), &head()).await.unwrap();
    done.send(()).unwrap();
    let since = Instant::now();
    host.closed().await;
    assert_eq!(host.end(), End::Silent);
    assert!(response.into_body().collect().await.is_err());
    assert!(
        since.elapsed() <= Duration::from_secs(31),
        "{:?}",
        since.elapsed()
    );
}
