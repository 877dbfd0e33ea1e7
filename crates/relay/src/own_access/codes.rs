//! Codes that carry a session from the web origin to a hostname, once and for a minute.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use latchkey_model::chance::Chance;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::SessionId;
use latchkey_model::own_access::OwnLabel;
use latchkey_model::secret::{OwnCode, OwnCodeHash};

/// How long a code is good.
const LASTS: Duration = Duration::from_mins(1);
/// Most codes of one session at a time, and of all; then its oldest, or the oldest of all, go.
const MOST_OF_A_SESSION: usize = 20;
const MOST: usize = 10_000;

/// Codes that wait, in memory only. After a restart people come to the page anew.
#[derive(Default)]
pub(super) struct Codes(Mutex<VecDeque<Waiting>>);

struct Waiting {
    session: SessionId,
    label: OwnLabel,
    hash: OwnCodeHash,
    until: Timestamp,
}

impl Codes {
    pub(super) fn issue(
        &self,
        session: &SessionId,
        label: &OwnLabel,
        chance: &dyn Chance,
        now: Timestamp,
    ) -> OwnCode {
        let code = OwnCode::generate(chance);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| one.until > now);
        if waiting.iter().filter(|one| one.session == *session).count() >= MOST_OF_A_SESSION {
            let oldest = waiting.iter().position(|one| one.session == *session);
            oldest.and_then(|at| waiting.remove(at));
        } else if waiting.len() >= MOST {
            waiting.pop_front();
        }
        waiting.push_back(Waiting {
            session: session.clone(),
            label: label.clone(),
            hash: code.hash(),
            until: now.plus(LASTS),
        });
        code
    }

    /// Whose code it is. It is used up, also at another hostname than its own.
    pub(super) fn take(&self, code: &str, label: &OwnLabel, now: Timestamp) -> Option<SessionId> {
        let hash = OwnCodeHash::of(code);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.iter().position(|one| one.hash == hash)?;
        let taken = waiting.remove(at)?;
        let good = taken.until > now && taken.label == *label;
        good.then_some(taken.session)
    }
}

#[cfg(test)]
mod tests {
    use latchkey_model::chance::SeededChance;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn label(seed: u64) -> OwnLabel {
        OwnLabel::generate(&SeededChance::new(seed))
    }

    #[test]
    fn a_code_is_good_once_for_a_minute_at_its_own_hostname() {
        let codes = Codes::default();
        let chance = SeededChance::new(1);
        let session = SessionId::generate(&chance);
        let issue = || codes.issue(&session, &label(1), &chance, at(0));
        let take = |code: &OwnCode, label, now| codes.take(code.expose(), &label, now);
        let code = issue();
        assert_eq!(take(&code, label(1), at(59)), Some(session.clone()));
        assert_eq!(take(&code, label(1), at(59)), None);
        assert_eq!(take(&issue(), label(1), at(60)), None);
        let code = issue();
        assert_eq!(take(&code, label(2), at(1)), None);
        assert_eq!(take(&code, label(1), at(1)), None, "it was shown elsewhere");
        assert_eq!(codes.take("", &label(1), at(1)), None);
    }

    #[test]
    fn no_session_takes_the_room_of_others() {
        let codes = Codes::default();
        let chance = SeededChance::new(1);
        let (one, other) = (SessionId::generate(&chance), SessionId::generate(&chance));
        let kept = codes.issue(&other, &label(1), &chance, at(0));
        let first = codes.issue(&one, &label(1), &chance, at(0));
        for _ in 0..MOST_OF_A_SESSION {
            codes.issue(&one, &label(1), &chance, at(0));
        }
        assert_eq!(codes.take(first.expose(), &label(1), at(1)), None);
        assert_eq!(codes.take(kept.expose(), &label(1), at(1)), Some(other));
    }
}
