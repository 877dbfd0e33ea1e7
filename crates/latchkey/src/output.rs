//! The one place that prints. Results go to standard output, everything else to
//! standard error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this module is where printing is allowed"
)]

use std::io::Write;

/// A result: what a script reads.
pub(crate) fn result(text: &str) {
    println!("{text}");
    // A pipe is not flushed by line ends; its reader waits for this one.
    let _ = std::io::stdout().flush();
}

/// A word to the person at the terminal.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// A line on a terminal that the next one replaces; an empty one erases it.
pub(crate) fn progress(text: &str) {
    eprint!("\r\x1b[2K{text}");
}

/// The last word of a command that failed, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("latchkey: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Many errors repeat their cause in their own text.
        if !said.contains(&cause) {
            eprintln!("  because: {cause}");
            said = cause;
        }
    }
}
