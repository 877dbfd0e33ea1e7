use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::*;

const WITHIN: Duration = Duration::from_secs(20);

fn lenient() -> EgressRules {
    EgressRules {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        allow_http: true,
    }
}

/// Answers each question with the next of its lists; counts none but those asked of it.
struct Flips(Mutex<VecDeque<Vec<IpAddr>>>);

impl Resolver for Flips {
    fn resolve(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let next = self.0.lock().unwrap().pop_front();
        let next = next.ok_or_else(|| io::ErrorKind::NotFound.into());
        Box::pin(std::future::ready(next))
    }
}

fn flips(rules: EgressRules, answers: &[&[IpAddr]]) -> Egress {
    let answers = answers.iter().map(|list| list.to_vec()).collect();
    Egress::with_resolver(rules, None, Box::new(Flips(Mutex::new(answers)))).unwrap()
}

/// Takes connections, answers each with these bytes, and tells what it was sent.
async fn server(answer: &'static str) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel(16);
    TaskTracker::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = vec![0; 4096];
            let mut length = 0;
            while !asked[..length].ends_with(b"{}") {
                match socket.read(&mut asked[length..]).await {
                    Ok(0) | Err(_) => break,
                    Ok(read) => length += read,
                }
            }
            let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
            sender.send(asked).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (port, receiver)
}

async fn post(egress: &Egress, url: &str) -> Result<u16, EgressError> {
    let url = Named::parse(url).unwrap();
    let body = Bytes::from_static(b"{}");
    let status = egress.post_json(&url, body, WITHIN).await;
    status.map(|status| status.as_u16())
}

#[test]
fn of_urls_only_those_into_the_open_internet_are_read() {
    let egress = Egress::new(EgressRules::default(), None).unwrap();
    for good in [
        "https://receiver.example/hook?key=a%2Fb",
        "https://receiver.example:8443/",
        "https://receiver.example.:65535",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
    ] {
        let url = egress.read(good).unwrap();
        assert_eq!(url.as_str(), good);
    }
    let long = format!("https://receiver.example/{}", "a".repeat(2048));
    for (bad, why) in [
        ("", UrlError::Form),
        ("receiver.example", UrlError::Form),
        ("https://", UrlError::Form),
        ("https:///", UrlError::Form),
        (long.as_str(), UrlError::Form),
        ("http://receiver.example/", UrlError::Scheme),
        ("ftp://receiver.example/", UrlError::Scheme),
        ("file:///etc/passwd", UrlError::Scheme),
        ("javascript:alert(1)", UrlError::Scheme),
        ("https://me@receiver.example/", UrlError::UserInfo),
        ("https://me:pw@receiver.example/", UrlError::UserInfo),
        ("https://receiver.example@127.0.0.1/", UrlError::UserInfo),
        ("https://receiver.example:22/", UrlError::Port),
        ("https://receiver.example:80/", UrlError::Port),
        ("https://receiver.example:1023/", UrlError::Port),
        ("https://127.0.0.1/", UrlError::Closed),
        ("https://127.1/", UrlError::Closed),
        ("https://127.0.1/", UrlError::Closed),
        ("https://2130706433/", UrlError::Closed),
        ("https://0x7f000001/", UrlError::Closed),
        ("https://0x7f.0.0.1/", UrlError::Closed),
        ("https://0177.0.0.1/", UrlError::Closed),
        ("https://017700000001/", UrlError::Closed),
        ("https://127.0.0.1./", UrlError::Closed),
        ("https://%31%32%37.0.0.1/", UrlError::Closed),
        ("https://\u{ff11}\u{ff12}\u{ff17}.0.0.1/", UrlError::Closed),
        ("https://127\u{3002}0\u{3002}0\u{3002}1/", UrlError::Closed),
        ("https://0/", UrlError::Closed),
        ("https://0.0.0.0/", UrlError::Closed),
        ("https://10.1/", UrlError::Closed),
        ("https://169.254.169.254/latest/meta-data", UrlError::Closed),
        ("https://0xa9fea9fe/", UrlError::Closed),
        ("https://2852039166/", UrlError::Closed),
        ("https://[::1]/", UrlError::Closed),
        ("https://[::]/", UrlError::Closed),
        ("https://[::ffff:127.0.0.1]/", UrlError::Closed),
        ("https://[::ffff:7f00:1]/", UrlError::Closed),
        ("https://[64:ff9b::7f00:1]/", UrlError::Closed),
        ("https://[2002:7f00:1::]/", UrlError::Closed),
        ("https://[fd00:ec2::254]/", UrlError::Closed),
        ("https://[fe80::1]/", UrlError::Closed),
    ] {
        assert_eq!(egress.read(bad).unwrap_err(), why, "{bad}");
    }
}

