//! Sets up the log of a process: one JSON object per line, or lines for people.

use std::io::IsTerminal;

use tracing::{Subscriber, error};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
};

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
}

/// Makes the process's log and routes panics into it.
///
/// `filter` is written as in `info,latchkey=debug`.
pub fn init_logging<W>(format: Format, filter: &str, writer: W) -> Result<(), InitLoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let subscriber = subscriber(format, filter, writer)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| InitLoggingError::AlreadySet)?;
    std::panic::set_hook(Box::new(|panic| log_panic(panic.location())));
    Ok(())
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
