//! The keys that are good now, in memory. A restart ends them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::crowds::Crowds;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::SessionKeyId;
use latchkey_model::secret::SessionKeyHash;
use latchkey_model::session_key::{SessionAppName, SessionScope, UNVERIFIED_FOR, VERIFIED_FOR};

/// Most that are kept of each sort. Then the oldest of the household with the most go.
pub(super) const MOST: usize = 1000;

/// A key that an app signed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VerifiedKey {
    pub(crate) id: SessionKeyId,
    pub(crate) app: SessionAppName,
    pub(crate) scope: SessionScope,
    pub(crate) until: Timestamp,
    /// The entry that it was verified by.
    pub(super) wording: [u8; 32],
}

impl VerifiedKey {
    /// The same key where nobody gets further than looking.
    pub(crate) fn watching(&self) -> Self {
        Self {
            scope: SessionScope::View,
            ..self.clone()
        }
    }
}

struct Kept {
    /// Who asked for it, as far as limits tell callers apart.
    household: IpAddr,
    created: Timestamp,
    /// `None` for a key that waits for its signature.
    verified: Option<Arc<VerifiedKey>>,
}

/// Looked up by hash, so that the time it takes tells nothing of keys that exist.
#[derive(Default)]
pub(super) struct Table {
    keys: HashMap<SessionKeyHash, Kept>,
    by_id: HashMap<SessionKeyId, SessionKeyHash>,
    waiting: Crowds,
    verified: Crowds,
    /// Before this moment no key gets too old.
    quiet_until: Option<Timestamp>,
}

/// A key cannot be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotToVerify;

impl Kept {
    fn span(&self) -> Duration {
        match &self.verified {
            None => UNVERIFIED_FOR,
            Some(_) => VERIFIED_FOR,
        }
    }

    fn is_good(&self, now: Timestamp) -> bool {
        is_within(now, self.created, self.span())
    }
}

/// A clock that was set back to before the beginning lets nothing live longer.
fn is_within(now: Timestamp, since: Timestamp, span: Duration) -> bool {
    since <= now && now.since(since) < span
}

impl Table {
    /// Keeps a new key that waits for its signature. Says which verified ones are over.
    pub(super) fn begin(
        &mut self,
        hash: SessionKeyHash,
        household: IpAddr,
        now: Timestamp,
    ) -> Vec<Arc<VerifiedKey>> {
        let gone = self.make_room(Sort::Waiting, now);
        let kept = Kept {
            household,
            created: now,
            verified: None,
        };
        self.keys.insert(hash, kept);
        self.waiting.add(household, hash);
        gone
    }

    /// Makes a waiting key a verified one, once. Says which others had to go for it.
    pub(super) fn verify(
        &mut self,
        hash: &SessionKeyHash,
        now: Timestamp,
        make: impl FnOnce(Timestamp) -> VerifiedKey,
    ) -> Result<(Arc<VerifiedKey>, Vec<Arc<VerifiedKey>>), NotToVerify> {
        match self.keys.get(hash) {
            Some(kept) if kept.verified.is_none() && kept.is_good(now) => {}
            _ => return Err(NotToVerify),
        }
        let gone = self.make_room(Sort::Verified, now);
        let Some(kept) = self.keys.get_mut(hash) else {
            return Err(NotToVerify);
        };
        let key = Arc::new(make(kept.created.plus(VERIFIED_FOR)));
        kept.verified = Some(Arc::clone(&key));
        self.waiting.remove(kept.household, hash);
        self.verified.add(kept.household, *hash);
        self.by_id.insert(key.id.clone(), *hash);
        Ok((key, gone))
    }

    /// A verified key that is good.
    pub(super) fn find(&self, hash: &SessionKeyHash, now: Timestamp) -> Option<Arc<VerifiedKey>> {
        let kept = self.keys.get(hash).filter(|kept| kept.is_good(now))?;
        kept.verified.clone()
    }

    /// The same by its id.
    pub(super) fn find_by_id(&self, id: &SessionKeyId, now: Timestamp) -> Option<Arc<VerifiedKey>> {
        self.find(self.by_id.get(id)?, now)
    }

    /// Takes a key away, waiting or verified, if it is one that the household asked for. Says
    /// which verified key that was.
    pub(super) fn remove_of(
        &mut self,
        hash: &SessionKeyHash,
        household: IpAddr,
    ) -> Option<Arc<VerifiedKey>> {
        let kept = self.keys.get(hash)?;
        if kept.household != household {
            return None;
        }
        self.remove(hash)
    }

    /// Takes verified keys away for which `holds` does not. Says which.
    pub(super) fn end_unless(
        &mut self,
        holds: impl Fn(&VerifiedKey) -> bool,
    ) -> Vec<Arc<VerifiedKey>> {
        let ending = |(hash, kept): (&SessionKeyHash, &Kept)| {
            let key = kept.verified.as_ref()?;
            (!holds(key)).then_some(*hash)
        };
        let ending: Vec<_> = self.keys.iter().filter_map(ending).collect();
        ending.iter().filter_map(|hash| self.remove(hash)).collect()
    }

    /// Takes away what is too old. Says which verified keys that were.
    pub(super) fn clear(&mut self, now: Timestamp) -> Vec<Arc<VerifiedKey>> {
        let old = self.keys.iter().filter(|(_, kept)| !kept.is_good(now));
        let old: Vec<_> = old.map(|(hash, _)| *hash).collect();
        let over = old.iter().filter_map(|hash| self.remove(hash)).collect();
        let ends = self
            .keys
            .values()
            .map(|kept| kept.created.plus(kept.span()));
        // What is made from now on ends later than this.
        self.quiet_until = ends.chain([now.plus(UNVERIFIED_FOR)]).min();
        over
    }

