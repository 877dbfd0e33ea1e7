//! Sockets (RFC 6455) on which every message is answered.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::closed::sum;
use super::{Outcome, PATIENCE, Target};

const MESSAGE: &str =
    r#"{"current": {"state": {"text": "Printing"}, "progress": {"completion": 41.7}}}"#;

/// So many sockets, each with one message on its way, for so long.
pub async fn echo(target: &Target, sockets: usize, time: Duration) -> anyhow::Result<Outcome> {
    let mut open = Vec::new();
    for _ in 0..sockets {
        let mut socket = socket(target).await?;
        ensure!(once(&mut socket).await, "a message was not answered");
        open.push(socket);
    }
    let begun = Instant::now();
    let end = begun + time;
    let mut talking = JoinSet::new();
    for mut socket in open {
        talking.spawn(async move {
            let mut outcome = Outcome::default();
            while Instant::now() < end {
                let said = Instant::now();
                let answered = once(&mut socket).await;
                outcome.note(said.elapsed(), answered);
                if !answered {
                    break;
                }
            }
            let _ = timeout(PATIENCE, socket.close(None)).await;
            outcome
        });
    }
    Ok(sum(talking, begun).await)
}

async fn socket(target: &Target) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{}/echo", target.authority).into_client_request()?;
    request.headers_mut().extend(target.headers.clone());
    let opening = tokio_tungstenite::client_async(request, target.socket().await?);
    let (socket, _) = timeout(PATIENCE, opening)
        .await
        .context("opening a socket")??;
    Ok(socket)
}

async fn once(socket: &mut WebSocketStream<TcpStream>) -> bool {
    let talk = async {
        socket.send(Message::text(MESSAGE)).await.ok()?;
        socket.next().await?.ok()
    };
    let answer = timeout(PATIENCE, talk).await.ok().flatten();
    answer.is_some_and(|message| message.to_text().is_ok_and(|text| text == MESSAGE))
}