#[tokio::test]
async fn names_that_lead_home_are_not_connected_to() {
    let (port, mut asked) = server("HTTP/1.1 200 OK\r\n\r\n").await;
    let home: &[IpAddr] = &[Ipv4Addr::LOCALHOST.into(), "::1".parse().unwrap()];
    let mapped: &[IpAddr] = &["::ffff:127.0.0.1".parse().unwrap()];
    let rules = EgressRules {
        allow_http: true,
        ..EgressRules::default()
    };
    let egress = flips(rules.clone(), &[home, mapped, &[]]);
    let url = format!("http://receiver.example:{port}/");
    assert_eq!(post(&egress, &url).await, Err(EgressError::Closed));
    assert_eq!(post(&egress, &url).await, Err(EgressError::Closed));
    assert_eq!(post(&egress, &url).await, Err(EgressError::Unknown));
    // The list is at its end: the name is gone.
    assert_eq!(post(&egress, &url).await, Err(EgressError::Unknown));
    // The real resolver knows these names without asking anybody.
    let egress = Egress::new(rules, None).unwrap();
    for name in ["localhost", "localhost.", "a.localhost", "LOCALHOST"] {
        let url = format!("http://{name}:{port}/");
        assert_eq!(
            post(&egress, &url).await,
            Err(EgressError::Closed),
            "{name}"
        );
    }
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(post(&egress, &url).await, Err(EgressError::Refused));
    assert!(asked.try_recv().is_err(), "somebody connected");
}

#[tokio::test]
async fn a_name_is_resolved_once_and_what_was_looked_at_is_called() {
    let (port, mut asked) = server("HTTP/1.1 204 No Content\r\n\r\n").await;
    let good: &[IpAddr] = &[Ipv4Addr::LOCALHOST.into()];
    let bad: &[IpAddr] = &[Ipv4Addr::new(10, 0, 0, 1).into()];
    // Between the look and the connection the name flips; nobody asks again.
    let egress = flips(lenient(), &[good, bad]);
    let url = format!("http://receiver.example:{port}/a/b?c=d%20e#f");
    assert_eq!(post(&egress, &url).await, Ok(204));
    let head = asked.recv().await.unwrap().to_lowercase();
    assert!(head.starts_with("post /a/b?c=d%20e http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: receiver.example:{port}\r\n")));
    assert!(head.contains("\r\nuser-agent: latchkey\r\n"));
    assert!(head.contains("\r\ncontent-type: application/json\r\n"));
    assert_eq!(post(&egress, &url).await, Err(EgressError::Closed));
    // Of several addresses the ones that may not be reached are left out.
    let mixed: &[IpAddr] = &[bad[0], good[0]];
    let egress = flips(lenient(), &[mixed]);
    assert_eq!(post(&egress, &url).await, Ok(204));
}

