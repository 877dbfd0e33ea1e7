//! The behaviour that every database behind [`HostStore`] must show.

use latchkey_model::access::KeyScope;
use latchkey_model::app::AppName;
use latchkey_model::app_key::AppKey;
use latchkey_model::chance::SeededChance;
use latchkey_model::id::{AppKeyId, SessionId};
use latchkey_model::sealed::{MasterKey, SealingKey};
use latchkey_model::secret::{AppKeyText, PushHandle, RequestToken, SessionToken};
use latchkey_model::session::{Mechanism, Session};
use latchkey_model::user::{Group, User, UserName};

use super::{Case, at};
use crate::error::StoreError;
use crate::host::{Change, Ended, Grant, HostStore, NewAppKey};

mod app_keys;
mod grants;
mod remembered;
mod session_apps;
mod session_key_log;
mod sessions;
mod users;

/// All cases. Each needs an empty store of its own.
pub fn cases() -> impl Iterator<Item = Case<HostStore>> {
    [
        users::CASES,
        app_keys::CASES,
        grants::CASES,
        sessions::CASES,
        remembered::CASES,
        session_apps::CASES,
        session_key_log::CASES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Makes what cases work with.
pub struct Maker {
    /// Where secrets come from.
    pub chance: SeededChance,
    /// What app keys are sealed with.
    pub sealing: SealingKey,
}

impl Default for Maker {
    fn default() -> Self {
        let chance = SeededChance::new(1);
        let sealing = MasterKey::generate(&chance).sealing();
        Self { chance, sealing }
    }
}

/// A name.
pub fn name(text: &str) -> UserName {
    UserName::parse(text).expect("a user's name")
}

/// An app's name.
pub fn app(text: &str) -> AppName {
    AppName::cleaned(text).expect("an app's name")
}

impl Maker {
    /// An active user.
    pub fn user(&self, text: &str, group: Group) -> User {
        User {
            name: name(text),
            group,
            active: true,
            created: at(10),
        }
    }

    /// An active user, kept without a password.
    pub async fn known(
        &self,
        store: &HostStore,
        text: &str,
        group: Group,
    ) -> Result<User, StoreError> {
        let user = self.user(text, group);
        store.users().create(&user, None).await?;
        Ok(user)
    }

    /// A key of this user for this app.
    pub fn key(&self, user: &User, app_name: &str, scope: KeyScope) -> (NewAppKey, AppKeyText) {
        let text = AppKeyText::generate(&self.chance);
        let id = AppKeyId::generate(&self.chance);
        let sealed = self.sealing.seal(&text, &id, &self.chance);
        let key = AppKey {
            id,
            user: user.name.clone(),
            app: app(app_name),
            hash: text.hash(),
            scope,
            created: at(20),
            last_use: None,
            requests: 0,
            through: None,
        };
        (NewAppKey { key, sealed }, text)
    }

    /// What makes a key of a grant.
    pub fn key_of(&self, grant: &Grant) -> NewAppKey {
        let user = User {
            name: grant.user.clone(),
            group: Group::Users,
            active: true,
            created: at(10),
        };
        self.key(&user, grant.app.as_str(), grant.scope).0
    }

    /// A grant of this user for this app.
    pub fn grant(&self, user: &User, app_name: &str, scope: KeyScope) -> (Grant, RequestToken) {
        let grant = Grant {
            user: user.name.clone(),
            app: app(app_name),
            scope,
            at: at(30),
        };
        (grant, RequestToken::generate(&self.chance))
    }

    /// A session of this user, last seen at `seen`.
    pub fn session(&self, user: &User, seen: i64) -> OpenedSession {
        OpenedSession {
            session: Session {
                id: SessionId::generate(&self.chance),
                user: user.name.clone(),
                mechanism: Mechanism::Password,
                created: at(seen),
                seen: at(seen),
                credentials_seen: Some(at(seen)),
                device: "Firefox on Linux".to_owned(),
                network: "192.168.1.0/24".to_owned(),
            },
            token: SessionToken::generate(&self.chance),
            push: PushHandle::generate(&self.chance),
        }
    }

    /// A session of this user, kept.
    pub async fn opened(
        &self,
        store: &HostStore,
        user: &User,
        seen: i64,
    ) -> Result<OpenedSession, StoreError> {
        let opened = self.session(user, seen);
        opened.keep(store).await?;
        Ok(opened)
    }
}

/// A session and its secrets.
pub struct OpenedSession {
    /// The session.
    pub session: Session,
    /// What the browser has.
    pub token: SessionToken,
    /// What the push socket is told.
    pub push: PushHandle,
}

impl OpenedSession {
    /// Keeps it. Says which sessions ended for it.
    pub async fn keep(&self, store: &HostStore) -> Result<Vec<SessionId>, StoreError> {
        let (token, push) = (self.token.hash(), self.push.hash());
        store.sessions().open(&self.session, &token, &push).await
    }
}

/// A change that was made and ends nothing.
const NOTHING_ENDED: Change = Change::Done(Ended {
    app_keys: Vec::new(),
    sessions: Vec::new(),
});
