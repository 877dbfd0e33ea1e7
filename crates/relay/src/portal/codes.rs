//! Codes that stand for what an app was given, for a minute and once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_model::chance::Chance;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::SessionId;
use latchkey_model::portal::{CodeChallenge, Completion};
use latchkey_model::secret::{PortalCode, PortalCodeHash};

/// How long a code is good.
const LASTS: Duration = Duration::from_mins(1);
/// Most codes of one session at a time, and of all; then its oldest, or the oldest of all, go.
const MOST_OF_A_SESSION: usize = 20;
const MOST: usize = 1000;

/// Codes that wait, in memory only: what they stand for is secret.
#[derive(Default)]
pub(super) struct Codes(Mutex<VecDeque<Waiting>>);

struct Waiting {
    session: SessionId,
    hash: PortalCodeHash,
    challenge: CodeChallenge,
    values: Arc<Completion>,
    until: Timestamp,
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
            hash: code.hash(),
            challenge,
            values: Arc::new(values),
            until: now.plus(LASTS),
        });
        code
    }

    /// Lets go of what is past.
    pub(super) fn forget(&self, now: Timestamp) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| one.until > now);
    }

    /// What a code stands for. It is used up, also by who cannot prove that they asked for it.
    pub(super) fn take(
        &self,
        code: &str,
        verifier: &str,
        now: Timestamp,
    ) -> Option<Arc<Completion>> {
        let hash = PortalCodeHash::of(code);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.iter().position(|one| one.hash == hash)?;
        let taken = waiting.remove(at)?;
        let good = taken.until > now && taken.challenge.is_met_by(verifier);
        good.then_some(taken.values)
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
        assert_eq!(codes.0.lock().unwrap().len(), MOST);
        issue(&codes, 2000, at(61));
        assert_eq!(codes.0.lock().unwrap().len(), 1);
        codes.forget(at(121));
        assert_eq!(codes.0.lock().unwrap().len(), 0);
    }

    #[test]
    fn one_session_pushes_out_its_own_only() {
        let codes = Codes::default();
        let others = issue(&codes, 0, at(0));
        let session = SessionId::generate(&SeededChance::new(1));
        let own: Vec<_> = (1..=21)
            .map(|seed| issue_in(&session, &codes, seed, at(0)))
            .collect();
        assert_eq!(codes.0.lock().unwrap().len(), 21);
        let good = |code: &PortalCode| codes.take(code.expose(), VERIFIER, at(1)).is_some();
        assert!(!good(&own[0]) && good(&own[1]) && good(&own[20]) && good(&others));
    }
}
