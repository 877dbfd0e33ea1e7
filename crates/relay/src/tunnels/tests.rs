use latchkey_net::body::{self, Body};
use latchkey_net::tunnel::{
    Acceptor, AcceptorConfig, Dialler, DiallerConfig, HostIdentity, Invitation, Settings,
    StreamHead,
};
use latchkey_web::metrics::Metrics;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;

/// Hosts whose tunnels a test hands out.
struct Bench {
    tunnels: Tunnels,
    tracker: TaskTracker,
    end: CancellationToken,
    host: HostId,
}

impl Bench {
    fn new() -> Self {
        Self {
            tunnels: Tunnels::default(),
            tracker: TaskTracker::new(),
            end: CancellationToken::new(),
            host: HostId::of_public_key(&[1; 32]),
        }
    }

    /// A tunnel of this number of a host.
    async fn tunnel(&self, process: &HostIdentity, number: u8) -> Tunnel {
        self.tunnel_beside(process, number, None).await
    }

    async fn tunnel_beside(
        &self,
        process: &HostIdentity,
        number: u8,
        beside: Option<Carried>,
    ) -> Tunnel {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!("localhost:{}", listener.local_addr().unwrap().port());
        let url = format!("http://{name}").parse().unwrap();
        let config = DiallerConfig {
            connection: number,
            ..DiallerConfig::new(url, "Workshop".to_owned(), "0".to_owned())
        };
        let serve = |_: ::http::Request<hyper::body::Incoming>, _: StreamHead| async {
            ::http::Response::<Body>::new(body::empty())
        };
        let dialler = Dialler::new(config, process.clone(), serve, self.tracker.clone()).unwrap();
        self.tracker
            .spawn(dialler.run(self.end.clone(), self.end.clone()));
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                      Upgrade: latchkey/1\r\n\r\n";
        stream.write_all(agreed.as_bytes()).await.unwrap();
        let config = AcceptorConfig {
            relay_name: name.clone(),
            version: "0".to_owned(),
            settings: Settings::default(),
        };
        let acceptor = Acceptor::new(config, self.tracker.clone());
        let arrival = acceptor.accept(stream, None).await.unwrap();
        let invitation = Invitation {
            // Each has a port of its own, and so a name.
            tunnel_id: &name,
            printer_id: None,
            connections: 4,
            beside,
        };
        arrival.welcome_as(invitation).await.unwrap()
    }

    fn put(&self, tunnel: &Tunnel) -> Placed {
        self.tunnels.put(&self.host, tunnel, false, None).unwrap()
    }

    fn lead(&self, visit: &Visit) -> Option<String> {
        match self.tunnels.lead(&self.host, visit.number) {
            Lead::Is(tunnel) => Some(tunnel.id().to_owned()),
            _ => None,
        }
    }

    fn ids(&self) -> Vec<String> {
        let all = self.tunnels.all().into_iter().flatten();
        all.map(|tunnel| tunnel.id().to_owned()).collect()
    }

