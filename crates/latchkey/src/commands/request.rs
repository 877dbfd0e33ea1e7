//! `latchkey request`: one request through an app connection, with its credentials.

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, Method, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use crate::app_side::client::Client;
use crate::app_side::connection::AppConnection;
use crate::app_side::{UsageError, passing};
use crate::cli::RequestArgs;
use crate::output;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// For the head of an answer to a request without a file; relays give up after 35 s. What is
/// read from a file may take as long as it takes.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
const PRINTER_KEY: HeaderName = HeaderName::from_static("x-api-key");

pub(crate) async fn run(args: &RequestArgs) -> anyhow::Result<()> {
    let connection = AppConnection::read(&args.file)?;
    let client = Client::new(connection.server()?, args.ca_file.as_deref())?;
    let target = target(&args.path, &connection)?;
    let (body, length) = body(args).await?;
    let mut request = client.build(method(args)?, &target);
    if let Some(key) = connection.printer_key()? {
        request = request.header(PRINTER_KEY, key);
    }
    if let Some(kind) = content_type(args) {
        request = request.header(CONTENT_TYPE, kind);
    }
    if let Some(length) = length {
        request = request.header(CONTENT_LENGTH, length);
    }
    let request = request.body(body);
    let request =
        request.map_err(|_| UsageError("PATH or --content-type cannot be sent".into()))?;
    let sent = client.stream(request);
    let answer = if args.data_file.is_some() {
        sent.await?
    } else {
        let answer = timeout(ANSWER_WITHIN, sent).await;
        answer.map_err(|_| anyhow!("{} did not answer within 60 s", client.name()))??
    };
    show(args, &client, answer).await
}

/// The path as it goes on the wire: byte for byte as it was given.
fn target(path: &str, connection: &AppConnection) -> Result<String, UsageError> {
    // Addresses are pasted; another's address must not seem to work.
    let root = connection.text("url").trim_end_matches('/');
    let below = path.strip_prefix(root);
    // A host that only begins like this one is another's.
    let below = below.filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
    let path = below.unwrap_or(path);
    if path.contains("://") && !path.starts_with('/') {
        let sentence = "PATH is an address elsewhere; the app connection leads to one printer, so \
                        give the path there, as in /api/version";
        return Err(UsageError(sentence.to_owned()));
    }
    // A relay may have its app connections below paths.
    let base = root.split_once("://").map_or(root, |(_, rest)| rest);
    let base = base.find('/').map_or("", |slash| &base[slash..]);
    let path = path.split('#').next().unwrap_or_default();
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        let sentence = "PATH has characters that need to be encoded, a space as %20";
        return Err(UsageError(sentence.to_owned()));
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(format!("{base}{slash}{path}"))
}

fn method(args: &RequestArgs) -> Result<Method, UsageError> {
    let has_body = args.data.is_some() || args.data_file.is_some();
    let Some(name) = &args.method else {
        return Ok(if has_body { Method::POST } else { Method::GET });
    };
    let method = Method::from_bytes(name.as_bytes()).ok();
    let method = method.filter(|method| *method != Method::CONNECT);
    method.ok_or_else(|| UsageError("--request needs a method, such as GET or DELETE".into()))
}

fn content_type(args: &RequestArgs) -> Option<&str> {
    let usual = if args.data.is_some() {
        Some("application/json")
    } else if args.data_file.is_some() {
        Some("application/octet-stream")
    } else {
        None
    };
    args.content_type.as_deref().or(usual)
}

/// What is sent, and its length if that is known. A file is read as it is sent.
async fn body(args: &RequestArgs) -> anyhow::Result<(Body, Option<u64>)> {
    if let Some(text) = &args.data {
        let bytes = Bytes::from(text.clone());
        return Ok((
            Full::new(bytes)
                .map_err(|never| match never {})
                .boxed_unsync(),
            None,
        ));
    }
    let Some(path) = &args.data_file else {
        let nothing = Full::default().map_err(|never| match never {});
        return Ok((nothing.boxed_unsync(), None));
    };
    if path.as_os_str() == "-" {
        return Ok((streamed(tokio::io::stdin()), None));
    }
    let name = path.display();
    let unreadable = |error: io::Error| UsageError(format!("cannot read {name}: {error}"));
    let file = File::open(path).await.map_err(unreadable)?;
    let about = file.metadata().await.map_err(unreadable)?;
    if about.is_dir() {
        return Err(UsageError(format!("{name} is a folder")).into());
    }
    // A pipe has no length that can be told.
    let length = about.is_file().then_some(about.len());
    Ok((streamed(file), length))
}

