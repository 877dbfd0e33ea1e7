//! What a relay asks a host.

use zeroize::Zeroizing;

use super::*;

/// A host that makes keys, and says where it is.
#[derive(Clone, Default)]
struct Maker;

impl StreamService for Maker {
    async fn serve(&self, _: Request<Incoming>, _: StreamHead) -> Response<Body> {
        Response::new(body::empty())
    }

    async fn make_app_key(&self, wish: AppKeyWish) -> Result<MadeAppKey, AppKeyRefusal> {
        match wish.app.as_str() {
            "OctoApp" => Ok(MadeAppKey {
                api_key: Zeroizing::new("key-of-octoapp".to_owned()),
                app: format!("{} {:?}", wish.app_connection, wish.scope),
            }),
            "blank" => Ok(MadeAppKey {
                api_key: Zeroizing::new("a b".to_owned()),
                app: String::new(),
            }),
            "slow" => std::future::pending().await,
            _ => Err(AppKeyRefusal::Nobody),
        }
    }

    fn local_address(&self) -> Option<String> {
        Some("192.168.1.9:5010".to_owned())
    }

    async fn app_connections_with_keys(&self) -> Vec<String> {
        vec!["a".to_owned(), "b".to_owned()]
    }
}

async fn tunnel_with(bench: &Bench, features: &[&str]) -> (Tunnel, HostTunnel) {
    let (host_io, relay_io) = pipe();
    let introduction = Introduction {
        features: features.iter().map(|&feature| feature.to_owned()).collect(),
        ..bench.introduction(None)
    };
    let host = bench.host(host_io, introduction, Maker);
    let arrival = bench.acceptor(NAME).accept(relay_io, None).await.unwrap();
    (arrival.welcome("tun-1", None).await.unwrap(), host)
}

fn wish(app: &str) -> AppKeyWish {
    AppKeyWish {
        app: app.to_owned(),
        app_connection: "conn-1".to_owned(),
        scope: Scope::View,
    }
}

#[tokio::test]
async fn a_host_makes_a_key_or_says_why_not() {
    let bench = Bench::new();
    let (tunnel, _host) = tunnel_with(&bench, &[FEATURE_APP_KEYS, FEATURE_ENDS]).await;
    let made = tunnel.make_app_key(&wish("OctoApp")).await.unwrap();
    assert_eq!(*made.api_key, "key-of-octoapp");
    assert_eq!(made.app, "conn-1 View");
    let refused = tunnel.make_app_key(&wish("nobody")).await;
    assert!(matches!(
        refused,
        Err(AppKeyError::Refused(AppKeyRefusal::Nobody))
    ));
    let refused = tunnel.make_app_key(&wish("blank")).await;
    assert!(matches!(
        refused,
        Err(AppKeyError::Refused(AppKeyRefusal::Failed))
    ));
    // The host hears of its end, though nothing was ever sent through it.
    assert!(tunnel.hear_of_ends(&["conn-1".to_owned()]).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_does_not_come_is_waited_for_ten_seconds() {
    let bench = Bench::new();
    let (tunnel, _host) = tunnel_with(&bench, &[FEATURE_APP_KEYS]).await;
    let began = tokio::time::Instant::now();
    let late = tunnel.make_app_key(&wish("slow")).await;
    assert!(matches!(
        late,
        Err(AppKeyError::Control(ControlError::Deadline))
    ));
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_host_says_where_it_is_and_what_it_keeps() {
    let bench = Bench::new();
    let all = [FEATURE_APP_KEYS, FEATURE_LOCAL_ADDRESS, FEATURE_ENDS];
    let (tunnel, _host) = tunnel_with(&bench, &all).await;
    let address = tunnel.local_address().await.unwrap();
    assert_eq!(address.as_deref(), Some("192.168.1.9:5010"));
    assert_eq!(
        tunnel.app_connections_with_keys().await.unwrap(),
        ["a", "b"]
    );
    assert!(tunnel.hear_of_ends(&["b".to_owned()]).is_some());
}

#[tokio::test]
async fn an_old_host_is_asked_nothing() {
    let bench = Bench::new();
    let (tunnel, _host) = tunnel_with(&bench, &[]).await;
    assert_eq!(tunnel.local_address().await.unwrap(), None);
    assert!(tunnel.app_connections_with_keys().await.unwrap().is_empty());
    assert!(matches!(
        tunnel.make_app_key(&wish("OctoApp")).await,
        Err(AppKeyError::Refused(AppKeyRefusal::NotOffered))
    ));
}