    /// Cuts a tunnel, as whoever stays with it sees it.
    async fn lose(&self, tunnel: &Tunnel) {
        tunnel.close();
        tunnel.closed().await;
        assert!(self.tunnels.remove(&self.host, tunnel));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

fn process() -> HostIdentity {
    HostIdentity::generate().unwrap()
}

#[tokio::test]
async fn several_connections_of_one_process_are_one_host_until_the_last_is_gone() {
    let (bench, process) = (Bench::new(), process());
    let (first, second) = (
        bench.tunnel(&process, 0).await,
        bench.tunnel(&process, 1).await,
    );
    let mut visit = bench.put(&first).visit.expect("it came");
    assert!(bench.put(&second).visit.is_none(), "it was here");
    assert_eq!(bench.ids(), [first.id(), second.id()]);
    assert_eq!(bench.tunnels.count(), 1);
    assert_eq!(bench.tunnels.hosts().len(), 1);
    assert!(second.carried().is(first.carried()));
    assert_eq!(bench.lead(&visit).as_deref(), Some(first.id()));

    visit.changed.borrow_and_update();
    bench.lose(&first).await;
    assert!(visit.changed.has_changed().unwrap());
    assert_eq!(bench.lead(&visit).as_deref(), Some(second.id()));
    assert!(!bench.tunnels.retire(&bench.host, visit.number));
    // The one that leads does so as long as it is open.
    let again = bench.tunnel(&process, 0).await;
    assert!(bench.put(&again).visit.is_none());
    assert_eq!(bench.lead(&visit).as_deref(), Some(second.id()));
    let asked = bench.tunnels.lead_of(&bench.host);
    assert_eq!(asked.unwrap().id(), second.id());

    bench.lose(&second).await;
    assert_eq!(bench.lead(&visit).as_deref(), Some(again.id()));
    bench.lose(&again).await;
    let lead = bench.tunnels.lead(&bench.host, visit.number);
    assert!(matches!(lead, Lead::None));
    assert_eq!(bench.tunnels.count(), 0);
    assert!(bench.tunnels.hosts().is_empty());
    assert!(bench.tunnels.retire(&bench.host, visit.number));
    assert!(bench.put(&bench.tunnel(&process, 0).await).visit.is_some());
}

#[tokio::test]
async fn a_newer_one_takes_the_place_of_the_one_with_its_number() {
    let (bench, process) = (Bench::new(), process());
    let older = bench.tunnel(&process, 1).await;
    let other = bench.tunnel(&process, 0).await;
    let visit = bench.put(&older).visit.unwrap();
    assert_eq!(bench.lead(&visit).as_deref(), Some(older.id()));
    bench.put(&other);
    assert_eq!(bench.lead(&visit).as_deref(), Some(older.id()));
    let newer = bench.tunnel(&process, 1).await;
    assert!(bench.put(&newer).replaced.is_empty());
    assert!(!older.is_open(), "it finishes its streams");
    assert_eq!(bench.ids(), [other.id(), newer.id()]);
    assert_eq!(bench.lead(&visit).as_deref(), Some(other.id()));
    assert!(!bench.tunnels.remove(&bench.host, &older));
    assert_eq!(bench.ids().len(), 2);
}

#[tokio::test]
async fn another_process_is_held_off_while_one_connection_lives_and_replaces_all() {
    let bench = Bench::new();
    let (original, copy) = (process(), process());
    let (first, second) = (
        bench.tunnel(&original, 0).await,
        bench.tunnel(&original, 1).await,
    );
    bench.put(&first);
    bench.put(&second);
    let newcomer = bench.tunnel(&copy, 0).await;
    let put = |leaving| bench.tunnels.put(&bench.host, &newcomer, false, leaving);
    assert!(matches!(put(None), Err(NotIn::Taken)));
    bench.lose(&first).await;
    assert!(matches!(put(None), Err(NotIn::Taken)));
    let stranger = Some([9; 16]);
    assert!(matches!(put(stranger), Err(NotIn::Taken)));
    bench.put(&bench.tunnel(&original, 0).await);
    let placed = put(Some(original.instance())).unwrap();
    assert_eq!(placed.replaced.len(), 2);
    assert!(
        placed.visit.is_none(),
        "whoever attends to the host goes on"
    );
    assert_eq!(bench.ids(), [newcomer.id()]);
    // Connections of one process that come and go are no turns that two take.
    for number in [1, 2, 3, 1, 2, 3, 1, 2, 3] {
        bench.put(&bench.tunnel(&copy, number).await);
        assert!(!bench.tunnels.is_locked_out(&bench.host, copy.instance()));
    }
    assert_eq!(bench.ids().len(), 4);
}

#[tokio::test]
async fn a_host_that_is_sent_away_loses_all_and_comes_anew() {
    let (bench, process) = (Bench::new(), process());
    let tunnels = [
        bench.tunnel(&process, 0).await,
        bench.tunnel(&process, 1).await,
        bench.tunnel(&process, 1).await,
    ];
    let visit = bench.put(&tunnels[0]).visit.unwrap();
    bench.put(&tunnels[1]);
    bench.put(&tunnels[2]);
    assert_eq!(bench.tunnels.all_of(&bench.host).len(), 3);
    assert_eq!(bench.tunnels.forget(&bench.host).len(), 3);
    assert!(bench.tunnels.find(&bench.host).is_none());
    let lead = |visit: &Visit| bench.tunnels.lead(&bench.host, visit.number);
    assert!(matches!(lead(&visit), Lead::Elsewhere));
    let again = bench.put(&tunnels[0]).visit.unwrap();
    assert!(matches!(lead(&again), Lead::Is(_)));
    assert!(matches!(lead(&visit), Lead::Elsewhere));
    // Who attended to the first visit does not end the second.
    assert!(bench.tunnels.retire(&bench.host, visit.number));
    assert!(bench.tunnels.find(&bench.host).is_some());
}

#[tokio::test]
async fn what_a_host_was_told_with_its_welcome_holds_or_it_hears_again() {
    let (bench, process) = (Bench::new(), process());
    let first = bench.tunnel(&process, 0).await;
    let visit = bench.put(&first).visit.unwrap();
    let carried = bench.tunnels.carried(&bench.host, process.instance());
    assert!(carried.as_ref().unwrap().is(first.carried()));
    assert!(bench.tunnels.carried(&bench.host, [9; 16]).is_none());
    let second = bench.tunnel_beside(&process, 1, carried.clone()).await;
    bench.lose(&first).await;
    assert!(
        bench
            .tunnels
            .carried(&bench.host, process.instance())
            .is_none()
    );
    assert!(bench.tunnels.retire(&bench.host, visit.number));
    // Meanwhile nobody was there to tell it.
    let placed = bench.tunnels.put(&bench.host, &second, true, None);
    assert!(placed.unwrap().unheard);
    bench.tunnels.forget(&bench.host);
    bench.put(&bench.tunnel(&process, 0).await);
    let third = bench.tunnel_beside(&process, 1, carried).await;
    let placed = bench.tunnels.put(&bench.host, &third, true, None);
    assert!(matches!(placed, Err(NotIn::TooLate)));
}

#[tokio::test]
async fn scrapers_are_told_how_many_there_are_by_number() {
    let (bench, process) = (Bench::new(), process());
    let metrics = Metrics::default();
    bench.tunnels.report(&metrics);
    let (first, second) = (
        bench.tunnel(&process, 0).await,
        bench.tunnel(&process, 3).await,
    );
    bench.put(&first);
    bench.put(&second);
    for line in [
        "latchkey_hosts_connected 1",
        "latchkey_tunnel_connections{connection=\"0\"} 1",
        "latchkey_tunnel_connections{connection=\"1\"} 0",
        "latchkey_tunnel_connections{connection=\"3\"} 1",
        "latchkey_tunnel_heavy_streams{connection=\"0\"} 0",
    ] {
        let text = metrics.encode();
        assert!(text.lines().any(|said| said == line), "{line}: {text}");
    }
}
