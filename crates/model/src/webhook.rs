//! Which events an app wants to be told.

use crate::printing::EventKind;

/// Which events a webhook is called for: all, or some by their numbers in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventFilter(Option<u64>);

impl EventFilter {
    /// For every event.
    pub const ALL: Self = Self(None);

    /// For these; for all if there is none among them. A number that stands for nothing here is
    /// no mistake, and never comes.
    pub fn of(numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut numbers = numbers.into_iter().peekable();
        if numbers.peek().is_none() {
            return Self::ALL;
        }
        let bits = numbers.filter(|number| *number < 63);
        Self(Some(bits.fold(0, |bits, number| bits | 1 << number)))
    }

    /// Whether the webhook is called for this one. What has no number is told nobody.
    pub fn wants(self, kind: EventKind) -> bool {
        let number = kind.number();
        number.is_some_and(|number| self.0.is_none_or(|bits| bits & (1 << number) != 0))
    }

    /// As it is kept: a bit for each number, nothing for all.
    pub fn bits(self) -> Option<i64> {
        self.0.and_then(|bits| i64::try_from(bits).ok())
    }

    /// Reads [`Self::bits`].
    pub fn from_bits(bits: Option<i64>) -> Self {
        Self(bits.map(|bits| u64::try_from(bits).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_filter_is_everything_that_has_a_number() {
        for filter in [EventFilter::ALL, EventFilter::of([])] {
            for &kind in EventKind::ALL {
                assert_eq!(filter.wants(kind), kind.number().is_some(), "{kind:?}");
            }
            assert_eq!(EventFilter::from_bits(filter.bits()), filter);
        }
    }

    #[test]
    fn a_filter_is_what_it_names_and_unknown_numbers_are_not_everything() {
        let filter = EventFilter::of([2, 3, 3, 700]);
        assert!(filter.wants(EventKind::Complete) && filter.wants(EventKind::Failed));
        assert!(!filter.wants(EventKind::Started) && !filter.wants(EventKind::Offline));
        assert_eq!(EventFilter::from_bits(filter.bits()), filter);
        for strange in [EventFilter::of([99]), EventFilter::of([63, u64::MAX])] {
            assert!(!EventKind::ALL.iter().any(|&kind| strange.wants(kind)));
            assert_eq!(EventFilter::from_bits(strange.bits()), strange);
        }
    }
}
