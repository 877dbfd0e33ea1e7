//! Times as people read them.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A moment in the past, as seen from now; both in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub at_ms: i64,
    pub now_ms: i64,
}

impl Moment {
    /// How long it has been: "14 s", "3 minutes", "5 hours", "12 days".
    ///
    /// No clock times: we do not know where the reader is.
    pub fn span(self) -> String {
        let seconds = (self.now_ms - self.at_ms).max(0) / 1000;
        let (count, unit) = match seconds {
            0..MINUTE => return format!("{seconds} s"),
            MINUTE..HOUR => (seconds / MINUTE, "minute"),
            HOUR..DAY => (seconds / HOUR, "hour"),
            _ => (seconds / DAY, "day"),
        };
        format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
    }

    /// For `<time datetime>`: RFC 3339 in UTC, to the second.
    pub fn exact(self) -> String {
        Timestamp::from_second(self.at_ms.div_euclid(1000))
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let moment = Moment {
                at_ms: 0,
                now_ms: seconds * 1000,
            };
            assert_eq!(moment.span(), expected);
        }
    }

    #[test]
    fn exact_time_is_utc() {
        let moment = Moment {
            at_ms: 1_760_000_000_123,
            now_ms: 0,
        };
        assert_eq!(moment.exact(), "2025-10-09T08:53:20Z");
        assert_eq!(
            Moment {
                at_ms: i64::MAX,
                now_ms: 0
            }
            .exact(),
            "1970-01-01T00:00:00Z"
        );
    }
}
