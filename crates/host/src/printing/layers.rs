//! Layers out of heights, for servers that know only how high the nozzle is.
//!
//! A nozzle is lifted for travels, and primes high above the bed before it begins. What counts as a
//! layer is a height at which it stays: the lowest such height near the bed is the first layer, and
//! each further one that is a layer's height above is the next. Layers that are done within the
//! time of [`STAYS`] are missed, so it may come late, but not too early.

use latchkey_model::clock::Timestamp;
use std::time::Duration;

/// A nozzle that stays at a height for so long prints there.
const STAYS: Duration = Duration::from_secs(3);
/// The first layer is within this of the bed, in micrometers, and no layer is thicker.
const THICKEST: u64 = 1_000;
/// Nearer than this is the same height.
const SAME: u64 = 20;

/// The layers of one print, as far as they were seen.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// Where the nozzle is, and since when.
    here: Option<(u64, Timestamp)>,
    /// The height of the layer that is printed, and its number.
    layer: Option<(u64, u32)>,
}

impl Layers {
    /// Takes note of a height in micrometers; the number of the layer that is printed, if the print
    /// was watched from its first layer on.
    pub(super) fn note(&mut self, at: Timestamp, z: Option<u64>) -> Option<u32> {
        let Some(z) = z else {
            self.here = None;
            return self.number();
        };
        let since = match self.here {
            Some((height, since)) if height.abs_diff(z) < SAME => since,
            _ => {
                self.here = Some((z, at));
                at
            }
        };
        if at.since(since) >= STAYS {
            match self.layer {
                None if (1..=THICKEST).contains(&z) => self.layer = Some((z, 1)),
                Some((height, number))
                    if z >= height + SAME && z <= height + THICKEST * u64::from(MOST_MISSED) =>
                {
                    self.layer = Some((z, number.saturating_add(1)));
                }
                _ => {}
            }
        }
        self.number()
    }

    fn number(&self) -> Option<u32> {
        self.layer.map(|(_, number)| number)
    }
}

/// So many layers may be missed in between; higher is no layer but a nozzle out of the way.
const MOST_MISSED: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// Heights in micrometers, one a second.
    fn layers(heights: &[u64]) -> Vec<Option<u32>> {
        let mut layers = Layers::default();
        let mut second = 0;
        let note = heights.iter().map(|z| {
            second += 1_000;
            layers.note(Timestamp::from_millis(second), Some(*z))
        });
        note.collect()
    }

    fn last(heights: &[(u64, usize)]) -> Option<u32> {
        let all: Vec<u64> = heights
            .iter()
            .flat_map(|(z, times)| std::iter::repeat_n(*z, *times))
            .collect();
        *layers(&all).last().unwrap()
    }

    #[test]
    fn a_height_at_which_the_nozzle_stays_is_a_layer() {
        for (heights, number) in [
            (&[(0, 10)][..], None),
            (&[(200, 3)], None),
            (&[(200, 4)], Some(1)),
            (&[(15_000, 60), (200, 9)], Some(1)),
            (&[(200, 9), (400, 9), (600, 9)], Some(3)),
            (&[(200, 9), (400, 2), (600, 9)], Some(2)),
            (&[(200, 9), (600, 1), (200, 9), (600, 1), (200, 9)], Some(1)),
            (&[(200, 9), (50_000, 60)], Some(1)),
            (&[(200, 9), (50_000, 60), (400, 9)], Some(2)),
            (&[(400, 9), (200, 9)], Some(1)),
        ] {
            assert_eq!(last(heights), number, "{heights:?}");
        }
    }

    #[test]
    fn a_nozzle_that_is_nowhere_is_at_no_layer() {
        let mut layers = Layers::default();
        for second in 1..9 {
            assert_eq!(
                layers.note(Timestamp::from_millis(second * 1_000), None),
                None
            );
        }
    }
}
