//! What went over the simulated serial line, numbered and bounded, for the push socket's log.

use std::collections::VecDeque;

const KEPT: usize = 300;

#[derive(Debug, Default)]
pub(crate) struct Terminal {
    lines: VecDeque<String>,
    /// Number of the next line; line numbers never repeat.
    next: u64,
}

impl Terminal {
    pub(crate) fn sent(&mut self, line: &str) {
        self.push(format!("Send: {line}"));
    }

    pub(crate) fn received(&mut self, line: &str) {
        self.push(format!("Recv: {line}"));
    }

    fn push(&mut self, line: String) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        self.next += 1;
    }

    /// Lines from a number on (as many as are still there), and the number to ask for next time.
    pub(crate) fn since(&self, number: u64) -> (Vec<String>, u64) {
        let behind = usize::try_from(self.next.saturating_sub(number))
            .unwrap_or(KEPT)
            .min(self.lines.len());
        (
            self.lines
                .iter()
                .skip(self.lines.len() - behind)
                .cloned()
                .collect(),
            self.next,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Terminal};

    #[test]
    fn a_reader_gets_each_line_once_and_never_more_than_are_kept() {
        let mut terminal = Terminal::default();
        terminal.sent("G28");
        terminal.received("ok");
        let (lines, next) = terminal.since(0);
        assert_eq!(lines, ["Send: G28", "Recv: ok"]);
        assert!(terminal.since(next).0.is_empty());
        for _ in 0..2 * KEPT {
            terminal.received("ok");
        }
        assert_eq!(terminal.since(next).0.len(), KEPT);
    }
}
