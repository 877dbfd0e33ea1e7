//! The counts of one account.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::limit::{Limit, Month, Reached, WebcamWindow};
use latchkey_model::plan::Entitlements;
use latchkey_store::relay::KeptUsage;
use tokio::time::Instant;

use super::Used;

/// How long somebody may wait before one more stream is tried.
const ANOTHER_TRY: Duration = Duration::from_secs(5);

/// So much of a plan's rate may pass at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// An account's counts, for all that it has open.
pub(super) struct Book {
    pub(super) account: AccountId,
    counts: Mutex<Counts>,
}

impl Book {
    pub(super) fn new(account: AccountId, counts: Counts) -> Self {
        Self {
            account,
            counts: Mutex::new(counts),
        }
    }

    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is counted, and the plan that it is counted against.
pub(super) struct Counts {
    plan: Entitlements,
    month: Month,
    /// Of this month, written or not.
    bytes: u64,
    unwritten: BTreeMap<Month, u64>,
    open: u64,
    windows: HashMap<PrinterId, Window>,
    /// How often what there was to write was asked for since the last use.
    asked: u32,
    /// When all that passed has passed, at the plan's rate.
    passed_at: Option<Instant>,
}

struct Window {
    window: WebcamWindow,
    unwritten: bool,
}

impl Counts {
    pub(super) fn new(kept: KeptUsage, now: Timestamp) -> Self {
        let windows = kept.webcams.into_iter().map(|(printer, window)| {
            let window = Window {
                window,
                unwritten: false,
            };
            (printer, window)
        });
        Self {
            plan: Entitlements::default(),
            month: Month::of(now),
            bytes: kept.bytes,
            unwritten: BTreeMap::new(),
            open: 0,
            windows: windows.collect(),
            asked: 0,
            passed_at: None,
        }
    }

    /// How long so many bytes have to wait, at the plan's rate.
    pub(super) fn pace(&mut self, bytes: u64) -> Duration {
        let Some(rate) = self.plan.max_bytes_per_second else {
            self.passed_at = None;
            return Duration::ZERO;
        };
        let now = Instant::now();
        let begins = self.passed_at.map_or(now, |passed| passed.max(now));
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // Far enough for every clock, and no sum overflows.
        let takes = takes.min(Duration::from_hours(24));
        let ends = begins + takes;
        self.passed_at = Some(ends);
        (ends - now).saturating_sub(AT_ONCE)
    }

    /// Counts against this plan from now on.
    pub(super) fn adopt(&mut self, plan: Entitlements) {
        self.plan = plan;
    }

    pub(super) fn plan(&self) -> &Entitlements {
        &self.plan
    }

    pub(super) fn is_open(&self) -> bool {
        self.open > 0
    }

    /// One more stream.
    pub(super) fn open(&mut self, of_webcam: bool, now: Timestamp) -> Result<(), Reached> {
        self.room(1, now)?;
        let most = self.plan.max_concurrent_streams;
        if most.is_some_and(|most| self.open >= most) {
            return Err(Reached {
                limit: if of_webcam {
                    Limit::WebcamStreams
                } else {
                    Limit::Streams
                },
                again: Some(ANOTHER_TRY),
            });
        }
        self.open += 1;
        self.asked = 0;
        Ok(())
    }

