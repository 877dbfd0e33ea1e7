//! What is open in somebody's name, and ends with their key or session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use latchkey_model::id::{AppKeyId, SessionId, SessionKeyId};
use tokio_util::sync::CancellationToken;

/// In whose name something is open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Key(AppKeyId),
    SessionKey(SessionKeyId),
    Session(SessionId),
}

/// Held by whatever is open; the last one dropped forgets the holder.
#[derive(Debug, Clone)]
pub(crate) struct Hold(Arc<CancellationToken>);

impl Hold {
    /// Of what the host cannot end: whoever opened it does.
    pub(crate) fn elsewhere() -> Self {
        Self(Arc::new(CancellationToken::new()))
    }

    /// Cancelled when the key or session ends.
    pub(crate) fn ended(&self) -> &CancellationToken {
        &self.0
    }

    /// Waits for the end, and holds on until then: a clone of the token alone would be forgotten.
    pub(crate) async fn until_ended(self) {
        self.0.cancelled().await;
    }
}

/// All that is open, by holder. As large as what is open, which the listener bounds.
#[derive(Clone, Default)]
pub(crate) struct Endings(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    by_holder: HashMap<Holder, Weak<CancellationToken>>,
    /// Size at which the forgotten are swept out next.
    sweep_at: usize,
    /// How many holders have ended.
    ended: u64,
}

const SMALLEST_SWEEP: usize = 64;

impl Endings {
    /// Joins what is open in the holder's name.
    pub(crate) fn hold(&self, holder: Holder) -> Hold {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = open.by_holder.get(&holder).and_then(Weak::upgrade) {
            return Hold(token);
        }
        if open.by_holder.len() >= open.sweep_at.max(SMALLEST_SWEEP) {
            open.by_holder.retain(|_, token| token.strong_count() > 0);
            open.sweep_at = open.by_holder.len() * 2;
        }
        let token = Arc::new(CancellationToken::new());
        open.by_holder.insert(holder, Arc::downgrade(&token));
        Hold(token)
    }

    /// Changes whenever something ends. Who looks a key up and then joins its holder must see the
    /// same count before and after, or look again: between the two the key may have ended.
    pub(crate) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    /// In whose names something is open.
    pub(crate) fn holders(&self) -> Vec<Holder> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let live = open.by_holder.iter();
        live.filter(|(_, token)| token.strong_count() > 0)
            .map(|(holder, _)| holder.clone())
            .collect()
    }

    /// Ends what is open in the holder's name, and nothing that is opened later.
    pub(crate) fn end(&self, holder: &Holder) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.ended += 1;
        if let Some(token) = open
            .by_holder
            .remove(holder)
            .and_then(|token| token.upgrade())
        {
            token.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(letter: char) -> Holder {
        Holder::Key(letter.to_string().repeat(20).parse().unwrap())
    }

    #[test]
    fn ending_a_holder_ends_all_it_holds_and_nobody_elses() {
        let endings = Endings::default();
        let (first, second) = (endings.hold(holder('a')), endings.hold(holder('a')));
        let other = endings.hold(holder('b'));
        endings.end(&holder('a'));
        assert!(first.ended().is_cancelled() && second.ended().is_cancelled());
        assert!(!other.ended().is_cancelled());
        assert_eq!(endings.count(), 1);
        assert!(!endings.hold(holder('a')).ended().is_cancelled());
    }

    #[test]
    fn what_is_closed_is_forgotten() {
        let endings = Endings::default();
        for index in 0..10_000 {
            let id = format!("{index:0>20}").replace(['0', '1', '8', '9'], "a");
            drop(endings.hold(Holder::Session(id.parse().unwrap())));
        }
        assert!(endings.0.lock().unwrap().by_holder.len() <= SMALLEST_SWEEP);
    }
}
