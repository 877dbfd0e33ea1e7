//! What an account used, beside what its plan allows: on its own page and for administrators.

use super::size;

/// A webcam that was watched in the window of time that is open.
#[derive(Debug, Clone)]
pub struct WatchedWebcam {
    /// What the printer is called.
    pub printer: String,
    pub seconds: u64,
}

/// An account's use. Nothing where a limit could stand is no limit.
#[derive(Debug, Clone)]
pub struct UsageCard {
    /// Whether it is shown to whose account it is.
    pub own: bool,
    /// Whether the configuration still has the plan: without it nobody knows the limits.
    pub plan_known: bool,
    /// Of this month, both ways.
    pub bytes: u64,
    pub most_bytes: Option<u64>,
    pub printers: u64,
    pub most_printers: Option<u64>,
    pub apps: u64,
    pub most_apps: Option<u64>,
    pub upload: Option<u64>,
    pub download: Option<u64>,
    pub streams: Option<u64>,
    /// Seconds of one picture.
    pub stream_seconds: Option<u64>,
    /// Seconds that a webcam may be watched, and of the window.
    pub webcam: Option<(u64, u64)>,
    pub watched: Vec<WatchedWebcam>,
}

impl UsageCard {
    pub(super) fn used(&self) -> String {
        size(self.bytes)
    }

    pub(super) fn month(&self) -> Option<String> {
        self.most_bytes.map(size)
    }

    pub(super) fn largest_upload(&self) -> Option<String> {
        self.upload.map(size)
    }

    pub(super) fn largest_download(&self) -> Option<String> {
        self.download.map(size)
    }

    pub(super) fn one_picture(&self) -> Option<String> {
        self.stream_seconds.map(time)
    }

    /// How long a webcam may be watched, and in what time.
    pub(super) fn camera(&self) -> Option<(String, String)> {
        self.webcam.map(|(most, window)| (time(most), time(window)))
    }

    pub(super) fn whose(&self) -> &'static str {
        if self.own { "Your" } else { "Their" }
    }
}

impl WatchedWebcam {
    pub(super) fn time(&self) -> String {
        time(self.seconds)
    }
}

/// What somebody used of a plan's limits, for a line beside one printer.
#[derive(Debug, Clone)]
pub struct UsageLine {
    pub bytes: u64,
    pub most_bytes: Option<u64>,
    /// Seconds of this printer's webcam, where they are limited: watched, allowed, of the window.
    pub webcam: Option<(u64, u64, u64)>,
}

impl UsageLine {
    pub(super) fn used(&self) -> String {
        size(self.bytes)
    }

    pub(super) fn month(&self) -> Option<String> {
        self.most_bytes.map(size)
    }

    pub(super) fn camera(&self) -> Option<String> {
        let (watched, most, window) = self.webcam?;
        let (watched, most, window) = (time(watched), time(most), time(window));
        Some(format!("{watched} of {most} in {window}"))
    }
}

/// A length of time in the largest unit that says it to the second, or in minutes.
fn time(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let exact = UNITS
        .into_iter()
        .find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    let (count, unit) = match exact {
        Some((length, unit)) => (seconds / length, unit),
        None if seconds >= 600 => (seconds / 60, "minute"),
        None => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    #[test]
    fn lengths_of_time_read_as_people_say_them() {
        for (seconds, read) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (60, "1 minute"),
            (90, "90 seconds"),
            (725, "12 minutes"),
            (3_600, "1 hour"),
            (5_400, "90 minutes"),
            (86_400, "1 day"),
            (604_800, "7 days"),
        ] {
            assert_eq!(super::time(seconds), read);
        }
    }
}
