//! What people want letters about.

use crate::printing::EventKind;

/// What a person may want a letter about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// A print is complete.
    Done,
    /// A print failed, or the printer reports an error.
    Trouble,
    /// The printer waits for somebody.
    NeedsYou,
    /// The printer's host went away.
    Away,
}

impl Occasion {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Done, Self::Trouble, Self::NeedsYou, Self::Away];

    /// What an event is an occasion for.
    pub const fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Complete => Some(Self::Done),
            EventKind::Failed | EventKind::Error => Some(Self::Trouble),
            EventKind::FilamentChange | EventKind::UserInteraction => Some(Self::NeedsYou),
            EventKind::Offline => Some(Self::Away),
            // A pause is most often somebody's own wish.
            EventKind::Started
            | EventKind::Paused
            | EventKind::Resumed
            | EventKind::Progress
            | EventKind::FirstLayer
            | EventKind::ThirdLayer
            | EventKind::Online => None,
        }
    }

    const fn bit(self) -> i64 {
        match self {
            Self::Done => 1,
            Self::Trouble => 2,
            Self::NeedsYou => 4,
            Self::Away => 8,
        }
    }
}

/// What a person wants letters about; nothing at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occasions(i64);

impl Occasions {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// These.
    pub fn of(occasions: impl IntoIterator<Item = Occasion>) -> Self {
        let bits = occasions.into_iter();
        Self(bits.fold(0, |bits, occasion| bits | occasion.bit()))
    }

    /// Whether this is among them.
    pub const fn has(self, occasion: Occasion) -> bool {
        self.0 & occasion.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As they are kept: a bit for each.
    pub const fn bits(self) -> i64 {
        self.0
    }

    /// Reads [`Self::bits`]. What this release does not know is left out.
    pub fn from_bits(bits: i64) -> Self {
        let known = Occasion::ALL.into_iter();
        Self::of(known.filter(|occasion| bits & occasion.bit() != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occasions_are_kept_as_they_were_chosen() {
        let chosen = Occasions::of([Occasion::Trouble, Occasion::Away]);
        assert!(chosen.has(Occasion::Trouble) && chosen.has(Occasion::Away));
        assert!(!chosen.has(Occasion::Done) && !chosen.has(Occasion::NeedsYou));
        assert_eq!(Occasions::from_bits(chosen.bits()), chosen);
        assert_eq!(Occasions::from_bits(chosen.bits() | 1 << 40), chosen);
        assert!(Occasions::NONE.is_empty() && !chosen.is_empty());
    }

    #[test]
    fn letters_are_for_what_somebody_would_get_up_for() {
        let occasions = |kinds: &[EventKind]| -> Vec<_> {
            kinds
                .iter()
                .filter_map(|kind| Occasion::of(*kind))
                .collect()
        };
        let quiet = [EventKind::Started, EventKind::Progress, EventKind::Paused];
        assert_eq!(occasions(&quiet), []);
        let loud = [EventKind::Failed, EventKind::Error];
        assert_eq!(occasions(&loud), [Occasion::Trouble; 2]);
    }
}
