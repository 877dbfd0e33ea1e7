//! Sessions: browsers that are signed in.
//!
//! What can be done with one: begin it by a password (`sign_in`) or by a remembered browser, prove
//! once more who one is, end it. Who is calling at all is `authority/identify.rs`.

pub(crate) mod cookies;
pub(crate) mod csrf;
mod handles;
pub(crate) mod http;
mod page;
mod remembered;
mod sign_in;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue};
use latchkey_model::access::KeyScope;
use latchkey_model::app_key::network_of;
use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::SessionId;
use latchkey_model::sealed::MasterKey;
use latchkey_model::secret::{PushHandleHash, RememberToken, SessionToken};
use latchkey_model::session::{Mechanism, Session};
use latchkey_model::user::{User, UserName};
use latchkey_store::StoreError;
use latchkey_store::host::HostStore;
use latchkey_web::limits::{Limits, OF_A_USER, OF_AN_ADDRESS, TooMany, household};
use tokio_util::sync::CancellationToken;

use self::cookies::Cookie;
use self::csrf::{Csrf, Forged, Tokens};
use self::handles::{Handles, Named};
use self::remembered::Returned;
use crate::app_connections::AppConnections;
use crate::authority::caller::Caller;
use crate::authority::endings::{Endings, Holder};
use crate::notices::{EndReason, Notice, Notices};
use crate::public::Public;
use crate::service::Inbound;
use crate::session_keys::SessionKeys;
use crate::users::Passwords;

/// Use is noted no more often: a browser asks many times a second.
const NOTED_EVERY: Duration = Duration::from_secs(30);
/// How often what is over is cleared away.
const CLEARED_EVERY: Duration = Duration::from_mins(1);

/// The use cases of sessions. Clones share everything.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<Inner>);

struct Inner {
    store: HostStore,
    passwords: Passwords,
    endings: Endings,
    session_keys: SessionKeys,
    app_connections: AppConnections,
    notices: Notices,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    tokens: Tokens,
    handles: Handles,
    failures_from: Limits<IpAddr>,
    failures_of: Limits<String>,
    returned: Returned,
}

/// What sessions need of the rest of the host.
pub(crate) struct SessionsParts {
    pub(crate) store: HostStore,
    pub(crate) passwords: Passwords,
    pub(crate) endings: Endings,
    pub(crate) session_keys: SessionKeys,
    pub(crate) app_connections: AppConnections,
    pub(crate) notices: Notices,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) master: MasterKey,
}

impl Sessions {
    pub(crate) fn new(parts: SessionsParts) -> Self {
        Self(Arc::new(Inner {
            store: parts.store,
            passwords: parts.passwords,
            endings: parts.endings,
            session_keys: parts.session_keys,
            app_connections: parts.app_connections,
            notices: parts.notices,
            clock: parts.clock,
            chance: parts.chance,
            tokens: Tokens::new(parts.master.signing("csrf")),
            handles: Handles::new(parts.master.signing("push session")),
            failures_from: Limits::new(&OF_AN_ADDRESS),
            failures_of: Limits::new(&OF_A_USER),
            returned: Returned::default(),
        }))
    }

