//! Peers that speak raw bytes: a client ([`RawConnection`]) and an upstream that follows a script ([`RawUpstream`]).
//! Both keep everything they receive, and both can do what a well-behaved HTTP library never would: stop in the middle,
//! close one direction, reset.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::{PATIENCE, within};

/// How a peer ended its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// FIN: nothing more will come.
    Closed,
    /// RST: the connection is gone.
    Reset,
}

/// One TCP connection, byte for byte.
pub(crate) struct RawConnection {
    stream: TcpStream,
    received: Vec<u8>,
    /// How much of `received` earlier reads have returned.
    consumed: usize,
}

impl RawConnection {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(
            within("a connection", TcpStream::connect(address))
                .await
                .unwrap(),
        )
    }

    /// A connection that is open already.
    pub(crate) fn over(stream: TcpStream) -> Self {
        // Each send is a segment of its own, as far as the kernel can be made to.
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            received: Vec::new(),
            consumed: 0,
        }
    }

    /// The socket alone, for a test that reads in its own way.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    /// Like [`Self::send`], for a peer that may have gone.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        within(
            "the peer to take what is sent",
            self.stream.write_all(bytes.as_ref()),
        )
        .await
    }

    /// Reads up to and including `needle` and returns what was read since the last call.
    pub(crate) async fn read_until(&mut self, needle: impl AsRef<[u8]>) -> Vec<u8> {
        let needle = needle.as_ref();
        self.read_when(|bytes| find(bytes, needle).map(|at| at + needle.len()))
            .await
            .unwrap()
    }

    pub(crate) async fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        self.read_when(|bytes| (bytes.len() >= count).then_some(count))
            .await
            .unwrap()
    }

    /// Reads until `complete` says how many of the bytes not yet returned make up what is wanted.
    /// `Err` tells what came instead, when the peer ended first or [`PATIENCE`] ran out.
    pub(crate) async fn read_when(
        &mut self,
        complete: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<Vec<u8>, String> {
        let reading = async {
            loop {
                if let Some(count) = complete(&self.received[self.consumed..]) {
                    self.consumed += count;
                    return Ok(self.received[self.consumed - count..self.consumed].to_vec());
                }
                if let Some(end) = self.read_some().await {
                    return Err(format!("the peer ended ({end:?})"));
                }
            }
        };
        let result = timeout(PATIENCE, reading)
            .await
            .unwrap_or_else(|_| Err("nothing more came in time".to_owned()));
        result.map_err(|problem| format!("{problem}; unread: {}", self.unread().escape_ascii()))
    }

    /// Reads the head of a response.
    pub(crate) async fn read_response_head(&mut self) -> RawResponse {
        let head = String::from_utf8(self.read_until("\r\n\r\n").await).unwrap();
        let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
        RawResponse {
            status_line: lines.next().unwrap(),
            fields: lines.collect(),
            body: Vec::new(),
        }
    }

    /// Reads one response whose end its head tells, and fails on one that is cut short.
    pub(crate) async fn read_response(&mut self) -> RawResponse {
        let mut response = self.read_response_head().await;
        let status = response.status();
        let bodiless = status < 200 || status == 204 || status == 304;
        if response
            .field("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
        {
            response.body = self.read_chunks().await;
        } else if let (Some(length), false) = (response.field("content-length"), bodiless) {
            let length = length.parse().unwrap();
            response.body = self.read_exactly(length).await;
        } else if !bodiless {
            let (rest, end) = self.read_to_end().await;
            assert_eq!(end, End::Closed, "the body was cut short");
            response.body = rest;
        }
        response
    }

    /// Reads the head of a request.
    pub(crate) async fn read_request_head(&mut self) -> RawRequest {
        let head = self.read_until("\r\n\r\n").await;
        // Field values may hold any byte; Latin-1 keeps them apart.
        let head: String = head.into_iter().map(char::from).collect();
        let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
        RawRequest {
            line: lines.next().unwrap(),
            fields: lines.collect(),
            body: Vec::new(),
        }
    }

    /// Reads one request with its body, whichever way that is framed.
    pub(crate) async fn read_request(&mut self) -> RawRequest {
        let mut request = self.read_request_head().await;
        if request.field("transfer-encoding").is_some() {
            request.body = self.read_chunks().await;
        } else if let Some(length) = request.field("content-length") {
            let length = length.parse().unwrap();
            request.body = self.read_exactly(length).await;
        }
        request
    }

    /// Reads a body in chunks, and removes their framing.
    pub(crate) async fn read_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.read_until("\r\n").await).unwrap();
            let size =
                usize::from_str_radix(line.trim_end().split(';').next().unwrap(), 16).unwrap();
            if size == 0 {
                while self.read_until("\r\n").await != b"\r\n" {} // trailers
                return body;
            }
            body.extend(self.read_exactly(size).await);
            assert_eq!(self.read_exactly(2).await, b"\r\n");
        }
    }

    /// Reads until the peer ends its direction; returns what was not yet read.
    pub(crate) async fn read_to_end(&mut self) -> (Vec<u8>, End) {
        let end = within("the peer to close", async {
            loop {
                if let Some(end) = self.read_some().await {
                    return end;
                }
            }
        })
        .await;
        let rest = self.unread().to_vec();
        self.consumed = self.received.len();
        (rest, end)
    }

    /// Fails the test if anything, the peer's closing included, arrives within `duration`.
    pub(crate) async fn expect_silence(&mut self, duration: Duration) {
        assert_eq!(
            self.unread().escape_ascii().to_string(),
            "",
            "expected silence"
        );
        if let Ok(end) = timeout(duration, self.read_some()).await {
            panic!(
                "expected silence, got {} (end: {end:?})",
                self.unread().escape_ascii()
            );
        }
    }

    /// Everything received since the connection began.
    pub(crate) fn received(&self) -> &[u8] {
        &self.received
    }

    /// Ends our direction only.
    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Ends the connection with RST, whatever is still on its way.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    fn unread(&self) -> &[u8] {
        &self.received[self.consumed..]
    }

    /// Waits for bytes and keeps them; `Some` when there will be no more.
    async fn read_some(&mut self) -> Option<End> {
        self.received.reserve(16 * 1024);
        match self.stream.read_buf(&mut self.received).await {
            Ok(0) => Some(End::Closed),
            Ok(_) => None,
            Err(_) => Some(End::Reset),
        }
    }
}