    /// One stream less.
    pub(super) fn close(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Whether so many bytes may pass.
    pub(super) fn room(&mut self, bytes: u64, now: Timestamp) -> Result<(), Reached> {
        self.turn(now);
        let most = self.plan.max_bytes_per_month;
        if most.is_some_and(|most| self.bytes.saturating_add(bytes) > most) {
            return Err(Reached {
                limit: Limit::Month,
                again: Some(self.month.left(now)),
            });
        }
        Ok(())
    }

    /// Counts bytes, which may pass then.
    pub(super) fn pass(&mut self, bytes: u64, now: Timestamp) -> Result<(), Reached> {
        self.room(bytes, now)?;
        self.note(bytes, now);
        Ok(())
    }

    /// Counts bytes that have passed already.
    pub(super) fn note(&mut self, bytes: u64, now: Timestamp) {
        self.turn(now);
        self.bytes = self.bytes.saturating_add(bytes);
        self.put_back(self.month, bytes);
        self.asked = 0;
    }

    /// A clock that was set back does not bring an old month again.
    fn turn(&mut self, now: Timestamp) {
        let month = Month::of(now);
        if month > self.month {
            self.month = month;
            self.bytes = 0;
        }
    }

    /// Up to `wanted` more time of a webcam, and the beginning of the window that it is taken
    /// from; without a limit, all of it and no window.
    pub(super) fn promise(
        &mut self,
        printer: &PrinterId,
        wanted: Duration,
        now: Timestamp,
    ) -> Result<(Duration, Option<Timestamp>), Reached> {
        let Some(allowance) = self.plan.webcam_allowance() else {
            return Ok((wanted, None));
        };
        let known = self.windows.get(printer).map(|known| known.window);
        let known = known.unwrap_or_else(|| WebcamWindow::new(now));
        let mut window = known.at(now, allowance);
        let granted = window.promise(wanted, now, allowance)?;
        let noted = Window {
            window,
            unwritten: true,
        };
        self.windows.insert(printer.clone(), noted);
        Ok((granted, Some(window.began)))
    }

    /// Takes back time that was promised and not used.
    pub(super) fn give_back(&mut self, printer: &PrinterId, began: Timestamp, unused: Duration) {
        if let Some(known) = self.windows.get_mut(printer)
            && known.window.began == began
        {
            known.window.used = known.window.used.saturating_sub(unused);
            known.unwritten = true;
        }
    }

    pub(super) fn used(&mut self, now: Timestamp) -> Used {
        self.turn(now);
        let windows = self.windows.iter().filter_map(|(printer, known)| {
            let allowance = self.plan.webcam_allowance()?;
            let window = known.window.at(now, allowance);
            let length = Duration::from_secs(allowance.window_seconds);
            let left = window.began.plus(length).since(now);
            Some((printer.clone(), window.used, left))
        });
        Used {
            bytes: self.bytes,
            webcams: windows.filter(|(_, used, _)| !used.is_zero()).collect(),
        }
    }

    /// What is to be written, by month.
    pub(super) fn take_bytes(&mut self) -> impl Iterator<Item = (Month, u64)> {
        self.asked = self.asked.saturating_add(1);
        std::mem::take(&mut self.unwritten).into_iter()
    }

    /// The windows that changed since they were written.
    pub(super) fn take_windows(&mut self) -> impl Iterator<Item = (PrinterId, WebcamWindow)> {
        let changed = self.windows.iter_mut().filter_map(|(printer, known)| {
            std::mem::take(&mut known.unwritten).then(|| (printer.clone(), known.window))
        });
        changed.collect::<Vec<_>>().into_iter()
    }

    /// Bytes that are not written yet.
    pub(super) fn put_back(&mut self, month: Month, bytes: u64) {
        let unwritten = self.unwritten.entry(month).or_default();
        *unwritten = unwritten.saturating_add(bytes);
    }

    /// A window that is not written yet.
    pub(super) fn note_window(&mut self, printer: &PrinterId) {
        if let Some(known) = self.windows.get_mut(printer) {
            known.unwritten = true;
        }
    }

    /// Whether all is written and nothing was used while that was asked for so many times.
    pub(super) fn idle_for(&self, times: u32) -> bool {
        let unwritten = self.windows.values().any(|window| window.unwritten);
        self.open == 0 && self.asked >= times && self.unwritten.is_empty() && !unwritten
    }
}

#[cfg(test)]
mod tests {
    use latchkey_model::chance::SeededChance;

    use super::*;

    /// 2025-10-09.
    const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);

    fn counts(plan: Entitlements) -> Counts {
        let mut counts = Counts::new(KeptUsage::default(), NOW);
        counts.adopt(plan);
        counts
    }

