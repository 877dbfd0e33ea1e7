//! What a person sees while a command waits: a spinner with the elapsed time on a terminal,
//! one line elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::time::{Instant, interval};

use crate::output;

const FRAME: Duration = Duration::from_millis(120);
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Runs `work` while saying that it is waited for.
pub(crate) async fn show<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !std::io::stderr().is_terminal() {
        output::note(&format!("{what} …"));
        return work.await;
    }
    tokio::pin!(work);
    // Erases the line however this ends, also when it is dropped.
    let _line = Line;
    let began = Instant::now();
    let mut frames = interval(FRAME);
    for frame in FRAMES.iter().cycle() {
        tokio::select! {
            done = &mut work => return done,
            _ = frames.tick() => {
                let seconds = began.elapsed().as_secs();
                let (minutes, seconds) = (seconds / 60, seconds % 60);
                output::progress(&format!("{frame} {what} … {minutes}:{seconds:02}"));
            }
        }
    }
    unreachable!("the frames repeat for ever")
}

struct Line;

impl Drop for Line {
    fn drop(&mut self) {
        output::progress("");
    }
}
