//! Times as people read them.

use jiff::Timestamp as Calendar;
use jiff::tz::TimeZone;
use latchkey_model::clock::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A moment in the past, as seen from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub at: Timestamp,
    pub now: Timestamp,
}

impl Moment {
    /// How long it has been: "14 s", "3 minutes", "5 hours", "12 days".
    ///
    /// No clock times: we do not know where the reader is.
    pub fn span(self) -> String {
        let seconds = self.now.since(self.at).as_secs();
        let (count, unit) = match seconds {
            0..MINUTE => return format!("{seconds} s"),
            MINUTE..HOUR => (seconds / MINUTE, "minute"),
            HOUR..DAY => (seconds / HOUR, "hour"),
            _ => (seconds / DAY, "day"),
        };
        format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
    }

    /// When it was, as a point: "3 minutes ago", "12 days ago", "on 2 October 2025".
    ///
    /// From a month on the day says more; it is the day in UTC.
    pub fn ago(self) -> String {
        let seconds = self.now.since(self.at).as_secs();
        match seconds {
            0..5 => "just now".to_owned(),
            5..MINUTE => format!("{seconds} s ago"),
            _ if seconds < 30 * DAY => format!("{} ago", self.span()),
            _ => format!("on {}", self.day()),
        }
    }

    /// The same length of time for a moment to come: "3 minutes", "12 days".
    pub fn until(self) -> String {
        Self {
            at: self.now,
            now: self.at,
        }
        .span()
    }

    /// The day in UTC: "2 October 2025".
    pub fn day(self) -> String {
        let day = self.calendar().to_zoned(TimeZone::UTC);
        day.strftime("%-d %B %Y").to_string()
    }

    fn calendar(self) -> Calendar {
        Calendar::from_second(self.at.millis().div_euclid(1000)).unwrap_or(Calendar::UNIX_EPOCH)
    }

    /// For `<time datetime>`: RFC 3339 in UTC, to the second.
    pub fn exact(self) -> String {
        self.calendar().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: i64, now: i64) -> Moment {
        Moment {
            at: Timestamp::from_millis(at),
            now: Timestamp::from_millis(now),
        }
    }

    #[test]
    fn spans_read_as_people_say_them() {
        let cases = [
            (-5, "0 s"),
            (14, "14 s"),
            (60, "1 minute"),
            (3599, "59 minutes"),
            (3600, "1 hour"),
            (86_400, "1 day"),
            (1_000_000, "11 days"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(moment(0, seconds * 1000).span(), expected);
        }
    }

    #[test]
    fn points_in_time_read_as_people_say_them() {
        let now = 1_760_000_000;
        for (before, expected) in [
            (-9, "just now"),
            (4, "just now"),
            (14, "14 s ago"),
            (180, "3 minutes ago"),
            (29 * 86_400, "29 days ago"),
            (30 * 86_400, "on 9 September 2025"),
        ] {
            assert_eq!(moment((now - before) * 1000, now * 1000).ago(), expected);
        }
    }

    #[test]
    fn what_is_to_come_reads_as_people_say_it() {
        assert_eq!(moment(7_200_000, 0).until(), "2 hours");
        assert_eq!(moment(0, 5_000).until(), "0 s");
        assert_eq!(moment(1_760_000_000_123, 0).day(), "9 October 2025");
    }

    #[test]
    fn exact_time_is_utc() {
        assert_eq!(moment(1_760_000_000_123, 0).exact(), "2025-10-09T08:53:20Z");
        assert_eq!(moment(i64::MAX, 0).exact(), "1970-01-01T00:00:00Z");
    }
}
