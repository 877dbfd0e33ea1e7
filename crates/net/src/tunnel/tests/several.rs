//! Several tunnels of one host beside each other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::dialling::Rig;
use super::*;

/// A host that remembers what it heard.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<Ended>>>);

impl StreamService for Ear {
    async fn serve(&self, _: Request<Incoming>, _: StreamHead) -> Response<Body> {
        Response::new(body::full("ok"))
    }

    fn hear(&self, ended: Ended) {
        self.0.lock().unwrap().push(ended);
    }
}

/// Welcomes whoever is at the other end, as one of so many.
async fn welcome(bench: &Bench, io: DuplexStream, id: &str, beside: Option<&Tunnel>) -> Tunnel {
    let arrival = bench.acceptor(NAME).accept(io, None).await.unwrap();
    let invitation = Invitation {
        tunnel_id: id,
        printer_id: None,
        connections: 2,
        beside: beside.map(|tunnel| tunnel.carried().clone()),
    };
    arrival.welcome_as(invitation).await.unwrap()
}

async fn up(rig: &mut Rig, wanted: usize) -> (String, tokio::time::Instant) {
    let up = |state: &DialState| matches!(state, DialState::Connected { connections, .. } if *connections == wanted);
    match rig.until(up).await {
        DialState::Connected {
            tunnel_id, since, ..
        } => (tunnel_id, since),
        state => panic!("{state:?}"),
    }
}

async fn quiet(rig: &mut Rig, time: Duration) {
    let attempt = tokio::time::timeout(time, rig.attempts.recv()).await;
    assert!(attempt.is_err(), "somebody knocked");
}

fn refusal(code: RefusalCode) -> Refusal {
    Refusal {
        code,
        sentence: "no".to_owned(),
        retry_after_ms: None,
    }
}

#[tokio::test(start_paused = true)]
async fn further_connections_follow_the_first_and_each_comes_back_by_itself() {
    let mut rig = Rig::with(3, ok);
    let (io, further) = (rig.prepare(), rig.prepare());
    rig.attempts.recv().await.unwrap();
    quiet(&mut rig, Duration::from_secs(3)).await;
    let first = welcome(&rig.bench, io, "first", None).await;
    let (_, since) = up(&mut rig, 1).await;
    rig.attempts.recv().await.unwrap();
    let second = welcome(&rig.bench, further, "second", Some(&first)).await;
    assert_eq!(
        (first.hello().connection, second.hello().connection),
        (0, 1)
    );
    assert_eq!(up(&mut rig, 2).await, ("first".to_owned(), since));
    // The relay takes two.
    quiet(&mut rig, Duration::from_mins(10)).await;

    let io = rig.prepare();
    first.close();
    assert_eq!(up(&mut rig, 1).await, ("second".to_owned(), since));
    rig.attempts.recv().await.unwrap();
    let again = welcome(&rig.bench, io, "again", Some(&second)).await;
    assert_eq!(again.hello().connection, 0);
    assert_eq!(up(&mut rig, 2).await, ("again".to_owned(), since));

    let io = rig.prepare();
    second.close();
    up(&mut rig, 1).await;
    rig.attempts.recv().await.unwrap();
    let second = welcome(&rig.bench, io, "second", Some(&again)).await;
    assert_eq!(second.hello().connection, 1);
    up(&mut rig, 2).await;
    // A stop ends them all.
    rig.bench.soft.cancel();
    rig.until(|state| *state == DialState::Stopped).await;
    tokio::join!(again.closed(), second.closed());
}