fn streamed(from: impl AsyncRead + Send + 'static) -> Body {
    use futures_util::TryStreamExt as _;
    let pieces = ReaderStream::with_capacity(from, 64 * 1024);
    StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync()
}

async fn show(
    args: &RequestArgs,
    client: &Client,
    answer: Response<Incoming>,
) -> anyhow::Result<()> {
    let status = answer.status();
    if passing::is_relays_own(status) {
        bail!("{}", passing::explain(status));
    }
    let head = args.include.then(|| head(&answer));
    let copied = match &args.out {
        None => copy(client, head, answer.into_body(), tokio::io::stdout()).await,
        Some(path) => {
            let file = create(path).await?;
            copy(client, head, answer.into_body(), file).await
        }
    };
    // Whoever reads has read enough, as `head` does.
    if copied? == Copied::ReaderLeft {
        return Ok(());
    }
    if status.is_client_error() || status.is_server_error() {
        bail!("the printer's server answered {status}");
    }
    if status.is_redirection() && !args.include {
        output::note(&format!(
            "The printer's server answered {status}; -i shows where it leads."
        ));
    }
    Ok(())
}

async fn create(path: &Path) -> anyhow::Result<File> {
    let created = File::create(path).await;
    created.with_context(|| format!("cannot write {}", path.display()))
}

fn head(answer: &Response<Incoming>) -> Bytes {
    let mut head = format!("HTTP/1.1 {}\r\n", answer.status()).into_bytes();
    for (name, value) in answer.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head.into()
}

#[derive(Debug, PartialEq, Eq)]
enum Copied {
    All,
    ReaderLeft,
}

async fn copy(
    client: &Client,
    head: Option<Bytes>,
    mut body: Incoming,
    mut to: impl AsyncWrite + Unpin,
) -> anyhow::Result<Copied> {
    let mut next = head;
    loop {
        if let Some(piece) = next.take() {
            // Flushed piece by piece: events and pictures are wanted when they come.
            let written = async {
                to.write_all(&piece).await?;
                to.flush().await
            };
            match written.await {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(Copied::ReaderLeft);
                }
                written => written.context("cannot write what was answered")?,
            }
        }
        match body.frame().await {
            None => return Ok(Copied::All),
            Some(Ok(frame)) => next = frame.into_data().ok(),
            Some(Err(error)) => {
                let broken = client.broken(&error);
                return Err(anyhow!("the answer broke off before its end: {broken}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn connection_at(url: &str) -> AppConnection {
        let relay = Url::parse("https://relay.example").unwrap();
        let get = |name: &str| {
            let value = match name {
                "id" => "c1",
                "url" => url,
                "appApiToken" => "lk_app_1",
                _ => return None,
            };
            Some(value.to_owned())
        };
        AppConnection::given(&relay, "devtest", get).unwrap()
    }

    fn connection() -> AppConnection {
        connection_at("https://app-x.relay.example")
    }

    #[test]
    fn a_path_goes_out_as_it_was_given() {
        for (given, sent) in [
            ("/api/version", "/api/version"),
            ("api/version", "/api/version"),
            ("//a/../b%2Fc?x=%20&y", "//a/../b%2Fc?x=%20&y"),
            ("/a?to=http://b/", "/a?to=http://b/"),
            ("/a#b", "/a"),
            ("", "/"),
            ("https://app-x.relay.example/api?x", "/api?x"),
            ("https://app-x.relay.example", "/"),
            ("https://app-x.relay.example?x", "/?x"),
            ("https://app-x.relay.example#a", "/"),
        ] {
            assert_eq!(target(given, &connection()).unwrap(), sent, "{given}");
        }
    }

    #[test]
    fn an_app_connection_below_a_path_stays_below_it() {
        let connection = connection_at("https://relay.example/c/app-x/");
        for given in ["/api", "api", "https://relay.example/c/app-x/api"] {
            assert_eq!(
                target(given, &connection).unwrap(),
                "/c/app-x/api",
                "{given}"
            );
        }
    }

    #[test]
    fn an_address_elsewhere_and_what_cannot_be_sent_are_refused() {
        for given in [
            "https://evil.example/",
            "https://app-x.relay.example.evil.example/api",
            "https://app-x.relay.example:8443/api",
            "https://app-x.relay.example@evil.example/",
            "https://app-x.relay.examples",
            "/a b",
            "/ä",
            "/a\nb",
        ] {
            assert!(target(given, &connection()).is_err(), "{given}");
        }
        let below = connection_at("https://relay.example/c/app-x");
        assert!(target("https://relay.example/c/app-xy/api", &below).is_err());
    }
}
