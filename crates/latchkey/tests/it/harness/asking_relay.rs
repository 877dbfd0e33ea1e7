//! A relay that only asks: it lets one host in and gives the test its tunnel.

use std::net::SocketAddr;

use latchkey_net::tunnel::{Acceptor, AcceptorConfig, Settings, Tunnel};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::within;

/// A listener that hosts dial.
pub(crate) struct AskingRelay {
    listener: TcpListener,
    acceptor: Acceptor,
}

impl AskingRelay {
    pub(crate) async fn start() -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = TcpListener::bind(any).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = AcceptorConfig {
            relay_name: format!("localhost:{port}"),
            version: "0".to_owned(),
            settings: Settings::default(),
        };
        Self {
            listener,
            acceptor: Acceptor::new(config, TaskTracker::new()),
        }
    }

    pub(crate) fn url(&self) -> String {
        let port = self.listener.local_addr().unwrap().port();
        format!("http://localhost:{port}")
    }

    /// Waits for a host and welcomes it.
    pub(crate) async fn tunnel(&self) -> Tunnel {
        within("a host", async {
            let (mut stream, _) = self.listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                          Upgrade: latchkey/1\r\n\r\n";
            stream.write_all(agreed.as_bytes()).await.unwrap();
            let arrival = self.acceptor.accept(stream, None).await.unwrap();
            arrival.welcome("tunnel", None).await.unwrap()
        })
        .await
    }
}