/// A response as it came: fields in their order and spelling, the body with chunk framing removed.
#[derive(Debug)]
pub(crate) struct RawResponse {
    pub(crate) status_line: String,
    pub(crate) fields: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl RawResponse {
    pub(crate) fn status(&self) -> u16 {
        self.status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap()
    }

    /// The first field of that name, in any case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.values(name).first().copied()
    }

    /// The values of all fields of that name, in any case.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter_map(|line| line.split_once(':'))
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }
}

/// A request as it came: fields in their order and spelling.
#[derive(Debug)]
pub(crate) struct RawRequest {
    pub(crate) line: String,
    pub(crate) fields: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl RawRequest {
    /// The values of all fields of that name, in any case.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter_map(|line| line.split_once(':'))
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The value of a field that must not be there twice.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} more than once in {self:?}");
        values.first().copied()
    }

    /// The names of all fields, in lower case.
    pub(crate) fn names(&self) -> Vec<String> {
        self.fields
            .iter()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect()
    }
}

/// Lets a test say when a script goes on.
#[derive(Clone)]
pub(crate) struct Signal(Arc<watch::Sender<bool>>);

impl Default for Signal {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Signal {
    pub(crate) fn give(&self) {
        self.0.send_replace(true);
    }

    async fn given(&self) {
        self.0.subscribe().wait_for(|given| *given).await.unwrap();
    }
}

/// One step of an upstream's script.
#[derive(Clone)]
pub(crate) enum Act {
    /// Read up to and including these bytes.
    Until(Vec<u8>),
    /// Read this many bytes.
    Exactly(usize),
    /// Read until the caller ends its direction.
    ToEnd,
    Send(Vec<u8>),
    Wait(Signal),
    /// End our direction only.
    HalfClose,
    /// Close both directions (FIN); later steps are left out.
    Close,
    /// Reset (RST); later steps are left out.
    Reset,
}

impl Act {
    pub(crate) fn until(needle: impl AsRef<[u8]>) -> Self {
        Self::Until(needle.as_ref().to_vec())
    }

    pub(crate) fn send(bytes: impl AsRef<[u8]>) -> Self {
        Self::Send(bytes.as_ref().to_vec())
    }

