//! What happened at printers, in plain words, and how much data moved.

use askama::Template;
use latchkey_model::activity::Did;
use latchkey_model::printing::EventKind;
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;

use super::{Site, size};

/// `/activity`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/activity.html")]
pub struct ActivityPage {
    pub shell: BarShell,
    pub site: Site,
    pub days: Vec<ActivityDay>,
    /// Where older ones are, if there are any.
    pub older: Option<i64>,
    /// Whether this is not the newest page.
    pub is_later: bool,
}

/// A day in UTC.
#[derive(Debug, Clone)]
pub struct ActivityDay {
    /// "Today", "Yesterday", "2 October 2025".
    pub title: String,
    pub lines: Vec<ActivityLine>,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct ActivityLine {
    pub at: Moment,
    /// At which printer, where several are told of: its id and name.
    pub printer: Option<(String, String)>,
    pub what: ActivityWhat,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum ActivityWhat {
    Did {
        did: Did,
        app: String,
        name: String,
        /// Who, if it was not the person who reads.
        by: Option<String>,
        times: u64,
        bytes: u64,
    },
    Event {
        kind: EventKind,
        file: Option<String>,
        message: Option<String>,
        /// For how long it was away.
        away: Option<String>,
    },
}

impl ActivityWhat {
    /// The size that is told, if one is.
    pub(super) fn size(&self) -> Option<String> {
        match self {
            Self::Did {
                did: Did::Upload,
                bytes,
                ..
            } if *bytes > 0 => Some(size(*bytes)),
            _ => None,
        }
    }

    /// How often, if more than once.
    pub(super) fn times(&self) -> Option<u64> {
        match self {
            Self::Did { times, did, .. } if *times > 1 && *did != Did::WrongPassword => {
                Some(*times)
            }
            _ => None,
        }
    }
}

/// How much data moved for a printer in the last days.
#[derive(Debug, Clone)]
pub struct DataUsed {
    pub bars: Vec<DataBar>,
    /// The top of the plot, in words.
    pub most: String,
    pub half: String,
    /// The first day, and the one in the middle.
    pub first: String,
    pub middle: String,
    pub total: String,
    pub days: usize,
    pub mostly_camera: bool,
}

/// A day's two bars in a plot of 100 high, in tenths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataBar {
    pub x: usize,
    pub sent: u32,
    pub received: u32,
}

impl DataBar {
    pub(super) fn top(tenths: u32) -> String {
        tenth(1000 - tenths.min(1000))
    }

    pub(super) fn height(tenths: u32) -> String {
        tenth(tenths.min(1000))
    }
}

fn tenth(tenths: u32) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A day's traffic: from the printer, of that its camera's, and towards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DayUsed {
    pub sent: u64,
    pub camera: u64,
    pub received: u64,
}

impl DataUsed {
    /// Of days in a row, the oldest first. `date` says which day is so many days ago.
    pub fn of(days: &[DayUsed], date: impl Fn(usize) -> String) -> Self {
        let highest = days.iter().map(|day| day.sent.max(day.received)).max();
        let most = round_up(highest.unwrap_or_default());
        let bar = |(place, day): (usize, &DayUsed)| DataBar {
            x: place * 20,
            sent: share(day.sent, most),
            received: share(day.received, most),
        };
        let sum = |of: fn(&DayUsed) -> u64| days.iter().map(of).fold(0_u64, u64::saturating_add);
        let total = sum(|day| day.sent.saturating_add(day.received));
        let count = days.len();
        Self {
            bars: days.iter().enumerate().map(bar).collect(),
            most: size(most),
            half: size(most / 2),
            first: date(count.saturating_sub(1)),
            middle: date(count / 2),
            total: size(total),
            days: count,
            mostly_camera: sum(|day| day.camera) > total / 2,
        }
    }

    pub(super) fn width(&self) -> usize {
        self.bars.len() * 20
    }
}

/// A round number of bytes that is not smaller: 1, 2, 4, 6, 8 or 10 times a power of ten.
fn round_up(bytes: u64) -> u64 {
    let mut step = 1_000_u64;
    while step < u64::MAX / 100 && bytes > step * 10 {
        step *= 10;
    }
    let found = [1, 2, 4, 6, 8, 10].map(|times| step * times);
    found
        .into_iter()
        .find(|most| bytes <= *most)
        .unwrap_or(u64::MAX)
}

fn share(bytes: u64, most: u64) -> u32 {
    let tenths = u128::from(bytes) * 1000 / u128::from(most.max(1));
    u32::try_from(tenths).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plot_has_a_round_top_and_says_the_same_in_words() {
        let day = |sent, camera, received| DayUsed {
            sent,
            camera,
            received,
        };
        let days = [
            day(0, 0, 0),
            day(1_500_000_000, 1_400_000_000, 150_000_000),
            day(500_000_000, 0, 5_000_000),
        ];
        let used = DataUsed::of(&days, |ago| format!("{ago} days ago"));
        assert_eq!(used.most, "2.0 GB");
        assert_eq!(used.half, "1.0 GB");
        let heights: Vec<_> = used
            .bars
            .iter()
            .map(|bar| (bar.sent, bar.received))
            .collect();
        assert_eq!(heights, [(0, 0), (750, 75), (250, 2)]);
        assert_eq!(used.total, "2.1 GB");
        assert!(used.mostly_camera);
        assert_eq!(
            (used.first.as_str(), used.middle.as_str()),
            ("2 days ago", "1 days ago")
        );
        assert_eq!(DataBar::top(750), "25.0");
    }

    #[test]
    fn nothing_and_too_much_have_a_plot_too() {
        let none = DataUsed::of(&[DayUsed::default(); 14], |_| String::new());
        assert_eq!(
            (none.most.as_str(), none.total.as_str()),
            ("1.0 KB", "0 bytes")
        );
        assert!(!none.mostly_camera);
        let day = DayUsed {
            sent: u64::MAX,
            camera: u64::MAX,
            received: u64::MAX,
        };
        let all = DataUsed::of(&[day; 2], |_| String::new());
        assert!(all.bars.iter().all(|bar| bar.sent <= 1000));
    }
}
