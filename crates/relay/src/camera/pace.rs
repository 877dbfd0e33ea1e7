//! How fast a viewer is shown a running picture: by leaving frames out, for none is looked into.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::time::Instant;

/// What a caller may ask for as frames in a second.
const FRAMES: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

/// What a plan allows of a running picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Caps {
    pub(crate) frames_per_second: Option<u64>,
    pub(crate) bytes_per_second: Option<u64>,
}

/// When a viewer gets the next frame. Clones begin anew.
#[derive(Clone, Default)]
pub(crate) struct Pace {
    /// Frames in a second, as the caller asked.
    wanted: Option<f64>,
    /// What the plan allows now: it may change while the picture runs.
    allowed: Option<Arc<dyn Fn() -> Caps + Send + Sync>>,
}

impl Pace {
    pub(crate) fn new(
        wanted: Option<f64>,
        allowed: impl Fn() -> Caps + Send + Sync + 'static,
    ) -> Self {
        Self {
            wanted,
            allowed: Some(Arc::new(allowed)),
        }
    }

    /// Whether anything is left out for it now.
    pub(crate) fn is_bounded(&self) -> bool {
        self.wanted.is_some() || self.caps() != Caps::default()
    }

    fn caps(&self) -> Caps {
        self.allowed.as_ref().map(|caps| caps()).unwrap_or_default()
    }

    /// How long after a frame of this size the next one may begin.
    fn after(&self, bytes: usize) -> Duration {
        let caps = self.caps();
        let wanted = self
            .wanted
            .map(|frames| Duration::from_secs_f64(1.0 / frames));
        let second = Duration::from_secs(1);
        let of_plan = caps.frames_per_second.map(|frames| {
            let frames = u32::try_from(frames.max(1)).unwrap_or(u32::MAX);
            second / frames
        });
        let of_bytes = caps.bytes_per_second.map(|most| {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            let micros = bytes.saturating_mul(1_000_000) / most.max(1);
            Duration::from_micros(micros)
        });
        let waits = [wanted, of_plan, of_bytes].into_iter().flatten();
        waits.max().unwrap_or_default()
    }
}

/// A pace that is being kept.
pub(super) struct Paced {
    pace: Pace,
    next: Instant,
}

impl Paced {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            next: Instant::now(),
        }
    }

    /// Whether it leaves frames out now.
    pub(super) fn leaves_out(&self) -> bool {
        self.pace.is_bounded()
    }

    /// Waits until a frame may begin.
    pub(super) async fn ready(&self) {
        if self.next > Instant::now() {
            tokio::time::sleep_until(self.next).await;
        }
    }

    /// Notes that one of this size begins.
    pub(super) fn begin(&mut self, bytes: usize) {
        let wait = self.pace.after(bytes);
        let now = Instant::now();
        // Who was late for a frame is not early for the next one, but for a little: frames come
        // when they come, and half of those at just the wanted rate would be left out.
        let due = self.next.max(now.checked_sub(wait / 4).unwrap_or(now));
        self.next = due + wait;
    }
}

/// The frames in a second that an address asks for (`fps=5`).
pub(crate) fn wanted(uri: &Uri) -> Option<f64> {
    let mut pairs = uri.query()?.split('&');
    let value = pairs.find_map(|pair| pair.strip_prefix("fps="))?;
    let frames: f64 = value.parse().ok()?;
    FRAMES.contains(&frames).then_some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_a_second_are_read_from_the_address() {
        for (query, frames) in [
            ("?action=stream&fps=5", Some(5.0)),
            ("?fps=0.5", Some(0.5)),
            ("?fps=0", None),
            ("?fps=-1", None),
            ("?fps=NaN", None),
            ("?fps=1e9", None),
            ("?fps=", None),
            ("?xfps=5", None),
            ("", None),
        ] {
            let uri: Uri = format!("/webcam/{query}").parse().unwrap();
            assert_eq!(wanted(&uri), frames, "{query}");
        }
    }

    #[test]
    fn the_slowest_of_what_is_wanted_and_allowed_counts() {
        let caps = |frames_per_second, bytes_per_second| Caps {
            frames_per_second,
            bytes_per_second,
        };
        for (wanted, caps, bytes, millis) in [
            (None, caps(None, None), 1_000, 0),
            (Some(5.0), caps(None, None), 1_000, 200),
            (Some(5.0), caps(Some(2), None), 1_000, 500),
            (Some(0.5), caps(Some(2), None), 1_000, 2_000),
            (Some(5.0), caps(Some(10), Some(1_000)), 3_000, 3_000),
            (None, caps(None, Some(50_000)), 5_000, 100),
        ] {
            let pace = Pace::new(wanted, move || caps);
            assert_eq!(pace.after(bytes), Duration::from_millis(millis));
            assert_eq!(pace.is_bounded(), millis > 0);
        }
        assert!(!Pace::default().is_bounded());
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_come_at_the_wanted_rate_are_all_shown() {
        let pace = Pace::new(Some(10.0), Caps::default);
        let mut paced = Paced::new(pace);
        let began = Instant::now();
        for frame in 0..20 {
            // Some come a little late, and some early.
            let at = Duration::from_millis(100 * frame + 20 * (frame % 2));
            tokio::time::sleep_until(began + at).await;
            paced.ready().await;
            assert!(began.elapsed() <= at + Duration::from_millis(25), "{frame}");
            paced.begin(1_000);
        }
    }
}
