//! Chance that can be repeated: `SplitMix64` (Steele, Lea, Flood 2014), not for secrets.

/// A sequence of numbers that its seed decides.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next part of one: from 0 to just below 1.
    pub fn part(&mut self) -> f64 {
        // 32 bits are exact in a double, and enough for parts of a percent.
        let high = u32::try_from(self.roll() >> 32).expect("32 bits");
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    /// Whether something happens that happens in this part of the cases.
    pub fn happens(&mut self, part: f64) -> bool {
        part > 0.0 && self.part() < part
    }
}
