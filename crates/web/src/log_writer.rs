//! Where lines of the log go out: a thread of their own writes together what came within a moment.
//!
//! A busy relay has a line for each request, and a `write` for each line is a large part of what a
//! small request costs. Lines wait for [`GATHER`] at most; warnings and errors do not wait, and take
//! with them what came before. Nothing is thrown away: with more than [`MOST`] waiting, whoever has a
//! line waits too, as for any `write`.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// For how long lines are gathered.
const GATHER: Duration = Duration::from_millis(5);
/// Bytes that may wait.
const MOST: usize = 1 << 20;

/// Lines on their way to one output. Clones share it.
#[derive(Clone)]
pub struct LogWriter(Arc<Shared>);

struct Shared {
    lines: Mutex<Lines>,
    /// For the thread: there is something, or somebody waits.
    come: Condvar,
    /// For who waits: something has been written.
    gone: Condvar,
}

#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    /// Bytes that came, and bytes that were written.
    taken: u64,
    written: u64,
    /// Somebody waits until all that came is written.
    urgent: bool,
}

impl LogWriter {
    /// Starts the thread.
    pub fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            lines: Mutex::default(),
            come: Condvar::new(),
            gone: Condvar::new(),
        });
        let writing = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("log".to_owned());
        // It ends with the process: see `flush`.
        thread.spawn(move || writing.write_out(output))?;
        Ok(Self(shared))
    }

    /// Waits until everything that came is written.
    pub fn flush(&self) {
        self.0.flush();
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_out(&self, mut output: impl Write) {
        let mut piece = Vec::new();
        loop {
            let mut lines = self.lines();
            while lines.waiting.is_empty() {
                lines.urgent = false;
                lines = wait(&self.come, lines);
            }
            if !lines.urgent {
                let gathered = self
                    .come
                    .wait_timeout_while(lines, GATHER, |lines| !lines.urgent);
                lines = gathered.unwrap_or_else(PoisonError::into_inner).0;
            }
            lines.urgent = false;
            std::mem::swap(&mut piece, &mut lines.waiting);
            drop(lines);
            // There is nobody to tell that the log cannot be written.
            let _ = output.write_all(&piece).and_then(|()| output.flush());
            let mut lines = self.lines();
            lines.written += piece.len() as u64;
            drop(lines);
            piece.clear();
            self.gone.notify_all();
        }
    }

    fn take(&self, line: &[u8]) {
        let mut lines = self.lines();
        while lines.waiting.len() > MOST {
            lines.urgent = true;
            self.come.notify_one();
            lines = wait(&self.gone, lines);
        }
        let is_first = lines.waiting.is_empty();
        lines.waiting.extend_from_slice(line);
        lines.taken += line.len() as u64;
        drop(lines);
        if is_first {
            self.come.notify_one();
        }
    }

    fn flush(&self) {
        let mut lines = self.lines();
        let until = lines.taken;
        while lines.written < until {
            lines.urgent = true;
            self.come.notify_one();
            lines = wait(&self.gone, lines);
        }
    }
}

fn wait<'a>(condition: &Condvar, lines: MutexGuard<'a, Lines>) -> MutexGuard<'a, Lines> {
    condition
        .wait(lines)
        .unwrap_or_else(PoisonError::into_inner)
}

/// One event's way out.
pub struct LogLine<'a> {
    shared: &'a Shared,
    urgent: bool,
}

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.shared.take(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shared.flush();
        Ok(())
    }
}

impl Drop for LogLine<'_> {
    fn drop(&mut self) {
        if self.urgent {
            self.shared.flush();
        }
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LogLine {
            shared: &self.0,
            urgent: false,
        }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Self::Writer {
        LogLine {
            shared: &self.0,
            urgent: *of.level() <= Level::WARN,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Hands each piece over; takes the next one when that was received.
    struct Pieces(SyncSender<Vec<u8>>);

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn pieces() -> (LogWriter, Receiver<Vec<u8>>) {
        let (sender, receiver) = sync_channel(0);
        (LogWriter::start(Pieces(sender)).unwrap(), receiver)
    }

    #[test]
    fn lines_of_a_moment_go_together_and_in_order() {
        let (writer, pieces) = pieces();
        writer.make_writer().write_all(b"first\n").unwrap();
        // Whatever the first piece is, the others wait until it is out.
        let mut all = String::from_utf8(pieces.recv().unwrap()).unwrap();
        for number in 0..100 {
            let line = format!("{number}\n");
            writer.make_writer().write_all(line.as_bytes()).unwrap();
        }
        let mut received = 1;
        while all.lines().count() < 101 {
            all += &String::from_utf8(pieces.recv().unwrap()).unwrap();
            received += 1;
        }
        let wanted: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        let wanted = format!("first\n{}\n", wanted.join("\n"));
        assert_eq!(all, wanted);
        assert!(received < 50, "{received} writes for 101 lines");
    }

    #[test]
    fn with_too_much_on_its_way_whoever_has_a_line_waits() {
        let (writer, pieces) = pieces();
        let line = vec![b'x'; MOST / 2];
        let writing = std::thread::spawn(move || {
            for _ in 0..20 {
                writer.make_writer().write_all(&line).unwrap();
                assert!(writer.0.lines().waiting.len() <= MOST * 3 / 2);
            }
            writer.flush();
        });
        let mut bytes = 0;
        while bytes < MOST * 10 {
            bytes += pieces.recv().unwrap().len();
        }
        writing.join().unwrap();
        assert_eq!(bytes, MOST * 10);
    }

    #[test]
    fn warnings_are_written_when_the_call_returns() {
        use tracing_subscriber::layer::SubscriberExt as _;

        let written = Arc::new(Mutex::new(Vec::new()));
        let writer = LogWriter::start(Kept(Arc::clone(&written))).unwrap();
        let layer = tracing_subscriber::fmt::layer().with_writer(writer);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("before");
            tracing::warn!("it is late");
        });
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.find("before") < text.find("it is late"), "{text}");
        assert!(text.contains("it is late"), "{text}");
    }
}
