//! A server that says what the test wants it to, and remembers what it was asked.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::stack::latchkey;
use super::within;

/// What the server says.
#[derive(Clone)]
pub(crate) enum Reply {
    Says(u16, Vec<(&'static str, String)>, String),
    HangsUp,
    /// The same, once the semaphore gives a permit.
    Held(Arc<Semaphore>, Box<Self>),
}

impl Reply {
    /// A status, and nothing else.
    pub(crate) fn status(status: u16) -> Self {
        Self::text(status, "")
    }

    pub(crate) fn text(status: u16, text: &str) -> Self {
        Self::Says(status, Vec::new(), text.to_owned())
    }

    pub(crate) fn json(status: u16, json: &Value) -> Self {
        Self::text(status, &json.to_string())
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::status(302).with("location", to)
    }

    pub(crate) fn with(self, name: &'static str, value: &str) -> Self {
        match self {
            Self::Says(status, mut fields, body) => {
                fields.push((name, value.to_owned()));
                Self::Says(status, fields, body)
            }
            Self::HangsUp => Self::HangsUp,
            Self::Held(until, reply) => Self::Held(until, Box::new(reply.with(name, value))),
        }
    }

    /// Says it no sooner than `until` gives a permit.
    pub(crate) fn held(self, until: &Arc<Semaphore>) -> Self {
        Self::Held(Arc::clone(until), Box::new(self))
    }
}

/// What was asked, and with which credential.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Method and path.
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) content_type: Option<String>,
    /// Null if it is no JSON.
    pub(crate) body: Value,
    /// Path and query, as they arrived.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Asked {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

type Replies = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The server, which ends with the test.
pub(crate) struct Fake {
    /// Host and port.
    pub(crate) at: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// `replies` is told the server's own address first.
    pub(crate) async fn start<R>(replies: impl FnOnce(&str) -> R) -> Self
    where
        R: Fn(&Asked) -> Reply + Send + Sync + 'static,
    {
        Self::start_tls(replies, None).await
    }

    pub(crate) async fn start_tls<R>(
        replies: impl FnOnce(&str) -> R,
        tls: Option<TlsAcceptor>,
    ) -> Self
    where
        R: Fn(&Asked) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("localhost:{}", listener.local_addr().unwrap().port());
        let asked = Arc::default();
        let scene = Arc::new(Scene {
            replies: Box::new(replies(&at)),
            asked: Arc::clone(&asked),
        });
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (scene, tls) = (Arc::clone(&scene), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => scene.serve(socket).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                scene.serve(socket).await;
                            }
                        }
                    }
                });
            }
        });
        Self { at, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

struct Scene {
    replies: Box<Replies>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scene {
    async fn serve(self: Arc<Self>, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| Arc::clone(&self).answer(request));
        // A hang-up is an error of the service.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(io), service)
            .await;
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let field = |name| {
            let value: Option<&http::HeaderValue> = head.headers.get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let asked = Asked {
            line: format!("{} {}", head.method, head.uri.path()),
            authorization: field("authorization"),
            content_type: field("content-type"),
            body: serde_json::from_slice(&body).unwrap_or_default(),
            target: head.uri.to_string(),
            headers: head.headers.clone(),
            bytes: body,
        };
        self.asked.lock().unwrap().push(asked.clone());
        let mut reply = (self.replies)(&asked);
        while let Reply::Held(until, held) = reply {
            until.acquire().await.unwrap().forget();
            reply = *held;
        }
        let Reply::Says(status, fields, body) = reply else {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        };
        let mut response = Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(name, value);
        }
        Ok(response.body(Full::new(Bytes::from(body))).unwrap())
    }
}

/// A command that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) result: String,
    /// Standard error.
    pub(crate) said: String,
}

impl Ended {
    /// Runs `latchkey` with these arguments to its end.
    pub(crate) async fn of(arguments: &[&str]) -> Self {
        Self::run(latchkey().args(arguments)).await
    }

    /// Runs a program to its end.
    pub(crate) async fn run(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output();
        let output = within("the command", output).await.unwrap();
        Self {
            code: output.status.code(),
            result: String::from_utf8(output.stdout).unwrap(),
            said: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It has failed with this code, printed no result, and said this sentence.
    pub(crate) fn assert_failed(&self, code: i32, sentence: &str) {
        assert_eq!(self.code, Some(code), "{}", self.said);
        assert_eq!(self.result, "");
        assert!(self.said.contains(sentence), "{}", self.said);
    }

    pub(crate) fn assert_done(&self) {
        assert_eq!(self.code, Some(0), "{}", self.said);
    }
}

/// A CA that `localhost` is certified by, as a file, and the server's part.
pub(crate) fn certify(folder: &Path) -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| folder.join(name);
    std::fs::write(path("ca.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let config = latchkey_net::tls::server_config(&path("ca.pem"), &path("key.pem")).unwrap();
    let ca = path("ca.pem").to_str().unwrap().to_owned();
    (ca, config.into())
}