    pub(crate) fn wait(signal: &Signal) -> Self {
        Self::Wait(signal.clone())
    }
}

/// What one connection of a [`RawUpstream`] saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    pub(crate) received: Vec<u8>,
    /// How the caller ended, if a step waited for it.
    pub(crate) end: Option<End>,
    /// The script ran to its end, or to this problem.
    outcome: Option<Result<(), String>>,
}

/// An upstream that plays one script per connection, in the order in which connections arrive, and then closes each.
/// A connection beyond the last script is counted, gets a transcript, and is closed at once. Stops when dropped.
pub(crate) struct RawUpstream {
    address: SocketAddr,
    transcripts: watch::Receiver<Vec<Transcript>>,
    scripts: usize,
    serving: AbortHandle,
}

impl RawUpstream {
    pub(crate) async fn start(scripts: impl IntoIterator<Item = Vec<Act>>) -> Self {
        let scripts: Vec<_> = scripts.into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, transcripts) = watch::channel(Vec::new());
        let count = scripts.len();
        let serving = tokio::spawn(serve(listener, scripts, Arc::new(seen))).abort_handle();
        Self {
            address,
            transcripts,
            scripts: count,
            serving,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.transcripts.borrow().len()
    }

    /// What connection `index` (from 0) has received so far: after each step of its script, and at its end.
    pub(crate) fn received(&self, index: usize) -> Vec<u8> {
        self.transcripts
            .borrow()
            .get(index)
            .map(|transcript| transcript.received.clone())
            .unwrap_or_default()
    }

    /// Waits until each script was played to its end, and fails the test if one could not be.
    pub(crate) async fn finished(&self) -> Vec<Transcript> {
        let mut transcripts = self.transcripts.clone();
        let done = transcripts.wait_for(|all| {
            all.iter()
                .filter(|transcript| transcript.outcome.is_some())
                .count()
                >= self.scripts
        });
        let all = within("each script to end", done).await.unwrap().clone();
        for (index, transcript) in all.iter().enumerate() {
            if let Some(Err(problem)) = &transcript.outcome {
                panic!("connection {index} of the upstream: {problem}");
            }
        }
        all
    }
}

impl Drop for RawUpstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    listener: TcpListener,
    scripts: Vec<Vec<Act>>,
    seen: Arc<watch::Sender<Vec<Transcript>>>,
) {
    let mut scripts = scripts.into_iter();
    // Dropped, and its tasks ended, when this task is.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let script = scripts.next().unwrap_or_else(|| vec![Act::Close]);
        let mut index = 0;
        seen.send_modify(|all| {
            index = all.len();
            all.push(Transcript::default());
        });
        connections.spawn(play(
            script,
            RawConnection::over(stream),
            index,
            Arc::clone(&seen),
        ));
    }
}

async fn play(
    script: Vec<Act>,
    connection: RawConnection,
    index: usize,
    seen: Arc<watch::Sender<Vec<Transcript>>>,
) {
    let mut transcript = Transcript::default();
    let mut connection = Some(connection);
    for (number, act) in script.into_iter().enumerate() {
        let step = perform(act, &mut connection, &mut transcript).await;
        if let Some(connection) = &connection {
            connection.received().clone_into(&mut transcript.received);
        }
        if let Err(problem) = step {
            transcript.outcome = Some(Err(format!("step {number}: {problem}")));
            break;
        }
        seen.send_modify(|all| all[index].clone_from(&transcript));
        if connection.is_none() {
            break;
        }
    }
    drop(connection);
    transcript.outcome.get_or_insert(Ok(()));
    seen.send_modify(|all| all[index].clone_from(&transcript));
}

