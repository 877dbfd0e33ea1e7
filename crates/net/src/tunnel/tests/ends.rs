//! What a host hears of app connections that ended, and which of them it is sent.

use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;

use super::*;

/// A host that remembers what it heard, and answers the scope of each request.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<Ended>>>);

impl StreamService for Ear {
    async fn serve(&self, _: Request<Incoming>, head: StreamHead) -> Response<Body> {
        Response::new(body::full(format!("{:?}", head.scope)))
    }

    fn hear(&self, ended: Ended) {
        self.0.lock().unwrap().push(ended);
    }
}

async fn tunnel_with(bench: &Bench, features: &[&str], ear: &Ear) -> (Tunnel, HostTunnel) {
    let (host_io, relay_io) = pipe();
    let introduction = Introduction {
        features: features.iter().map(|&feature| feature.to_owned()).collect(),
        ..bench.introduction(None)
    };
    let host = bench.host(host_io, introduction, ear.clone());
    let arrival = bench.acceptor(NAME).accept(relay_io, None).await.unwrap();
    (arrival.welcome("tun-1", None).await.unwrap(), host)
}

fn of(app_connection: &str, scope: Scope) -> StreamHead {
    StreamHead {
        app_connection: Some(app_connection.to_owned()),
        scope,
        ..head()
    }
}

async fn text(response: Response<Body>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn a_host_hears_which_of_its_app_connections_ended() {
    let (bench, ear) = (Bench::new(), Ear::default());
    let (tunnel, _host) = tunnel_with(&bench, &[FEATURE_ENDS], &ear).await;
    for id in ["a", "b"] {
        let sent = tunnel.send(get("/"), &of(id, Scope::Full)).await;
        assert_eq!(text(sent.unwrap()).await, "Full");
    }
    let ended = ["a".to_owned(), "stranger".to_owned()];
    tunnel.hear_of_ends(&ended).unwrap().await;
    assert!(tunnel.hear_of_ends(&ended).is_none());
    let heard = ear.0.lock().unwrap().clone();
    // The first at the welcome: what ended before, nobody has told it.
    assert_eq!(heard, [Ended::Any, Ended::These(vec!["a".to_owned()])]);
}

#[tokio::test]
async fn an_old_host_is_sent_nothing_that_it_does_not_know() {
    let (bench, ear) = (Bench::new(), Ear::default());
    let (tunnel, _host) = tunnel_with(&bench, &[], &ear).await;
    let refused = tunnel.send(get("/"), &of("a", Scope::View)).await;
    assert!(matches!(refused, Err(SendError::ScopeUnknown)));
    let sent = tunnel.send(get("/"), &of("a", Scope::Full)).await;
    assert_eq!(text(sent.unwrap()).await, "Full");
    assert!(tunnel.hear_of_ends(&["a".to_owned()]).is_none());
}

#[tokio::test]
async fn a_scope_arrives_as_it_was_chosen() {
    let (bench, ear) = (Bench::new(), Ear::default());
    let (tunnel, _host) = tunnel_with(&bench, &[FEATURE_SCOPES], &ear).await;
    let sent = tunnel.send(get("/"), &of("a", Scope::View)).await;
    assert_eq!(text(sent.unwrap()).await, "View");
    // What a caller writes is not the relay's word.
    let mut forged = get("/");
    let field = http::HeaderValue::from_static("full");
    forged.headers_mut().insert("latchkey-scope", field);
    let sent = tunnel.send(forged, &of("a", Scope::View)).await;
    assert_eq!(text(sent.unwrap()).await, "View");
}

#[test]
fn an_older_relays_silence_is_full_and_a_later_ones_word_is_not() {
    let decoded = |scope: Option<&'static str>| {
        let mut headers = http::HeaderMap::new();
        head().encode(&mut headers).unwrap();
        headers.remove("latchkey-scope");
        if let Some(scope) = scope {
            headers.insert("latchkey-scope", http::HeaderValue::from_static(scope));
        }
        StreamHead::decode(&mut headers).map(|head| head.scope)
    };
    assert_eq!(decoded(None), Ok(Scope::Full));
    assert_eq!(decoded(Some("view")), Ok(Scope::View));
    assert!(matches!(
        decoded(Some("camera")),
        Err(HeadError::Invalid(_))
    ));
}
