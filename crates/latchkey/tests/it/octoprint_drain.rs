//! Stopping gently: what runs is finished, what is new is told to come again, and the process ends well.

use bytes::Bytes;
use latchkey_model::app_connection::AccessMode;

use crate::harness::http::{Answer, Generated};
use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint};
use crate::harness::stack::{Connection, Stack};
use crate::harness::within;

const ASKED: &str = "/api/version";
/// More than all buffers between OctoPrint and a caller who does not read.
const CONTENT: Generated = Generated {
    seed: 5,
    size: 64 << 20,
};

/// A download whose caller has read a little and then paused.
struct Download {
    answer: Answer,
    expected: Bytes,
    at: usize,
}

impl Download {
    async fn begin(octoprint: &OctoPrint, connection: &Connection) -> Self {
        let expected = CONTENT.bytes();
        std::fs::write(octoprint.folder().join("uploads/slow.gcode"), &expected).unwrap();
        let asked = connection.get("/downloads/files/local/slow.gcode");
        let answer = asked.header("X-Api-Key", ADMIN_API_KEY).send().await;
        assert_eq!(answer.status(), 200);
        let mut download = Self {
            answer,
            expected,
            at: 0,
        };
        assert!(download.read_some().await);
        download
    }

    async fn read_some(&mut self) -> bool {
        let Some(chunk) = self.answer.chunk().await.unwrap() else {
            return false;
        };
        assert!(self.expected[self.at..].starts_with(&chunk));
        self.at += chunk.len();
        true
    }

    async fn finish(mut self) {
        while self.read_some().await {}
        assert_eq!(self.at, self.expected.len());
    }
}

#[tokio::test]
async fn host_finishes_a_download_before_it_ends() {
    let octoprint = OctoPrint::start().await;
    let mut stack = Stack::before(octoprint.base_url()).start().await;
    let connection = stack.connection(AccessMode::Enhanced).clone();
    let download = Download::begin(&octoprint, &connection).await;
    stack.host.terminate().await;
    stack.await_status(&connection, ASKED, 601).await;
    download.finish().await;
    let status = stack.host.ended().await;
    assert!(status.success(), "{status}: {}", stack.host.log());
    stack.await_status(&connection, ASKED, 601).await;
    stack.start_host().await;
    stack.await_status(&connection, ASKED, 403).await;
}

#[tokio::test]
async fn relay_finishes_a_download_before_it_ends() {
    let octoprint = OctoPrint::start().await;
    let mut stack = Stack::before(octoprint.base_url()).start().await;
    let connection = stack.connection(AccessMode::Enhanced).clone();
    let download = Download::begin(&octoprint, &connection).await;
    stack.relay.terminate().await;
    let refused = async { while connection.get(ASKED).try_send().await.is_ok() {} };
    within("new callers to be refused", refused).await;
    download.finish().await;
    let status = stack.relay.ended().await;
    assert!(status.success(), "{status}: {}", stack.relay.log());
    // The host was left running and comes back to the next relay.
    stack.start_relay().await;
    stack.await_tunnel(0).await;
    stack.await_status(&connection, ASKED, 403).await;
}

#[tokio::test]
async fn second_signal_cuts_what_still_runs() {
    let octoprint = OctoPrint::start().await;
    let mut stack = Stack::before(octoprint.base_url()).start().await;
    let connection = stack.connection(AccessMode::Enhanced).clone();
    let mut download = Download::begin(&octoprint, &connection).await;
    stack.host.terminate().await;
    stack.await_status(&connection, ASKED, 601).await;
    stack.host.terminate().await;
    stack.host.ended().await;
    // The caller sees that it is not the whole file.
    let cut = loop {
        match download.answer.chunk().await {
            Ok(Some(chunk)) => download.at += chunk.len(),
            end => break end,
        }
    };
    assert!(cut.is_err(), "{} bytes passed for the whole", download.at);
}