    /// All verified keys that are good.
    pub(super) fn verified(&self, now: Timestamp) -> impl Iterator<Item = &Arc<VerifiedKey>> {
        let good = self.keys.values().filter(move |kept| kept.is_good(now));
        good.filter_map(|kept| kept.verified.as_ref())
    }

    fn remove(&mut self, hash: &SessionKeyHash) -> Option<Arc<VerifiedKey>> {
        let kept = self.keys.remove(hash)?;
        let Some(key) = kept.verified else {
            self.waiting.remove(kept.household, hash);
            return None;
        };
        self.verified.remove(kept.household, hash);
        self.by_id.remove(&key.id);
        Some(key)
    }

    fn crowds(&self, sort: Sort) -> &Crowds {
        match sort {
            Sort::Waiting => &self.waiting,
            Sort::Verified => &self.verified,
        }
    }

    /// Makes room for one more if there is none: what is too old goes, else the oldest of whoever
    /// has the most, so that nobody can push out others by asking often.
    fn make_room(&mut self, sort: Sort, now: Timestamp) -> Vec<Arc<VerifiedKey>> {
        let mut gone = Vec::new();
        if self.crowds(sort).count() < MOST {
            return gone;
        }
        if self.quiet_until.is_none_or(|quiet| now >= quiet) {
            gone = self.clear(now);
        }
        while self.crowds(sort).count() >= MOST {
            let Some(first) = self.crowds(sort).first_to_go() else {
                break;
            };
            gone.extend(self.remove(&first));
        }
        gone
    }
}

/// Each sort of key has a bound of its own.
#[derive(Clone, Copy)]
enum Sort {
    Waiting,
    Verified,
}

#[cfg(test)]
mod tests {
    use latchkey_model::chance::SeededChance;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000 + millis)
    }

    fn hash(number: usize) -> SessionKeyHash {
        SessionKeyHash::of(&number.to_string())
    }

    fn home(last: u8) -> IpAddr {
        [192, 168, 1, last].into()
    }

    fn key(chance: &SeededChance, until: Timestamp) -> VerifiedKey {
        VerifiedKey {
            id: SessionKeyId::generate(chance),
            app: SessionAppName::parse("a:1").unwrap(),
            scope: SessionScope::Full,
            until,
            wording: [0; 32],
        }
    }

    #[test]
    fn a_key_waits_a_minute_and_is_good_for_two_hours_of_its_making() {
        let chance = SeededChance::new(1);
        let mut table = Table::default();
        for number in 0..3 {
            table.begin(hash(number), home(1), at(0));
        }
        let mut verify =
            |number, now| table.verify(&hash(number), at(now), |until| key(&chance, until));
        assert_eq!(verify(0, 59_999).unwrap().0.until, at(7_200_000));
        assert_eq!(verify(0, 59_999), Err(NotToVerify), "twice");
        assert_eq!(verify(1, 60_000), Err(NotToVerify), "too late");
        assert_eq!(verify(2, -1), Err(NotToVerify), "before it was made");
        assert_eq!(verify(3, 0), Err(NotToVerify), "unknown");
        assert!(table.find(&hash(0), at(7_199_999)).is_some());
        assert!(table.find(&hash(0), at(7_200_000)).is_none());
        assert!(table.find(&hash(2), at(1)).is_none(), "not verified");
    }

    #[test]
    fn who_asks_often_pushes_out_their_own() {
        let mut table = Table::default();
        table.begin(hash(0), home(1), at(0));
        for number in 1..5000 {
            table.begin(hash(number), home(2), at(1));
        }
        assert_eq!(table.keys.len(), MOST);
        assert!(table.keys.contains_key(&hash(0)));
        // Everybody has one: the oldest goes.
        let mut table = Table::default();
        for number in 0..=MOST {
            let address = u32::try_from(number).unwrap().to_be_bytes();
            let moment = i64::try_from(number).unwrap();
            table.begin(hash(number), address.into(), at(moment));
        }
        assert!(!table.keys.contains_key(&hash(0)) && table.keys.contains_key(&hash(1)));
    }

    #[test]
    fn what_is_too_old_makes_room_first() {
        let mut table = Table::default();
        for number in 0..MOST {
            table.begin(hash(number), home(1), at(0));
        }
        table.begin(hash(MOST), home(2), at(60_000));
        assert_eq!(table.keys.len(), 1);
    }

    #[test]
    fn verified_keys_have_a_bound_of_their_own() {
        let chance = SeededChance::new(1);
        let mut table = Table::default();
        let mut gone = 0;
        for number in 0..MOST + 5 {
            table.begin(hash(number), home(1), at(0));
            let verified = table.verify(&hash(number), at(0), |until| key(&chance, until));
            gone += verified.unwrap().1.len();
        }
        assert_eq!((table.by_id.len(), table.keys.len(), gone), (MOST, MOST, 5));
    }

    #[test]
    fn only_who_asked_for_a_key_can_take_it_away() {
        let chance = SeededChance::new(1);
        let mut table = Table::default();
        for number in 0..2 {
            table.begin(hash(number), home(1), at(0));
        }
        table
            .verify(&hash(1), at(0), |until| key(&chance, until))
            .unwrap();
        for number in 0..2 {
            assert!(table.remove_of(&hash(number), home(2)).is_none());
            assert!(table.keys.contains_key(&hash(number)));
        }
        assert!(table.remove_of(&hash(0), home(1)).is_none());
        assert!(table.remove_of(&hash(1), home(1)).is_some());
        assert!(table.keys.is_empty() && table.by_id.is_empty());
    }
}
