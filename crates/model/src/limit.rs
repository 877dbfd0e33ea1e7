//! What passing through the relay is limited by, and the time over which it is counted.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::plan::WebcamAllowance;
use crate::relay_status::RelayStatus;

/// A limit of a plan that something in passing has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The request body is too large.
    Upload,
    /// The response body is too large.
    Download,
    /// The webcam was watched for as long as it may be in this window of time.
    WebcamTime,
    /// So many streams are open, and this would be one more of a webcam.
    WebcamStreams,
    /// So many streams are open, and this would be one more.
    Streams,
    /// The bytes of this month have passed.
    Month,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Upload,
        Self::Download,
        Self::WebcamTime,
        Self::WebcamStreams,
        Self::Streams,
        Self::Month,
    ];

    /// What a caller is answered. What passes by itself is never final: apps delete their
    /// connection on 605, so it stands for none of these.
    pub const fn status(self) -> RelayStatus {
        match self {
            Self::Upload => RelayStatus::UploadTooLarge,
            Self::Download => RelayStatus::DownloadTooLarge,
            Self::WebcamTime | Self::WebcamStreams => RelayStatus::WebcamLimit,
            Self::Streams | Self::Month => RelayStatus::Unknown,
        }
    }

    /// The sentence for people, where the status alone does not say it.
    pub const fn sentence(self) -> Option<&'static str> {
        match self {
            Self::Upload | Self::Download | Self::WebcamTime => None,
            Self::WebcamStreams | Self::Streams => Some(
                "Too much is open at once for this account's plan. Close something, or try again when something has ended.",
            ),
            Self::Month => Some(
                "What this account's plan lets through in a month is used up. It starts anew on the first of the month (UTC).",
            ),
        }
    }

    /// The word for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload_bytes",
            Self::Download => "download_bytes",
            Self::WebcamTime => "webcam_seconds",
            Self::WebcamStreams | Self::Streams => "concurrent_streams",
            Self::Month => "bytes_per_month",
        }
    }
}

/// A limit that was reached, and in how long it is not any more, if time helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a limit of the plan is reached: {}", limit.name())]
pub struct Reached {
    /// Which one.
    pub limit: Limit,
    /// After how long trying again may help.
    pub again: Option<Duration>,
}

impl Reached {
    /// A limit that time does not help with.
    pub const fn of(limit: Limit) -> Self {
        Self { limit, again: None }
    }
}

/// A month of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i64);

/// Less of a webcam is not worth a stream: what is left over by rounding shows nothing.
const LEAST_PICTURE: Duration = Duration::from_millis(100);

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

impl Month {
    /// The month of a moment.
    pub const fn of(at: Timestamp) -> Self {
        // Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`: years
        // begin in March, so that the odd day comes last.
        let days = at.millis().div_euclid(DAY_MILLIS) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        Self((year_of_era + era * 400) * 12 + from_march + 2)
    }

    /// Months since the year 0, as it is kept.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The month with this number.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The month so many months earlier.
    #[must_use]
    pub const fn before(self, months: i64) -> Self {
        Self(self.0.saturating_sub(months))
    }

    /// When it begins.
    pub const fn begins(self) -> Timestamp {
        // The same, `days_from_civil`.
        let from_march = self.0 - 2;
        let year = from_march.div_euclid(12);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * from_march.rem_euclid(12) + 2) / 5;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Timestamp::from_millis((era * 146_097 + day_of_era - 719_468) * DAY_MILLIS)
    }

    /// How long it goes on after a moment in it.
    pub fn left(self, now: Timestamp) -> Duration {
        Self(self.0 + 1).begins().since(now)
    }
}

/// What was watched of a webcam in the window of time that is open. The first stream opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebcamWindow {
    /// When it began.
    pub began: Timestamp,
    /// How much of the allowance is used or promised.
    pub used: Duration,
}

