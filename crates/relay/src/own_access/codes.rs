//! Codes that carry a session from the web origin to a hostname, once and for a minute.

use latchkey_model::chance::Chance;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::SessionId;
use latchkey_model::own_access::OwnLabel;
use latchkey_model::secret::{OwnCode, OwnCodeHash};

use crate::codes;

const MOST: usize = 10_000;

/// Codes that wait. After a restart people come to the page anew.
pub(super) struct Codes(codes::Codes<OwnCodeHash, OwnLabel>);

impl Default for Codes {
    fn default() -> Self {
        Self(codes::Codes::new(MOST))
    }
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
        self.0.put(session, code.hash(), label.clone(), now);
        code
    }

    /// Whose code it is. It is used up, also at another hostname than its own.
    pub(super) fn take(&self, code: &str, label: &OwnLabel, now: Timestamp) -> Option<SessionId> {
        let (session, own) = self.0.take(&OwnCodeHash::of(code), now)?;
        (own == *label).then_some(session)
    }
}

#[cfg(test)]
mod tests {
    use latchkey_model::chance::SeededChance;

    use super::*;
    use crate::codes::MOST_OF_A_SESSION;

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
