//! Sets up the log of a process: one JSON object per line, or lines for people.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use tracing::{Subscriber, error};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
};

use crate::log_writer::LogWriter;

/// Where the process's log goes out.
static OUT: OnceLock<LogWriter> = OnceLock::new();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal.
    Human,
    /// One object per line, fields at the top level; for everything else.
    Json,
}

impl Format {
    /// Human at a terminal, JSON where a program reads.
    pub fn for_output(output: &impl IsTerminal) -> Self {
        if output.is_terminal() {
            Self::Human
        } else {
            Self::Json
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InitLoggingError {
    #[error("log filter is not understood: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("the log is already set up")]
    AlreadySet,
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(#[from] io::Error),
}

/// Makes the process's log and routes panics into it. Before the process ends, [`flush_log`].
///
/// `filter` is written as in `info,latchkey=debug`.
pub fn init_logging(
    format: Format,
    filter: &str,
    output: impl Write + Send + 'static,
) -> Result<(), InitLoggingError> {
    let writer = LogWriter::start(output)?;
    let subscriber = subscriber(format, filter, writer.clone())?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| InitLoggingError::AlreadySet)?;
    // The subscriber is the first, so this is as well.
    let _ = OUT.set(writer);
    std::panic::set_hook(Box::new(|panic| log_panic(panic.location())));
    Ok(())
}

/// Waits until the last line of the process's log is written.
pub fn flush_log() {
    if let Some(writer) = OUT.get() {
        writer.flush();
    }
}

/// The same log without making it the process's; for tests.
pub fn subscriber<W>(
    format: Format,
    filter: &str,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, InitLoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter)?;
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Human => fmt::layer().compact().with_writer(writer).boxed(),
        Format::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(writer)
            .boxed(),
    };
    Ok(Registry::default().with(lines).with(filter))
}

/// Where, not what: a panic's message may quote the value that caused it.
fn log_panic(location: Option<&std::panic::Location<'_>>) {
    let thread = std::thread::current();
    error!(
        panic.file = location.map(std::panic::Location::file),
        panic.line = location.map(std::panic::Location::line),
        panic.thread = thread.name(),
        "a task panicked; its request was given up",
    );
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, write: impl FnOnce()) -> String {
        let log = Captured::default();
        let writer = log.clone();
        let subscriber = subscriber(format, "info", move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, write);
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn panics_are_logged_by_place() {
        let text = logged(Format::Json, || {
            log_panic(Some(std::panic::Location::caller()));
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert!(line["panic.file"].as_str().unwrap().ends_with("logging.rs"));
        assert!(line["panic.line"].is_u64());
    }

    #[test]
    fn text_from_outside_cannot_forge_a_line_or_drive_a_terminal() {
        let hostile = "\x1b[2J\nERROR forged";
        for format in [Format::Json, Format::Human] {
            let text = logged(format, || {
                tracing::info!(app.name = hostile, "an app asked");
            });
            assert_eq!(text.trim_end().lines().count(), 1, "{text}");
            assert!(!text.contains("\x1b[2J"), "{text}");
        }
    }

    #[test]
    fn filter_that_is_not_understood_is_refused() {
        let refused = subscriber(Format::Json, "latchkey=loud", io::sink)
            .err()
            .unwrap();
        assert!(
            refused
                .to_string()
                .starts_with("log filter is not understood")
        );
    }
}