#[tokio::test]
async fn redirects_are_answers_and_lead_nowhere() {
    let (trap, mut trapped) = server("HTTP/1.1 200 OK\r\n\r\n").await;
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:{trap}/\r\nContent-Length: 0\r\n\r\n"
    );
    let (port, _asked) = server(answer.leak()).await;
    let egress = Egress::new(lenient(), None).unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(post(&egress, &url).await, Ok(307));
    assert!(trapped.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_is_its_status_however_much_follows() {
    let egress = Egress::new(lenient(), None).unwrap();
    for (answer, expected) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
            Ok(200),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff",
            Ok(200),
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oh\r\n\r\n",
            Ok(500),
        ),
        ("220 smtp.example ESMTP\r\n", Err(EgressError::Connection)),
        ("", Err(EgressError::Connection)),
    ] {
        let (port, _asked) = server(answer).await;
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(post(&egress, &url).await, expected, "{answer:?}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "a".repeat(64 * 1024));
    let (port, _asked) = server(endless.leak()).await;
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(post(&egress, &url).await, Err(EgressError::Connection));
    let nobody = "http://127.0.0.1:1025/";
    assert_eq!(post(&egress, nobody).await, Err(EgressError::Connection));
}

#[tokio::test]
async fn who_says_nothing_is_given_up() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let egress = Egress::new(lenient(), None).unwrap();
    let url = Named::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    let body = Bytes::from_static(b"{}");
    let called = egress.post_json(&url, body, Duration::from_millis(50));
    assert_eq!(called.await, Err(EgressError::TimedOut));
    // The connection went with the call.
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn certificates_are_looked_at() {
    let made = rcgen::generate_simple_self_signed(["receiver.example".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut config = Arc::unwrap_or_clone(tls::server_config(&cert, &key).unwrap());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    TaskTracker::new().spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut socket) = acceptor.accept(socket).await else {
                continue;
            };
            let mut some = [0; 1024];
            let _ = socket.read(&mut some).await;
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let _ = socket.shutdown().await;
        }
    });
    let home: &[IpAddr] = &[Ipv4Addr::LOCALHOST.into()];
    let answers = || Box::new(Flips(Mutex::new(VecDeque::from(vec![home.to_vec(); 2]))));
    let good = format!("https://receiver.example:{port}/");
    let strange = Egress::with_resolver(lenient(), None, answers()).unwrap();
    assert_eq!(post(&strange, &good).await, Err(EgressError::Certificate));
    let known = Egress::with_resolver(lenient(), Some(&cert), answers()).unwrap();
    assert_eq!(post(&known, &good).await, Ok(200));
    let other = format!("https://other.example:{port}/");
    assert_eq!(post(&known, &other).await, Err(EgressError::Certificate));
}

#[tokio::test]
async fn a_whole_answer_is_taken_and_none_that_is_too_long() {
    let answer = "HTTP/1.1 201 Created\r\nReplay-Nonce: n\r\nContent-Length: 5\r\n\r\nhello";
    let (port, mut asked) = server(answer).await;
    let egress = Egress::new(lenient(), None).unwrap();
    let request = |host: &str| {
        Request::post(format!("http://{host}:{port}/new?x=1"))
            .header(CONTENT_TYPE, "application/jose+json")
            .header(USER_AGENT, "somebody")
            .body(Bytes::from_static(b"{}"))
            .unwrap()
    };
    let answer = egress.send(request("127.0.0.1"), 5, WITHIN).await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    assert_eq!(answer.headers()["replay-nonce"], "n");
    assert_eq!(answer.body(), "hello");
    let seen = asked.recv().await.unwrap().to_lowercase();
    assert!(seen.starts_with("post /new?x=1 http/1.1\r\n"), "{seen}");
    for line in [
        format!("host: 127.0.0.1:{port}").as_str(),
        "user-agent: latchkey",
        "content-type: application/jose+json",
        "content-length: 2",
    ] {
        assert!(seen.contains(&format!("\r\n{line}\r\n")), "{seen}");
    }
    let too_long = egress.send(request("127.0.0.1"), 4, WITHIN).await;
    assert_eq!(too_long.unwrap_err(), EgressError::Connection);
    // Whoever the operator named may be anywhere, but not in plain.
    let anywhere = Egress::new(EgressRules::anywhere(), None).unwrap();
    let plain = anywhere.send(request("127.0.0.1"), 5, WITHIN).await;
    assert_eq!(plain.unwrap_err(), EgressError::Refused);
    for home in [
        "https://10.0.0.1/",
        "https://[fd00::1]:8443/",
        "https://127.0.0.1/",
    ] {
        assert!(anywhere.read(home).is_ok(), "{home}");
    }
}
