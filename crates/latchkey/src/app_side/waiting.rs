//! What a person sees while a command waits: a spinner with the elapsed time on a terminal,
//! one line elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::time::{Instant, interval};

use crate::output;

const FRAME: Duration = Duration::from_millis(120);
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Runs `work` while saying that it is waited for, and for how long it was.
pub(crate) async fn show<T>(what: &str, work: impl Future<Output = T>) -> T {
    follow(what, work, clock).await
}

/// Runs `work` while saying that it is waited for, and for how long it will be at most.
pub(crate) async fn show_left<T>(what: &str, left: Duration, work: impl Future<Output = T>) -> T {
    let told = |passed| format!("{} left", clock(left.saturating_sub(passed)));
    follow(what, work, told).await
}

async fn follow<T>(
    what: &str,
    work: impl Future<Output = T>,
    told: impl Fn(Duration) -> String,
) -> T {
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
                output::progress(&format!("{frame} {what} … {}", told(began.elapsed())));
            }
        }
    }
    unreachable!("the frames repeat for ever")
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

struct Line;

impl Drop for Line {
    fn drop(&mut self) {
        output::progress("");
    }
}
