//! Good inputs made bad, without end: what a fuzzer does that knows the format. The same seed
//! gives the same inputs.

/// A stream of numbers (xorshift, Marsaglia 2003).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.0 % bound).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        // Lengths, tags and ends of numbers, more often than others.
        const LIKELY: [u8; 12] = [0, 1, 2, 3, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0xfe, 0xff];
        if self.below(2) == 0 {
            LIKELY[self.below(LIKELY.len())]
        } else {
            u8::try_from(self.below(256)).unwrap_or(0)
        }
    }

    /// One to four changes; now and then none, so that what is good stays good.
    pub(crate) fn change(&mut self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        for _ in 0..self.below(5) {
            self.change_once(&mut bytes);
        }
        bytes
    }

    fn change_once(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let byte = self.byte();
        match self.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            1 if !bytes.is_empty() => bytes[at] = byte,
            2 => bytes.insert(at, byte),
            3 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            4 => bytes.truncate(at),
            _ => {
                let end = (at + self.below(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}