/// Takes one step; leaves `connection` empty when it is over.
async fn perform(
    act: Act,
    slot: &mut Option<RawConnection>,
    transcript: &mut Transcript,
) -> Result<(), String> {
    let connection = slot.as_mut().expect("a script ends with its connection");
    match act {
        Act::Until(needle) => {
            connection
                .read_when(|bytes| find(bytes, &needle).map(|at| at + needle.len()))
                .await?;
        }
        Act::Exactly(count) => {
            connection
                .read_when(|bytes| (bytes.len() >= count).then_some(count))
                .await?;
        }
        Act::ToEnd => transcript.end = Some(connection.read_to_end().await.1),
        // A caller that is gone shows when the script next reads, or in what the test expects of it.
        Act::Send(bytes) => drop(connection.try_send(bytes).await),
        Act::Wait(signal) => {
            timeout(PATIENCE, signal.given())
                .await
                .map_err(|_| "the signal was never given".to_owned())?;
        }
        Act::HalfClose => connection.half_close().await,
        Act::Close => *slot = None,
        Act::Reset => slot.take().expect("just used").reset(),
    }
    Ok(())
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_play_their_scripts_in_order() {
        let upstream = RawUpstream::start([
            vec![
                Act::until("\n"),
                Act::send("first"),
                Act::HalfClose,
                Act::ToEnd,
            ],
            vec![
                Act::Exactly(3),
                Act::send("second"),
                Act::Close,
                Act::send("never"),
            ],
        ])
        .await;

        let mut one = RawConnection::connect(upstream.address()).await;
        let mut two = RawConnection::connect(upstream.address()).await;
        two.send("abc").await;
        one.send("hello ").await;
        one.send("you\nrest").await;
        assert_eq!(one.read_to_end().await, (b"first".to_vec(), End::Closed));
        assert_eq!(two.read_to_end().await, (b"second".to_vec(), End::Closed));
        one.half_close().await;

        let transcripts = upstream.finished().await;
        assert_eq!(transcripts[0].received, b"hello you\nrest");
        assert_eq!(transcripts[0].end, Some(End::Closed));
        assert_eq!(transcripts[1].received, b"abc");
        assert_eq!(upstream.connections(), 2);

        let mut beyond = RawConnection::connect(upstream.address()).await;
        assert_eq!(beyond.read_to_end().await, (Vec::new(), End::Closed));
        assert_eq!(upstream.connections(), 3);
    }

    #[tokio::test]
    async fn reset_is_told_from_close_on_both_sides() {
        let upstream = RawUpstream::start([
            vec![Act::until("go"), Act::Reset],
            vec![Act::send("here"), Act::ToEnd],
        ])
        .await;
        let mut caller = RawConnection::connect(upstream.address()).await;
        caller.send("go").await;
        assert_eq!(caller.read_to_end().await.1, End::Reset);

        let mut caller = RawConnection::connect(upstream.address()).await;
        assert_eq!(caller.read_exactly(4).await, b"here");
        caller.reset();
        assert_eq!(upstream.finished().await[1].end, Some(End::Reset));
    }

    #[tokio::test]
    async fn signal_holds_a_script_and_silence_is_seen() {
        let go = Signal::default();
        let upstream =
            RawUpstream::start([vec![Act::until("a"), Act::wait(&go), Act::send("b")]]).await;
        let mut caller = RawConnection::connect(upstream.address()).await;
        caller.send("a").await;
        caller.expect_silence(Duration::from_millis(50)).await;
        assert_eq!(upstream.received(0), b"a");
        go.give();
        assert_eq!(caller.read_until("b").await, b"b");
        assert_eq!(caller.received(), b"b");
    }

    #[tokio::test]
    async fn responses_are_read_to_their_end_and_no_further() {
        let answers = "HTTP/1.1 200 OK\r\nX-Twice: 1\r\nx-twice: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n\
                       HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n\
                       HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno\
                       HTTP/1.0 200 OK\r\n\r\nuntil the end";
        let upstream = RawUpstream::start([vec![Act::send(answers)]]).await;
        let mut caller = RawConnection::connect(upstream.address()).await;
        let chunked = caller.read_response().await;
        assert_eq!(
            (chunked.status(), chunked.body.as_slice()),
            (200, &b"abcde"[..])
        );
        assert_eq!(
            (chunked.field("X-TWICE"), chunked.fields.len()),
            (Some("1"), 3)
        );
        assert_eq!(caller.read_response().await.status(), 304);
        assert_eq!(caller.read_response().await.body, b"no");
        assert_eq!(caller.read_response().await.body, b"until the end");
    }

    #[tokio::test]
    #[should_panic(
        expected = "connection 0 of the upstream: step 0: the peer ended (Closed); unread: not it"
    )]
    async fn script_that_cannot_be_played_fails_the_test() {
        let upstream = RawUpstream::start([vec![Act::until("needle")]]).await;
        let mut caller = RawConnection::connect(upstream.address()).await;
        caller.send("not it").await;
        caller.half_close().await;
        upstream.finished().await;
    }
}
