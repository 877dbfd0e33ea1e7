//! The code by which the first administrator shows that the host is theirs: it stands on the
//! console, where only they can read it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_model::chance::{Chance, letters};
use latchkey_model::clock::Timestamp;
use latchkey_model::secret::SecretHash;

use super::UserError;

/// Letters that are read and typed without mistakes, and that spell no words (RFC 8628 section 6.1).
const CONSONANTS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;
/// After so many wrong ones nobody may try for a while.
const MOST_WRONG: u32 = 5;
const PAUSE: Duration = Duration::from_mins(10);

/// Why nobody became the first administrator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FirstError {
    #[error("there is an administrator already")]
    Done,
    #[error("the code is not the one on the console")]
    CodeWrong,
    #[error("the code was wrong too often")]
    TooMany { wait: Duration },
    #[error(transparent)]
    User(#[from] UserError),
}

enum Code {}

/// The code of this run of the host.
#[derive(Clone)]
pub(super) struct SetupCode(Arc<Mutex<State>>);

struct State {
    text: String,
    wrong: u32,
    paused_until: Timestamp,
}

impl SetupCode {
    pub(super) fn new(chance: &dyn Chance) -> Self {
        Self(Arc::new(Mutex::new(State {
            text: letters(chance, CONSONANTS, LENGTH),
            wrong: 0,
            paused_until: Timestamp::from_millis(0),
        })))
    }

    /// For the console: with a hyphen in the middle.
    pub(super) fn shown(&self) -> String {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, second) = state.text.split_at(LENGTH / 2);
        format!("{first}-{second}")
    }

    /// Whether it is the code; case, blanks and hyphens do not count.
    pub(super) fn check(&self, presented: &str, now: Timestamp) -> Result<(), FirstError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now < state.paused_until {
            let wait = state.paused_until.since(now);
            return Err(FirstError::TooMany { wait });
        }
        let letters = presented.chars().filter(char::is_ascii_alphanumeric);
        let presented: String = letters.map(|c| c.to_ascii_uppercase()).collect();
        // Compared by hash, and so in constant time.
        if SecretHash::<Code>::of(&state.text).matches(&presented) {
            return Ok(());
        }
        state.wrong += 1;
        if state.wrong >= MOST_WRONG {
            state.wrong = 0;
            state.paused_until = now.plus(PAUSE);
        }
        Err(FirstError::CodeWrong)
    }
}

#[cfg(test)]
mod tests {
    use latchkey_model::chance::SeededChance;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    #[test]
    fn the_code_is_read_as_people_type_it() {
        let code = SetupCode::new(&SeededChance::new(3));
        let shown = code.shown();
        assert_eq!(shown.len(), LENGTH + 1);
        for typed in [shown.clone(), shown.to_lowercase(), shown.replace('-', " ")] {
            assert!(code.check(&typed, NOW).is_ok(), "{typed}");
        }
    }

    #[test]
    fn after_five_wrong_codes_nobody_may_try_for_ten_minutes() {
        let code = SetupCode::new(&SeededChance::new(3));
        for _ in 0..MOST_WRONG {
            let wrong = code.check("AAAA-AAAA", NOW);
            assert!(matches!(wrong, Err(FirstError::CodeWrong)));
        }
        let right = code.check(&code.shown(), NOW);
        assert!(matches!(right, Err(FirstError::TooMany { wait }) if wait == PAUSE));
        assert!(code.check(&code.shown(), NOW.plus(PAUSE)).is_ok());
    }
}
