//! Chance as an argument: where random bytes come from, and how they become text.

use std::sync::Mutex;
use std::sync::{Arc, PoisonError};

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// Gives random bytes.
pub trait Chance: Send + Sync {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

impl<C: Chance + ?Sized> Chance for Arc<C> {
    fn fill(&self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}

/// The operating system's random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    /// # Panics
    ///
    /// When the operating system gives no random bytes: a secret made without them would be
    /// worse than a stopped program.
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// The same bytes for the same seed: SHA-256 over seed and counter. For tests only.
#[derive(Debug)]
pub struct SeededChance {
    seed: u64,
    stream: Mutex<Stream>,
}

#[derive(Debug)]
struct Stream {
    block: [u8; 32],
    used: usize,
    counter: u64,
}

impl SeededChance {
    /// Starts the sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            stream: Mutex::new(Stream {
                block: [0; 32],
                used: 32,
                counter: 0,
            }),
        }
    }
}

impl Chance for SeededChance {
    fn fill(&self, bytes: &mut [u8]) {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            if stream.used == stream.block.len() {
                let mut hasher = Sha256::new();
                hasher.update(self.seed.to_le_bytes());
                hasher.update(stream.counter.to_le_bytes());
                stream.block = hasher.finalize().into();
                stream.used = 0;
                stream.counter += 1;
            }
            *byte = stream.block[stream.used];
            stream.used += 1;
        }
    }
}

/// Random text of `length` characters out of `alphabet`, each equally likely.
///
/// The alphabet is ASCII and has at most 256 characters.
pub fn letters(chance: &dyn Chance, alphabet: &[u8], length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        chance.fill(&mut bytes);
        let fair = bytes.iter().filter_map(|byte| letter(*byte, alphabet));
        for letter in fair.take(length - text.len()) {
            text.push(char::from(letter));
        }
    }
    bytes.zeroize();
    text
}

/// The letter `byte` stands for, or nothing for the bytes at the top that would make the first
/// letters of the alphabet likelier than the rest.
fn letter(byte: u8, alphabet: &[u8]) -> Option<u8> {
    let fair = 256 - 256 % alphabet.len();
    let byte = usize::from(byte);
    (byte < fair).then(|| alphabet[byte % alphabet.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{BASE32_LOWER, BASE36_LOWER, BASE36_UPPER, BASE62};

    #[test]
    fn each_letter_stands_for_equally_many_bytes() {
        for alphabet in [BASE32_LOWER, BASE36_LOWER, BASE36_UPPER, BASE62] {
            let mut counts = [0; 256];
            for letter in (0..=255).filter_map(|byte| letter(byte, alphabet)) {
                counts[usize::from(letter)] += 1;
            }
            for wanted in alphabet {
                let count = counts[usize::from(*wanted)];
                assert_eq!(count, 256 / alphabet.len(), "letter {wanted}");
            }
        }
    }

    #[test]
    fn letters_have_the_asked_length() {
        let chance = SeededChance::new(1);
        for length in [0, 1, 63, 64, 65, 500] {
            assert_eq!(letters(&chance, BASE62, length).len(), length);
        }
    }

    #[test]
    fn same_seed_gives_same_bytes_however_they_are_drawn() {
        let (one, two, other) = (
            SeededChance::new(7),
            SeededChance::new(7),
            SeededChance::new(8),
        );
        let mut whole = [0; 100];
        one.fill(&mut whole);
        let mut parts = [0; 100];
        for part in parts.chunks_mut(7) {
            two.fill(part);
        }
        assert_eq!(whole, parts);
        let mut different = [0; 100];
        other.fill(&mut different);
        assert_ne!(whole, different);
    }

    #[test]
    fn system_chance_does_not_repeat_itself() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        SystemChance.fill(&mut one);
        SystemChance.fill(&mut two);
        assert_ne!(one, two);
    }
}
