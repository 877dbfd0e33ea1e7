//! What was measured, round by round, and the tables of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::contenders::NAMES;
use crate::stats::{Spread, short};

/// One thing that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Its name here.
    pub key: &'static str,
    /// Its name for people, with the unit.
    pub title: &'static str,
    /// What Latchkey's part of another's throughput must be, and what it should be.
    pub figures: &'static [(&'static str, f64, f64)],
}

const fn measure(
    key: &'static str,
    title: &'static str,
    figures: &'static [(&'static str, f64, f64)],
) -> Measure {
    Measure {
        key,
        title,
        figures,
    }
}

/// More is better.
pub const THROUGHPUT: [Measure; 8] = [
    measure("rps-1", "requests/s, 1 connection", &[]),
    measure(
        "rps-32",
        "requests/s, 32 connections",
        &[
            ("direct", 0.28, 0.40),
            ("nginx", 0.40, 0.55),
            ("rathole", 0.70, 1.0),
            ("bore", 0.47, 0.65),
        ],
    ),
    measure(
        "rps-256",
        "requests/s, 256 connections",
        &[
            ("direct", 0.24, 0.35),
            ("nginx", 0.40, 0.55),
            ("rathole", 1.0, 1.3),
            ("bore", 0.45, 0.60),
        ],
    ),
    measure(
        "fresh",
        "requests/s, each on a new connection",
        &[
            ("direct", 0.50, 0.65),
            ("nginx", 0.50, 0.65),
            ("rathole", 9.0, 12.0),
            ("bore", 1.8, 2.2),
        ],
    ),
    measure(
        "down",
        "download, MB/s",
        &[
            ("direct", 0.20, 0.30),
            ("nginx", 0.52, 0.75),
            ("rathole", 1.15, 1.5),
            ("bore", 0.80, 1.0),
        ],
    ),
    measure(
        "up",
        "upload, MB/s",
        &[
            ("direct", 0.12, 0.18),
            ("nginx", 0.9, 1.3),
            ("rathole", 1.0, 1.3),
            ("bore", 0.65, 0.9),
        ],
    ),
    measure(
        "echo",
        "WebSocket echoes/s, 32 sockets",
        &[
            ("direct", 0.38, 0.50),
            ("nginx", 0.70, 0.85),
            ("rathole", 1.2, 1.4),
            ("bore", 1.1, 1.25),
        ],
    ),
    measure(
        "viewers",
        "webcam of 10 pictures/s: whole ones a second, of each viewer",
        &[],
    ),
];

/// Less is better.
pub const LATENCY: [Measure; 2] = [
    measure("p50", "latency at a fixed rate, median, ms", &[]),
    measure("p99", "latency at a fixed rate, 99 of 100, ms", &[]),
];

/// Less is better.
pub const PROCESSOR: [Measure; 5] = [
    measure("cpu-10k", "CPU-s for 10,000 requests, 32 connections", &[]),
    measure(
        "cpu-fresh",
        "CPU-s for 10,000 requests on new connections",
        &[],
    ),
    measure("cpu-down", "CPU-s for 1 GB down", &[]),
    measure("cpu-up", "CPU-s for 1 GB up", &[]),
    measure("cpu-viewers", "CPU-s for 10 s of the webcam's viewers", &[]),
];

/// Less is better.
pub const MEMORY: [Measure; 2] = [
    measure("rest", "resident at rest, MiB", &[]),
    measure("peak", "resident at most, MiB", &[]),
];

/// All values, by measure and contender, in the order of rounds.
#[derive(Debug, Default)]
pub struct Board {
    values: BTreeMap<(&'static str, &'static str), Vec<Option<f64>>>,
    /// What went wrong, in sentences.
    pub troubles: Vec<String>,
}

impl Board {
    /// Notes what a round gave; nothing if it failed.
    pub fn note(&mut self, key: &'static str, contender: &'static str, value: Option<f64>) {
        self.values.entry((key, contender)).or_default().push(value);
    }

    /// What the last round gave.
    pub fn last(&self, key: &'static str, contender: &'static str) -> Option<f64> {
        *self.values.get(&(key, contender))?.last()?
    }

