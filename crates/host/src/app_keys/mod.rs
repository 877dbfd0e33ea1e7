//! App keys: making, showing, using and revoking them.

pub(crate) mod http;
pub(crate) mod through_relay;
pub(crate) mod usage;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use latchkey_model::access::KeyScope;
use latchkey_model::app::AppName;
use latchkey_model::app_key::AppKey;
use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::{AppConnectionId, AppKeyId};
use latchkey_model::sealed::{SealingKey, UnsealError};
use latchkey_model::secret::{AppKeyHash, AppKeyText, RequestTokenHash};
use latchkey_model::user::UserName;
use latchkey_store::StoreError;
use latchkey_store::host::{Grant, HostStore, KeptAppKey, NewAppKey};

use crate::authority::endings::{Endings, Holder};

/// A grant that nobody fetches for so long is forgotten: it is a key in waiting.
pub(crate) const UNFETCHED: Duration = Duration::from_hours(24);

/// Keys of one user with names that differ in a number only.
const MOST_NAMESAKES: u32 = 50;

/// Makes keys. The text of a key is kept sealed, because the same app and user get it again.
#[derive(Clone)]
pub(crate) struct Minting {
    store: HostStore,
    sealing: SealingKey,
    endings: Endings,
    chance: Arc<dyn Chance>,
}

impl Minting {
    pub(crate) fn new(
        store: HostStore,
        sealing: SealingKey,
        endings: Endings,
        chance: Arc<dyn Chance>,
    ) -> Self {
        Self {
            store,
            sealing,
            endings,
            chance,
        }
    }

    /// Exchanges a grant for its key, once.
    pub(crate) async fn redeem(
        &self,
        token: &RequestTokenHash,
        now: Timestamp,
    ) -> Result<Option<AppKeyText>, StoreError> {
        // Looked up first: anybody may ask for any token, and only a granted one is worth a write.
        let Some(grant) = self.store.grants().find(token).await? else {
            return Ok(None);
        };
        if now.since(grant.at) > UNFETCHED {
            return Ok(None);
        }
        let make = |grant: Grant| {
            let (_, new) = self.candidate(&grant.user, &grant.app, grant.scope, now);
            new
        };
        let Some(kept) = self.store.app_keys().redeem(token, &make).await? else {
            return Ok(None);
        };
        self.told(&kept, now).await.map(Some)
    }

    /// The key of a user and app, made if there is none.
    pub(crate) async fn generate(
        &self,
        user: &UserName,
        app: &AppName,
        scope: KeyScope,
        now: Timestamp,
    ) -> Result<AppKeyText, StoreError> {
        let (_, candidate) = self.candidate(user, app, scope, now);
        let kept = self.store.app_keys().keep(&candidate).await?;
        self.told(&kept, now).await
    }

    /// The text of a key that is kept.
    pub(crate) fn reveal(&self, kept: &KeptAppKey) -> Result<AppKeyText, UnsealError> {
        self.sealing.open(&kept.sealed, &kept.key.id)
    }

    /// A new key, which is kept nowhere yet, and its text.
    fn candidate(
        &self,
        user: &UserName,
        app: &AppName,
        scope: KeyScope,
        now: Timestamp,
    ) -> (AppKeyText, NewAppKey) {
        let text = AppKeyText::generate(&*self.chance);
        let id = AppKeyId::generate(&*self.chance);
        let new = NewAppKey {
            sealed: self.sealing.seal(&text, &id, &*self.chance),
            key: AppKey {
                id,
                user: user.clone(),
                app: app.clone(),
                hash: text.hash(),
                scope,
                created: now,
                last_use: None,
                requests: 0,
                through: None,
            },
        };
        (text, new)
    }

    /// The text that an app is told for a key that is kept: the same again, or that of a new key
    /// in its place.
    ///
    /// The name by which an app asks is what it says. If another scope was chosen this time, whoever
    /// holds the key so far must neither gain nor lose by it, so the two do not share a key. And a
    /// key that was sealed with another key file cannot be told to anybody again.
    async fn told(&self, kept: &KeptAppKey, now: Timestamp) -> Result<AppKeyText, StoreError> {
        if !kept.rescoped
            && let Ok(text) = self.reveal(kept)
        {
            return Ok(text);
        }
        let AppKey {
            id,
            user,
            app,
            scope,
            ..
        } = &kept.key;
        tracing::info!(app_key.id = %id, "a key was replaced");
        self.store.app_keys().revoke_by_id(id, None).await?;
        self.endings.end(&Holder::Key(id.clone()));
        let (text, new) = self.candidate(user, app, *scope, now);
        self.store.app_keys().keep(&new).await?;
        Ok(text)
    }
}

