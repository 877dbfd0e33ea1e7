//! Seeded chance: the same seed gives the same noise, so that a test or a bug report can be repeated.
//! Nothing secret comes from here; sessions take their bytes from the operating system.

/// A small generator of the `SplitMix64` family.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Evenly spread in -1.0..1.0.
    pub(crate) fn signed_unit(&mut self) -> f64 {
        let high = u32::try_from(self.next_u64() >> 32).unwrap_or(u32::MAX);
        f64::from(high) / f64::from(u32::MAX) * 2.0 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn same_seed_gives_the_same_numbers() {
        let (mut one, mut other) = (Chance::new(7), Chance::new(7));
        assert!((0..100).all(|_| one.next_u64() == other.next_u64()));
    }

    #[test]
    fn signed_unit_stays_in_its_range() {
        let mut chance = Chance::new(1);
        assert!((0..10_000).all(|_| (-1.0..=1.0).contains(&chance.signed_unit())));
    }
}
