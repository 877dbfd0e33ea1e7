//! What `./bench` is made of, and lines for tests.
//!
//! Nothing here is part of a release. [`shaper`] is for tests too; the rest measures, and is described in
//! `docs/reference/performance.md`.

pub mod board;
pub mod certificates;
pub mod contenders;
pub mod frames;
#[cfg(target_os = "linux")]
pub mod hosts;
pub mod load;
pub mod paths;
pub mod payload;
pub mod peer;
pub mod process;
#[cfg(target_os = "linux")]
pub mod report;
pub mod shaper;
#[cfg(target_os = "linux")]
pub mod slow;
pub mod stats;

/// Tells whoever waits how far it is.
pub fn say(what: &str) {
    #[expect(
        clippy::print_stderr,
        reason = "the one place that tells how far it is"
    )]
    {
        eprintln!("bench: {what}");
    }
}