    /// Clears away what is over, until stopped.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        let mut turns = tokio::time::interval(CLEARED_EVERY);
        while let Some(_turn) = stop.run_until_cancelled(turns.tick()).await {
            if let Err(error) = self.clear().await {
                tracing::warn!(%error, "old sessions could not be cleared away");
            }
        }
    }

    /// Ends what was idle or lasted too long, and forgets browsers that nobody came back with.
    async fn clear(&self) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        for id in self.0.store.sessions().prune(now).await? {
            self.tell_ended(&id, EndReason::Stale);
        }
        self.0.store.remembered().prune(now).await?;
        Ok(())
    }

    /// What a page needs for the forms in it.
    pub(crate) fn csrf(&self, headers: &HeaderMap, public: &Public) -> Csrf {
        self.0.tokens.of_page(headers, public, &*self.0.chance)
    }

    /// Whether a page of ours made a request; `form` is the token in a form of ours, which other
    /// requests say in a field.
    pub(crate) fn check_origin(
        &self,
        headers: &HeaderMap,
        form: Option<&str>,
        public: &Public,
    ) -> Result<(), Forged> {
        self.0.tokens.check(headers, form, public)
    }

    /// Whether a page of ours sent a form with this token.
    pub(crate) fn is_own_form(&self, headers: &HeaderMap, token: &str, public: &Public) -> bool {
        self.check_origin(headers, Some(token), public).is_ok()
    }

    /// Signs a browser in whose person is known to be the user. The answer has to set the cookies.
    pub(crate) async fn open(
        &self,
        user: &User,
        headers: &HeaderMap,
        inbound: &Inbound,
        public: &Public,
    ) -> Result<Vec<HeaderValue>, StoreError> {
        let visitor = Visitor::of(headers, inbound);
        let (_, token) = self.begin(&user.name, Mechanism::Password, visitor).await?;
        Ok(vec![
            Cookie::Session.set(token.expose(), public),
            Cookie::ActiveLogout.remove(public),
        ])
    }

    async fn begin(
        &self,
        user: &UserName,
        mechanism: Mechanism,
        visitor: Visitor,
    ) -> Result<(Session, SessionToken), StoreError> {
        let Inner { clock, chance, .. } = &*self.0;
        let now = clock.now();
        let session = Session {
            id: SessionId::generate(&**chance),
            user: user.clone(),
            mechanism,
            created: now,
            seen: now,
            credentials_seen: (mechanism == Mechanism::Password).then_some(now),
            device: visitor.device,
            network: visitor.network,
        };
        let token = SessionToken::generate(&**chance);
        let handle = PushHandleHash::of(&self.0.handles.of_session(&session.id));
        let store = self.0.store.sessions();
        for ended in store.open(&session, &token.hash(), &handle).await? {
            self.tell_ended(&ended, EndReason::Stale);
        }
        Ok((session, token))
    }

    /// Who holds this cookie, if its session is alive and its user active. Notes the use.
    pub(crate) async fn find(&self, cookie: &str) -> Result<Option<Caller>, StoreError> {
        let Ok(token) = SessionToken::parse(cookie) else {
            return Ok(None);
        };
        let found = self.0.store.sessions().find(&token.hash()).await?;
        match found {
            Some(found) => self.use_of(found.user, found.session).await,
            None => Ok(None),
        }
    }

    async fn use_of(&self, user: User, mut session: Session) -> Result<Option<Caller>, StoreError> {
        let now = self.0.clock.now();
        if !session.is_alive(now) || !user.active {
            return Ok(None);
        }
        if now.since(session.seen) >= NOTED_EVERY {
            // A full disk or a busy database must not turn people out.
            match self.0.store.sessions().touch(&session.id, now).await {
                Ok(()) => session.seen = now,
                Err(error) => tracing::warn!(%error, "the use of a session could not be noted"),
            }
        }
        Ok(Some(Caller::Person(Box::new((
            user,
            session,
            KeyScope::Full,
        )))))
    }

    /// The values of the session cookie, the one of this very address first.
    pub(crate) fn cookies<'h>(headers: &'h HeaderMap, public: &Public) -> Vec<&'h str> {
        Cookie::Session.read(headers, public)
    }

    /// Ends a session. Copies of its cookie are worth nothing from now on.
    pub(crate) async fn end(&self, id: &SessionId) -> Result<bool, StoreError> {
        let ended = self.0.store.sessions().end(id).await?;
        self.tell_ended(id, EndReason::Logout);
        Ok(ended)
    }

    /// Ends the caller's session and forgets their browser. The answer has to set the cookies.
    pub(crate) async fn log_out(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        public: &Public,
    ) -> Result<Vec<HeaderValue>, StoreError> {
        self.forget_browser(headers, public).await?;
        if let Some(session) = caller.session() {
            self.end(&session.id).await?;
        }
        Ok(vec![
            Cookie::Session.remove(public),
            Cookie::RememberToken.remove(public),
            Cookie::ActiveLogout.set("true", public),
        ])
    }

    async fn forget_browser(&self, headers: &HeaderMap, public: &Public) -> Result<(), StoreError> {
        for cookie in Cookie::RememberToken.read(headers, public) {
            if let Ok(token) = RememberToken::parse(cookie) {
                self.0.store.remembered().forget(&token.hash()).await?;
            }
        }
        Ok(())
    }

    fn tell_ended(&self, id: &SessionId, reason: EndReason) {
        // Told first: a socket says why before it loses its session.
        self.0.notices.tell(Notice::SessionEnded {
            session: self.0.handles.of_session(id),
            reason,
        });
        self.0.endings.end(&Holder::Session(id.clone()));
    }

    /// How the push socket is told who the caller is; guests are nobody there.
    fn handle(&self, caller: &Caller) -> String {
        let handles = &self.0.handles;
        match caller {
            Caller::Guest => String::new(),
            Caller::Person(person) => handles.of_session(&person.1.id),
            Caller::App(app) => handles.of_key(&app.1.id),
            Caller::SessionKey(key) => handles.of_session_key(&key.id),
            Caller::AppConnection(id, scope) => {
                handles.of_app_connection(id, *scope, self.0.clock.now())
            }
        }
    }

    /// Who says at the push socket that they are `user`, by what a login told them. Being there is
    /// using the session.
    pub(crate) async fn identify_push(&self, user: &str, handle: &str) -> Option<Caller> {
        match self.find_push(user, handle).await {
            Ok(caller) => caller,
            Err(error) => {
                tracing::error!(%error, "nobody could be identified at the push socket");
                None
            }
        }
    }

    async fn find_push(&self, user: &str, handle: &str) -> Result<Option<Caller>, StoreError> {
        match self.0.handles.read(handle, self.0.clock.now()) {
            Some(Named::Session(_)) => {
                let Ok(user) = UserName::parse(user) else {
                    return Ok(None);
                };
                let store = self.0.store.sessions();
                let found = store
                    .find_by_push(&user, &PushHandleHash::of(handle))
                    .await?;
                match found {
                    Some(found) => self.use_of(found.user, found.session).await,
                    None => Ok(None),
                }
            }
            Some(Named::Key(id)) => {
                let Some(kept) = self.0.store.app_keys().find_by_id(&id).await? else {
                    return Ok(None);
                };
                let owner = self.0.store.users().find(&kept.key.user).await?;
                let owner = owner.filter(|owner| owner.active && owner.name.as_str() == user);
                Ok(owner.map(|owner| Caller::App(Box::new((owner, kept.key)))))
            }
            Some(Named::AppConnection(id, scope)) if user == wire::API_USER => {
                let known = self.0.app_connections.is_known(&id);
                Ok(known.then_some(Caller::AppConnection(id, scope)))
            }
            Some(Named::SessionKey(id)) if user == wire::API_USER => {
                let key = self.0.session_keys.find_by_id(&id);
                Ok(key.map(Caller::SessionKey))
            }
            Some(Named::SessionKey(_) | Named::AppConnection(..)) | None => Ok(None),
        }
    }

    /// Whether a password may be tried from there for that user.
    pub(crate) fn may_try(&self, inbound: &Inbound, user: &str) -> Result<(), TooMany> {
        let now = self.0.clock.now();
        let from = household(inbound.address);
        self.0.failures_from.check(&from, now)?;
        self.0.failures_of.check(&counted(user), now)
    }

    /// Counts a wrong password.
    pub(crate) fn note_failure(&self, inbound: &Inbound, user: &str) {
        let now = self.0.clock.now();
        // One too many already: it was told so.
        let _ = self.0.failures_from.count(&household(inbound.address), now);
        let _ = self.0.failures_of.count(&counted(user), now);
    }
}

/// Under what a name is counted, known or not: one too long for a name takes no more memory.
fn counted(user: &str) -> String {
    user.trim().chars().take(64).collect()
}

/// Who is signing in, as far as a list of sessions tells them apart.
struct Visitor {
    device: String,
    network: String,
}

impl Visitor {
    fn of(headers: &HeaderMap, inbound: &Inbound) -> Self {
        Self {
            device: latchkey_web::device::of(headers),
            network: network_of(inbound.address),
        }
    }
}

fn is_within(now: Timestamp, since: Timestamp, span: Duration) -> bool {
    since <= now && now.since(since) < span
}