    /// The values of all rounds that gave one.
    pub fn spread(&self, key: &'static str, contender: &'static str) -> Option<Spread> {
        let values = self.values.get(&(key, contender))?;
        Spread::of(&values.iter().flatten().copied().collect::<Vec<_>>())
    }

    /// One contender's part of another's, round by round.
    pub fn ratio(&self, key: &'static str, of: &'static str, to: &'static str) -> Option<Spread> {
        let (of, to) = (self.values.get(&(key, of))?, self.values.get(&(key, to))?);
        let pairs = of.iter().zip(to);
        let ratios: Vec<_> = pairs
            .filter_map(|(of, to)| Some((*of)? / (*to)?))
            .filter(|ratio| ratio.is_finite())
            .collect();
        Spread::of(&ratios)
    }

    fn present(&self) -> Vec<&'static str> {
        let is_there = |name: &&str| self.values.keys().any(|(_, one)| one == name);
        NAMES.into_iter().filter(is_there).collect()
    }

    /// A table of what was measured.
    pub fn absolute(&self, measures: &[Measure]) -> String {
        let present = self.present();
        let mut text = head("", &present);
        for measure in measures {
            let cells = present.iter().map(|name| {
                let spread = self.spread(measure.key, name);
                spread.map_or("–".to_owned(), |spread| spread.to_string())
            });
            row(&mut text, measure.title, cells);
        }
        text
    }

    /// A table of Latchkey's part of the others' values, with what it must be and should be.
    pub fn ratios(&self, measures: &[Measure]) -> String {
        let mut others = self.present();
        others.retain(|name| *name != "latchkey");
        let mut text = head("Latchkey's part of", &others);
        for measure in measures {
            let cells = others.iter().map(|name| {
                let Some(ratio) = self.ratio(measure.key, "latchkey", name) else {
                    return "–".to_owned();
                };
                let figures = measure.figures.iter().find(|(whose, ..)| whose == name);
                let judged = figures.map(|(_, must, goal)| {
                    let word = match ratio.median {
                        enough if enough >= *goal => "goal reached",
                        enough if enough >= *must => "reached",
                        _ => "**missed**",
                    };
                    format!("; {} / {}: {word}", short(*must), short(*goal))
                });
                format!("{ratio}{}", judged.unwrap_or_default())
            });
            row(&mut text, measure.title, cells);
        }
        text
    }

    /// What must be reached and is not, as a list.
    pub fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        for measure in THROUGHPUT {
            for (name, must, _) in measure.figures {
                let ratio = self.ratio(measure.key, "latchkey", name);
                if let Some(ratio) = ratio.filter(|ratio| ratio.median < *must) {
                    let (is, must) = (short(ratio.median), short(*must));
                    missed.push(format!(
                        "{} against {name}: {is}, must be {must}",
                        measure.title
                    ));
                }
            }
        }
        missed
    }
}

/// The first two lines of a table.
pub fn head(corner: &str, columns: &[&str]) -> String {
    let names = columns.join(" | ");
    format!(
        "| {corner} | {names} |\n|{}\n",
        " --- |".repeat(columns.len() + 1)
    )
}

/// One further line.
pub fn row(text: &mut String, title: &str, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<_> = cells.into_iter().collect();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {title} | {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round_and_judged() {
        let mut board = Board::default();
        for (direct, latchkey) in [
            (Some(1_000.0), 300.0),
            (None, 900.0),
            (Some(2_000.0), 800.0),
        ] {
            board.note("rps-32", "direct", direct);
            board.note("rps-32", "latchkey", Some(latchkey));
            board.note("rps-32", "nginx", Some(10_000.0));
        }
        let ratio = board.ratio("rps-32", "latchkey", "direct").unwrap();
        assert_eq!(
            short(ratio.median),
            "0.35",
            "the failed round does not count"
        );
        let table = board.ratios(&THROUGHPUT);
        assert!(
            table.contains("0.35 (0.30–0.40); 0.28 / 0.40: reached"),
            "{table}"
        );
        assert!(table.contains("0.40 / 0.55: **missed**"), "{table}");
        assert_eq!(
            board.missed(),
            ["requests/s, 32 connections against nginx: 0.08, must be 0.40"]
        );
        assert!(board.absolute(&THROUGHPUT).contains("| 1500 (1000–2000) |"));
    }
}