impl WebcamWindow {
    /// A window that begins now.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            began: now,
            used: Duration::ZERO,
        }
    }

    /// The window that is open now: this one, or a new one after its end.
    #[must_use]
    pub fn at(self, now: Timestamp, allowance: WebcamAllowance) -> Self {
        if now < self.began {
            // The clock was set back; nobody waits for the time that it had been ahead.
            return Self { began: now, ..self };
        }
        if now.since(self.began) >= Duration::from_secs(allowance.window_seconds) {
            return Self::new(now);
        }
        self
    }

    /// Promises up to `wanted` more time, of a window that is open.
    pub fn promise(
        &mut self,
        wanted: Duration,
        now: Timestamp,
        allowance: WebcamAllowance,
    ) -> Result<Duration, Reached> {
        let most = Duration::from_secs(allowance.seconds);
        let granted = wanted.min(most.saturating_sub(self.used));
        if granted < LEAST_PICTURE {
            let ends = self
                .began
                .plus(Duration::from_secs(allowance.window_seconds));
            return Err(Reached {
                limit: Limit::WebcamTime,
                again: Some(ends.since(now)),
            });
        }
        self.used += granted;
        Ok(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        // Seconds from `date -u -d … +%s`.
        for (seconds, year, month) in [
            (0, 1970, 1),
            (951_782_399, 2000, 2),
            (951_868_800, 2000, 3),
            (1_709_164_800, 2024, 2),
            (1_709_251_200, 2024, 3),
            (1_764_115_199, 2025, 11),
            (1_767_225_599, 2025, 12),
            (1_767_225_600, 2026, 1),
            (4_107_542_400, 2100, 3),
            (-1, 1969, 12),
        ] {
            let found = Month::of(at(seconds * 1000));
            assert_eq!(found.number(), year * 12 + month - 1, "{seconds}");
        }
    }

    #[test]
    fn a_month_begins_with_its_first_millisecond_and_ends_before_the_next() {
        for number in (1969 * 12)..(2101 * 12) {
            let begins = Month::from_number(number).begins();
            assert_eq!(Month::of(begins).number(), number);
            assert_eq!(Month::of(at(begins.millis() - 1)).number(), number - 1);
        }
        let now = at(1_767_225_599_000);
        assert_eq!(Month::of(now).left(now), Duration::from_secs(1));
        assert_eq!(Month::of(now).before(12).number(), 2024 * 12 + 11);
    }

    #[test]
    fn a_window_promises_what_is_left_and_opens_anew_after_its_end() {
        let allowance = WebcamAllowance {
            seconds: 3,
            window_seconds: 60,
        };
        let two = Duration::from_secs(2);
        let mut window = WebcamWindow::new(at(1_000));
        assert_eq!(window.promise(two, at(1_000), allowance), Ok(two));
        let second = Duration::from_secs(1);
        assert_eq!(window.promise(two, at(2_000), allowance), Ok(second));
        let reached = window.promise(two, at(11_000), allowance).unwrap_err();
        assert_eq!(reached.limit, Limit::WebcamTime);
        assert_eq!(reached.again, Some(Duration::from_secs(50)));
        let mut almost = WebcamWindow {
            used: Duration::from_millis(2_901),
            ..window
        };
        assert!(almost.promise(two, at(11_000), allowance).is_err());
        assert_eq!(window.at(at(60_999), allowance), window);
        assert_eq!(
            window.at(at(61_000), allowance),
            WebcamWindow::new(at(61_000))
        );
        assert_eq!(window.at(at(500), allowance).began, at(500));
        assert_eq!(window.at(at(500), allowance).used, Duration::from_secs(3));
    }

    #[test]
    fn no_limit_ends_an_app_connection() {
        for limit in Limit::ALL {
            assert!(!limit.status().is_destructive(), "{limit:?}");
            let says_itself = limit.status() == RelayStatus::Unknown;
            assert!(!says_itself || limit.sentence().is_some(), "{limit:?}");
        }
    }
}
