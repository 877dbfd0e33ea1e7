//! Codes that stand for what an app was given, for a minute and once.

use std::sync::Arc;

use latchkey_model::chance::Chance;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::SessionId;
use latchkey_model::portal::{CodeChallenge, Completion};
use latchkey_model::secret::{PortalCode, PortalCodeHash};

use crate::codes;

const MOST: usize = 1000;

/// Codes that wait; what they stand for is secret.
pub(super) struct Codes(codes::Codes<PortalCodeHash, (CodeChallenge, Arc<Completion>)>);

impl Default for Codes {
    fn default() -> Self {
        Self(codes::Codes::new(MOST))
    }
}

impl Codes {
    /// Makes a code for these values.
    pub(super) fn issue(
        &self,
        session: &SessionId,
        challenge: CodeChallenge,
        values: Completion,
        chance: &dyn Chance,
        now: Timestamp,
    ) -> PortalCode {
        let code = PortalCode::generate(chance);
        let value = (challenge, Arc::new(values));
        self.0.put(session, code.hash(), value, now);
        code
    }

    /// Lets go of what is past.
    pub(super) fn forget(&self, now: Timestamp) {
        self.0.forget(now);
    }

    /// What a code stands for. It is used up, also by who cannot prove that they asked for it.
    pub(super) fn take(
        &self,
        code: &str,
        verifier: &str,
        now: Timestamp,
    ) -> Option<Arc<Completion>> {
        let (_, (challenge, values)) = self.0.take(&PortalCodeHash::of(code), now)?;
        challenge.is_met_by(verifier).then_some(values)
    }
}

#[cfg(test)]
mod tests {
    use latchkey_model::chance::SeededChance;
    use latchkey_model::portal::Refused;

    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn issue(codes: &Codes, seed: u64, now: Timestamp) -> PortalCode {
        // Every one of a session of its own.
        let session = SessionId::generate(&SeededChance::new(seed));
        issue_in(&session, codes, seed, now)
    }

    fn issue_in(session: &SessionId, codes: &Codes, seed: u64, now: Timestamp) -> PortalCode {
        let values = Completion::refused(Refused::Denied, None);
        let challenge = CodeChallenge::parse(CHALLENGE).unwrap();
        codes.issue(session, challenge, values, &SeededChance::new(seed), now)
    }

    #[test]
    fn a_code_is_good_once_for_a_minute_and_for_who_asked() {
        let codes = Codes::default();
        let code = issue(&codes, 1, at(0));
        assert!(codes.take(code.expose(), VERIFIER, at(59)).is_some());
        assert!(codes.take(code.expose(), VERIFIER, at(59)).is_none());
        let late = issue(&codes, 2, at(0));
        assert!(codes.take(late.expose(), VERIFIER, at(60)).is_none());
        let stolen = issue(&codes, 3, at(0));
        assert!(codes.take(stolen.expose(), CHALLENGE, at(1)).is_none());
        assert!(codes.take(stolen.expose(), VERIFIER, at(1)).is_none());
        assert!(codes.take("lk_code_x", VERIFIER, at(1)).is_none());
    }

    #[test]
    fn there_are_only_so_many() {
        let codes = Codes::default();
        let first = issue(&codes, 0, at(0));
        for seed in 1..=1000 {
            issue(&codes, seed, at(0));
        }
        assert!(codes.take(first.expose(), VERIFIER, at(0)).is_none());
        assert_eq!(codes.0.len(), MOST);
        issue(&codes, 2000, at(61));
        assert_eq!(codes.0.len(), 1);
        codes.forget(at(121));
        assert_eq!(codes.0.len(), 0);
    }

    #[test]
    fn one_session_pushes_out_its_own_only() {
        let codes = Codes::default();
        let others = issue(&codes, 0, at(0));
        let session = SessionId::generate(&SeededChance::new(1));
        let own: Vec<_> = (1..=21)
            .map(|seed| issue_in(&session, &codes, seed, at(0)))
            .collect();
        assert_eq!(codes.0.len(), 21);
        let good = |code: &PortalCode| codes.take(code.expose(), VERIFIER, at(1)).is_some();
        assert!(!good(&own[0]) && good(&own[1]) && good(&own[20]) && good(&others));
    }
}