#[tokio::test(start_paused = true)]
async fn when_all_are_lost_only_the_first_knocks() {
    let mut rig = Rig::with(2, ok);
    let (io, further) = (rig.prepare(), rig.prepare());
    rig.attempts.recv().await.unwrap();
    let first = welcome(&rig.bench, io, "first", None).await;
    rig.attempts.recv().await.unwrap();
    let second = welcome(&rig.bench, further, "second", Some(&first)).await;
    up(&mut rig, 2).await;
    // The first is not let in again for long, and waits longer and longer.
    first.close();
    tokio::time::sleep(Duration::from_mins(30)).await;
    assert_eq!(up(&mut rig, 1).await.0, "second");
    while rig.attempts.try_recv().is_ok() {}
    second.close();
    rig.waiting().await;
    let lost = tokio::time::Instant::now();
    let io = rig.prepare();
    let attempt = rig.attempts.recv().await.unwrap();
    let waited = attempt - lost;
    assert!(waited <= Duration::from_millis(510), "{waited:?}");
    quiet(&mut rig, Duration::from_secs(5)).await;
    let again = welcome(&rig.bench, io, "again", None).await;
    assert_eq!(again.hello().connection, 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_host_ends_all_and_one_of_a_connection_does_not() {
    let mut rig = Rig::with(2, ok);
    let (io, further) = (rig.prepare(), rig.prepare());
    rig.attempts.recv().await.unwrap();
    let first = welcome(&rig.bench, io, "first", None).await;
    rig.attempts.recv().await.unwrap();
    let arrival = rig.bench.acceptor(NAME).accept(further, None).await;
    let further = rig.prepare();
    arrival.unwrap().refuse(refusal(RefusalCode::Busy)).await;
    rig.attempts.recv().await.unwrap();
    let second = welcome(&rig.bench, further, "second", Some(&first)).await;
    up(&mut rig, 2).await;
    assert!(first.is_open());

    second.dismiss(refusal(RefusalCode::UnknownHost)).await;
    let unpaired = |state: &DialState| matches!(state, DialState::Waiting { unpaired: true, .. });
    rig.until(unpaired).await;
    first.closed().await;
    quiet(&mut rig, Duration::from_secs(59)).await;
    rig.attempts.recv().await.unwrap();
    // Nothing is there to connect to; the further one is silent all the while.
    rig.until(|state| {
        matches!(
            state,
            DialState::Waiting {
                unpaired: false,
                ..
            }
        )
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_takes_one_is_dialled_once() {
    let mut rig = Rig::with(4, ok);
    let io = rig.prepare();
    rig.attempts.recv().await.unwrap();
    let only = rig.welcome(io, "only").await;
    up(&mut rig, 1).await;
    quiet(&mut rig, Duration::from_hours(1)).await;
    assert!(only.is_open());
}

#[tokio::test]
async fn a_further_tunnel_forgets_nothing_and_hears_for_all() {
    let (bench, ear) = (Bench::new(), Ear::default());
    let mut tunnels = Vec::new();
    let mut hosts = Vec::new();
    for connection in 0..2 {
        let (host_io, relay_io) = pipe();
        let introduction = Introduction {
            connection,
            features: vec![FEATURE_ENDS.to_owned()],
            ..bench.introduction(None)
        };
        hosts.push(bench.host(host_io, introduction, ear.clone()));
        tunnels.push(welcome(&bench, relay_io, "t", tunnels.first()).await);
    }
    tunnels[1].send(get("/"), &head()).await.unwrap();
    let carried = tunnels[0].carried().clone();
    let second = tunnels[1].clone();
    let telling = carried.end(&["app-7".to_owned()], move || Some(second.clone()));
    telling.unwrap().await;
    tunnels[0].close();
    tunnels[0].closed().await;
    assert_eq!(
        *ear.0.lock().unwrap(),
        [Ended::Any, Ended::These(vec!["app-7".to_owned()])]
    );
    let second = tunnels[1].clone();
    carried.end_any(move || Some(second.clone())).unwrap().await;
    assert_eq!(ear.0.lock().unwrap().last(), Some(&Ended::Any));
}

#[tokio::test]
async fn streams_are_weighed_by_what_they_move() {
    let bench = Bench::new();
    let (give, mut feeds) = mpsc::channel(1);
    let service = move |request: Request<Incoming>, _: StreamHead| {
        let give = give.clone();
        async move {
            let (feed, body) = channel_body();
            give.send((feed, request.into_body())).await.unwrap();
            Response::new(body)
        }
    };
    let (tunnel, _host) = bench.tunnel(service).await;
    let large = usize::try_from(HEAVY).unwrap() + 1;
    let mut down = tunnel.send(get("/"), &head()).await.unwrap().into_body();
    let (feed, _) = feeds.recv().await.unwrap();
    assert_eq!((tunnel.active_streams(), tunnel.heavy_streams()), (1, 0));
    let mut left = large;
    while left > 0 {
        feed.send(Ok(vec![0; left.min(10_000)].into()))
            .await
            .unwrap();
        let frame = down.frame().await.unwrap().unwrap();
        left = left.saturating_sub(frame.into_data().unwrap().len().max(1));
    }
    assert_eq!((tunnel.active_streams(), tunnel.heavy_streams()), (1, 1));
    let upload = request("POST", "/", body::full(vec![0; large]));
    let up = tunnel.send(upload, &head()).await.unwrap();
    let (_feed, body) = feeds.recv().await.unwrap();
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), large);
    assert_eq!((tunnel.active_streams(), tunnel.heavy_streams()), (2, 2));
    drop((down, up));
    assert_eq!((tunnel.active_streams(), tunnel.heavy_streams()), (0, 0));
}
