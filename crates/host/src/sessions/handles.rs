//! How the push socket is told who somebody is: by handles that are worth nothing elsewhere.
//!
//! Nothing of them is kept but what the session's row has: a handle names a session, a key or an
//! app connection and is signed, so that the same browser is always given the same.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use latchkey_model::access::KeyScope;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AppKeyId, SessionId, SessionKeyId};
use latchkey_model::sealed::SigningKey;

/// What a handle names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    Session(SessionId),
    Key(AppKeyId),
    SessionKey(SessionKeyId),
    AppConnection(String, KeyScope),
}

/// Makes and reads handles.
#[derive(Debug, Clone)]
pub(super) struct Handles(SigningKey);

const DAY: Duration = Duration::from_hours(24);

impl Handles {
    pub(super) fn new(key: SigningKey) -> Self {
        Self(key)
    }

    pub(super) fn of_session(&self, id: &SessionId) -> String {
        self.signed("session", id.as_str())
    }

    pub(super) fn of_key(&self, id: &AppKeyId) -> String {
        self.signed("key", &format!("k{id}"))
    }

    pub(super) fn of_session_key(&self, id: &SessionKeyId) -> String {
        self.signed("session key", &format!("s{id}"))
    }

    /// The host hears of the end of an app connection only while it has a tunnel, so the handle
    /// is good for this day and the next at most.
    pub(super) fn of_app_connection(&self, id: &str, scope: KeyScope, now: Timestamp) -> String {
        let letter = match scope {
            KeyScope::Full => 'c',
            KeyScope::View => 'v',
        };
        self.signed("connection", &format!("{letter}{}-{id}", day(now)))
    }

    pub(super) fn read(&self, handle: &str, now: Timestamp) -> Option<Named> {
        let (name, mac) = handle.rsplit_once('.')?;
        let mac = BASE64URL_NOPAD.decode(mac.as_bytes()).ok()?;
        let is = |kind: &str| self.0.verify(&text(kind, name), &mac);
        if is("session") {
            return name.parse().ok().map(Named::Session);
        }
        if is("key") {
            return name.strip_prefix('k')?.parse().ok().map(Named::Key);
        }
        if is("session key") {
            return name.strip_prefix('s')?.parse().ok().map(Named::SessionKey);
        }
        if is("connection") {
            let full = name.strip_prefix('c').map(|rest| (rest, KeyScope::Full));
            let view = || name.strip_prefix('v').map(|rest| (rest, KeyScope::View));
            let (rest, scope) = full.or_else(view)?;
            let (given, id) = rest.split_once('-')?;
            let age = day(now).checked_sub(given.parse().ok()?)?;
            return (age <= 1).then(|| Named::AppConnection(id.to_owned(), scope));
        }
        None
    }

    fn signed(&self, kind: &str, name: &str) -> String {
        let mac = self.0.sign(&text(kind, name));
        format!("{name}.{}", BASE64URL_NOPAD.encode(&mac))
    }
}

/// The kind is signed too, so that no name can pass for one of another kind.
fn text(kind: &str, name: &str) -> String {
    format!("{kind} {name}")
}

fn day(now: Timestamp) -> u64 {
    now.since(Timestamp::from_millis(0)).as_secs() / DAY.as_secs()
}

#[cfg(test)]
mod tests {
    use latchkey_model::sealed::MasterKey;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_handle_names_one_thing_of_one_kind_and_cannot_be_made_up() {
        let handles = Handles::new(MasterKey::from_bytes([1; 32]).signing("push session"));
        let id = "kbcdefghijklmnopqrst";
        let session = handles.of_session(&id.parse().unwrap());
        let key = handles.of_key(&id.parse().unwrap());
        let session_key = handles.of_session_key(&id.parse().unwrap());
        // Named so that its handle begins like a session's.
        let connection = handles.of_app_connection("a.b:c", KeyScope::Full, NOW);
        let read = |handle: &str| handles.read(handle, NOW);
        assert_eq!(read(&session), Some(Named::Session(id.parse().unwrap())));
        assert_eq!(read(&key), Some(Named::Key(id.parse().unwrap())));
        assert_eq!(
            read(&session_key),
            Some(Named::SessionKey(id.parse().unwrap()))
        );
        assert_eq!(
            read(&connection),
            Some(Named::AppConnection("a.b:c".into(), KeyScope::Full))
        );
        let mac = |handle: &str| handle.rsplit_once('.').unwrap().1.to_owned();
        for made_up in [
            String::new(),
            id.to_owned(),
            format!("{id}."),
            format!("{id}.{}", mac(&key)),
            format!("k{id}.{}", mac(&session)),
            format!("{session}x"),
        ] {
            assert_eq!(read(&made_up), None, "{made_up}");
        }
        let strange = Handles::new(MasterKey::from_bytes([2; 32]).signing("push session"));
        assert_eq!(strange.read(&session, NOW), None);
    }

    #[test]
    fn an_app_connections_handle_is_good_for_two_days() {
        let handles = Handles::new(MasterKey::from_bytes([1; 32]).signing("push session"));
        let handle = handles.of_app_connection("c1", KeyScope::View, NOW);
        let named = Named::AppConnection("c1".to_owned(), KeyScope::View);
        assert_eq!(handles.read(&handle, NOW), Some(named));
        assert!(handles.read(&handle, NOW.plus(DAY)).is_some());
        assert!(handles.read(&handle, NOW.plus(DAY * 2)).is_none());
    }
}