    #[test]
    fn bytes_pass_up_to_the_limit_of_the_month_and_again_in_the_next() {
        let mut counts = counts(Entitlements {
            max_bytes_per_month: Some(10),
            ..Entitlements::default()
        });
        assert!(counts.pass(7, NOW).is_ok());
        let reached = counts.pass(4, NOW).unwrap_err();
        assert_eq!(reached.limit, Limit::Month);
        assert!(counts.pass(3, NOW).is_ok());
        assert_eq!(counts.open(false, NOW).unwrap_err().limit, Limit::Month);
        let next = NOW.plus(reached.again.unwrap());
        assert!(counts.open(false, next).is_ok());
        assert!(counts.pass(4, next).is_ok());
        // The clock is set back: October is over all the same.
        assert!(counts.pass(6, NOW).is_ok());
        assert!(counts.pass(1, NOW).is_err());
        let written: Vec<_> = counts.take_bytes().map(|(_, bytes)| bytes).collect();
        assert_eq!(written, [10, 10]);
        assert_eq!(counts.take_bytes().count(), 0);
        assert_eq!(counts.used(next).bytes, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_wait_at_the_rate_of_the_plan_whoever_sends_them() {
        let second = Duration::from_secs(1);
        let mut counts = counts(Entitlements {
            max_bytes_per_second: Some(1_000),
            ..Entitlements::default()
        });
        assert_eq!(
            counts.pace(1_000),
            Duration::ZERO,
            "a second's worth at once"
        );
        assert_eq!(counts.pace(500), second / 2);
        assert_eq!(counts.pace(500), second, "whatever comes next waits longer");
        tokio::time::advance(second).await;
        assert_eq!(counts.pace(1_000), second, "and not for what has passed");
        tokio::time::advance(60 * second).await;
        assert_eq!(counts.pace(1_000), Duration::ZERO);
        assert_eq!(counts.pace(1_000), second, "a quiet minute is not saved up");
        assert!(counts.pace(u64::MAX) > 3_600 * second);
        counts.adopt(Entitlements::default());
        assert_eq!(counts.pace(1_000_000), Duration::ZERO);
    }

    #[test]
    fn so_many_are_open_at_once_and_a_webcam_is_told_as_one() {
        let mut counts = counts(Entitlements {
            max_concurrent_streams: Some(1),
            ..Entitlements::default()
        });
        assert!(counts.open(false, NOW).is_ok());
        assert_eq!(counts.open(false, NOW).unwrap_err().limit, Limit::Streams);
        let reached = counts.open(true, NOW).unwrap_err();
        assert_eq!(reached.limit, Limit::WebcamStreams);
        counts.close();
        assert!(counts.open(true, NOW).is_ok());
    }

    #[test]
    fn time_that_was_promised_and_not_used_comes_back_to_its_window_only() {
        let mut counts = counts(Entitlements {
            max_webcam_seconds_per_window: Some(2),
            webcam_window_seconds: Some(60),
            ..Entitlements::default()
        });
        let printer = PrinterId::generate(&SeededChance::new(1));
        let second = Duration::from_secs(1);
        let (granted, began) = counts.promise(&printer, 2 * second, NOW).unwrap();
        assert_eq!((granted, began), (2 * second, Some(NOW)));
        assert!(counts.promise(&printer, second, NOW).is_err());
        counts.give_back(&printer, NOW, second);
        assert_eq!(counts.used(NOW).webcams[0].1, second);
        let later = NOW.plus(60 * second);
        assert!(counts.used(later).webcams.is_empty());
        assert_eq!(counts.promise(&printer, second, later).unwrap().0, second);
        counts.give_back(&printer, NOW, second);
        assert_eq!(counts.used(later).webcams[0].1, second);
        assert_eq!(counts.take_windows().count(), 1);
        assert_eq!(counts.take_windows().count(), 0);
        counts.note_window(&printer);
        assert_eq!(counts.take_windows().count(), 1);
    }

    #[test]
    fn a_book_is_put_away_when_all_is_written_and_nothing_goes_on() {
        let mut counts = counts(Entitlements::default());
        counts.note(1, NOW);
        assert!(!counts.idle_for(0));
        assert_eq!(counts.take_bytes().count(), 1);
        assert!(counts.idle_for(1) && !counts.idle_for(2));
        counts.open(false, NOW).unwrap();
        assert!(!counts.idle_for(0));
        counts.close();
        assert!(counts.idle_for(0) && !counts.idle_for(1));
    }
}
