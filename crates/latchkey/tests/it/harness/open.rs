//! What an app keeps open with its key, and how it ends.

use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::home::Home;
use super::http::{Answer, Request, WebSocket, websocket};
use super::within;

/// A camera's stream whose first picture has come.
pub(crate) async fn camera(home: &Home, key: &str) -> Answer {
    let stream = Request::get(home.url("/webcam/?action=stream")).header("X-Api-Key", key);
    let mut stream = stream.send().await;
    assert_eq!(stream.status(), StatusCode::OK);
    assert!(stream.chunk().await.unwrap().is_some());
    stream
}

pub(crate) async fn camera_ended(stream: &mut Answer) {
    within("the camera's stream to end", async {
        while let Ok(Some(_)) = stream.chunk().await {}
    })
    .await;
}

/// A push socket that the printer has told its history, opened with a key that is `name`'s.
pub(crate) async fn push_socket(home: &Home, key: &str, name: &str) -> WebSocket {
    let passive = Request::post(home.url("/api/login")).header("X-Api-Key", key);
    let passive = passive.json(&json!({"passive": true}));
    let me = passive.send().await.read().await.json();
    assert_eq!(me["name"], name, "{me}");
    let (mut socket, _) = websocket(home.url("/sockjs/websocket"), &[]).await.unwrap();
    let auth = json!({"auth": format!("{name}:{}", me["session"].as_str().unwrap())});
    socket.send(Message::text(auth.to_string())).await.unwrap();
    within("the printer's history", async {
        loop {
            let message = socket.next().await.unwrap().unwrap();
            let text = message.to_text();
            if text.is_ok_and(|text| text.contains("\"history\"")) {
                break;
            }
        }
    })
    .await;
    socket
}

pub(crate) async fn socket_ended(socket: &mut WebSocket) {
    within("the socket to end", async {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                break;
            }
        }
    })
    .await;
}
