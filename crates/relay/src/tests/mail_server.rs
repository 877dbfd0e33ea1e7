//! A mail server that takes letters and shows them.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// What it says to RCPT, one after the other; then it takes everything.
pub(crate) type Moods = &'static [&'static str];

pub(crate) struct MailServer {
    pub(crate) port: u16,
    letters: Mutex<mpsc::Receiver<Received>>,
}

/// A letter as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) to: Vec<String>,
    pub(crate) head: String,
    /// Decoded.
    pub(crate) body: String,
}

impl Received {
    /// The path of the one link with this beginning.
    pub(crate) fn link(&self, path: &str) -> String {
        let base = "https://relay.example.net";
        let mut links = self
            .body
            .split_whitespace()
            .filter_map(|word| word.strip_prefix(base))
            .filter(|rest| rest.starts_with(path));
        let link = links
            .next()
            .unwrap_or_else(|| panic!("no {path} in {}", self.body));
        assert!(links.next().is_none());
        link.to_owned()
    }

    pub(crate) fn subject(&self) -> &str {
        let line = self
            .head
            .lines()
            .find_map(|line| line.strip_prefix("Subject: "));
        line.unwrap_or_default()
    }
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        Self::moody(&[]).await
    }

    pub(crate) async fn moody(moods: Moods) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, letters) = mpsc::channel(64);
        // Ends with the test's runtime.
        TaskTracker::new().spawn(async move {
            let mut moods = moods.iter();
            while let Ok((stream, _)) = listener.accept().await {
                // One after the other, as letters are sent.
                let _ = converse(stream, &mut moods, &sender).await;
            }
        });
        Self {
            port,
            letters: Mutex::new(letters),
        }
    }

    /// The next letter.
    pub(crate) async fn letter(&self) -> Received {
        let mut letters = self.letters.lock().await;
        let letter = timeout(Duration::from_secs(10), letters.recv()).await;
        letter.expect("a letter within 10 s").unwrap()
    }

    /// Nothing more comes.
    pub(crate) async fn is_quiet(&self) {
        let mut letters = self.letters.lock().await;
        let letter = timeout(Duration::from_millis(300), letters.recv()).await;
        assert!(letter.is_err(), "{letter:?}");
    }
}

async fn converse(
    stream: TcpStream,
    moods: &mut std::slice::Iter<'static, &'static str>,
    sender: &mpsc::Sender<Received>,
) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test\r\n").await?;
    let mut to = Vec::new();
    while let Some(line) = lines.next_line().await? {
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-test\r\n250 8BITMIME",
            "RCPT" => {
                let mood = moods.next().copied().unwrap_or("250 ok");
                if mood.starts_with('2') {
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                    to.push(address.to_owned());
                }
                mood
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut letter = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    letter.push_str(line.strip_prefix('.').unwrap_or(&line));
                    letter.push_str("\r\n");
                }
                let (head, body) = letter.split_once("\r\n\r\n").unwrap_or((&letter, ""));
                let received = Received {
                    to: std::mem::take(&mut to),
                    head: head.to_owned(),
                    body: decoded(head, body),
                };
                let _ = sender.send(received).await;
                "250 taken"
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// Quoted-printable (RFC 2045 section 6.7), if that is what it is.
fn decoded(head: &str, body: &str) -> String {
    if !head.contains("quoted-printable") {
        return body.to_owned();
    }
    let joined = body.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let [first, more @ ..] = rest {
        if *first == b'=' && more.len() >= 2 {
            let hex = std::str::from_utf8(&more[..2]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).unwrap()
}