/// The use cases of keys. Clones share what is open.
#[derive(Clone)]
pub(crate) struct AppKeys {
    store: HostStore,
    minting: Minting,
    endings: Endings,
    clock: Arc<dyn Clock>,
}

impl AppKeys {
    pub(crate) fn new(
        store: HostStore,
        minting: Minting,
        endings: Endings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            minting,
            endings,
            clock,
        }
    }

    /// The keys of one user, or of everybody.
    pub(crate) async fn list(&self, of: Option<&UserName>) -> Result<Vec<AppKey>, StoreError> {
        match of {
            Some(user) => self.store.app_keys().list_of(user).await,
            None => self.store.app_keys().list().await,
        }
    }

    /// A user's key for an app.
    pub(crate) async fn find(
        &self,
        user: &UserName,
        app: &AppName,
    ) -> Result<Option<KeptAppKey>, StoreError> {
        self.store.app_keys().find(user, app).await
    }

    pub(crate) async fn find_by_id(&self, id: &AppKeyId) -> Result<Option<KeptAppKey>, StoreError> {
        self.store.app_keys().find_by_id(id).await
    }

    /// Whose key a text is, if it is one.
    pub(crate) async fn owner_of(&self, text: &str) -> Result<Option<AppKey>, StoreError> {
        let hash = AppKeyHash::of(text);
        let found = self.store.app_keys().find_by_hash(&hash).await?;
        Ok(found.map(|found| found.key))
    }

    /// The text of a key, for those who may see it.
    pub(crate) fn reveal(&self, kept: &KeptAppKey) -> Result<AppKeyText, UnsealError> {
        self.minting.reveal(kept)
    }

    /// The key of a user and app, made if there is none. One that is there stays as it is.
    pub(crate) async fn generate(
        &self,
        user: &UserName,
        app: &AppName,
        scope: KeyScope,
    ) -> Result<AppKeyText, StoreError> {
        if let Some(kept) = self.find(user, app).await? {
            return self.minting.told(&kept, self.clock.now()).await;
        }
        let now = self.clock.now();
        self.minting.generate(user, app, scope, now).await
    }

    /// A new key for an app connection, in place of what was made for it before, and the app's name
    /// at this host: that it gives, or with a number if the user has a key of that name already.
    /// Nothing if all numbers are taken.
    pub(crate) async fn generate_for(
        &self,
        user: &UserName,
        app: &AppName,
        scope: KeyScope,
        app_connection: &AppConnectionId,
    ) -> Result<Option<(AppKeyText, AppName)>, StoreError> {
        self.revoke_of_app_connection(app_connection).await?;
        let now = self.clock.now();
        for number in 1..=MOST_NAMESAKES {
            let Some(app) = numbered(app, number) else {
                continue;
            };
            let (text, mut new) = self.minting.candidate(user, &app, scope, now);
            new.key.through = Some(app_connection.clone());
            match self.store.app_keys().keep_new(&new).await {
                Ok(()) => return Ok(Some((text, app))),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Ends what was made for an app connection. Says how many keys that were.
    pub(crate) async fn revoke_of_app_connection(
        &self,
        app_connection: &AppConnectionId,
    ) -> Result<usize, StoreError> {
        let keys = self.store.app_keys();
        let revoked = keys.revoke_of_app_connection(app_connection).await?;
        let count = revoked.len();
        for id in revoked {
            self.end(Some(id));
        }
        Ok(count)
    }

    /// Ends a user's key for an app, with all that is open in its name. False if there is none.
    pub(crate) async fn revoke(&self, user: &UserName, app: &AppName) -> Result<bool, StoreError> {
        let revoked = self.store.app_keys().revoke(user, app).await?;
        Ok(self.end(revoked))
    }

    /// The same by the key's id; with an owner only if it is theirs.
    pub(crate) async fn revoke_by_id(
        &self,
        id: &AppKeyId,
        owner: Option<&UserName>,
    ) -> Result<bool, StoreError> {
        let revoked = self.store.app_keys().revoke_by_id(id, owner).await?;
        Ok(self.end(revoked))
    }

    fn end(&self, revoked: Option<AppKeyId>) -> bool {
        let Some(id) = revoked else { return false };
        tracing::info!(app_key.id = %id, "a key was revoked");
        self.endings.end(&Holder::Key(id));
        true
    }
}

/// The name with a number behind it, from the second on.
fn numbered(app: &AppName, number: u32) -> Option<AppName> {
    if number == 1 {
        return Some(app.clone());
    }
    let short: String = app.as_str().chars().take(59).collect();
    AppName::cleaned(&format!("{short} ({number})")).ok()
}
