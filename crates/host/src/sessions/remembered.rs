//! Browsers that are signed in again without a password.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use latchkey_model::clock::Timestamp;
use latchkey_model::secret::{RememberHash, RememberToken, SessionToken};
use latchkey_model::session::Mechanism;
use latchkey_model::user::UserName;
use latchkey_store::StoreError;
use tokio::sync::Mutex;

use super::cookies::Cookie;
use super::{Sessions, Visitor, is_within};
use crate::authority::caller::Caller;
use crate::public::Public;
use crate::service::Inbound;

/// How long a used token leads to the session that it began. A browser that comes back asks for
/// many things at once, all with the same token, and it is good for one session only.
const GRACE: Duration = Duration::from_secs(30);
/// Most that are known at once; then the first go.
const MOST: usize = 1_000;

/// Tokens that were used a moment ago.
#[derive(Clone, Default)]
pub(super) struct Returned(Arc<Mutex<VecDeque<Return>>>);

struct Return {
    used: RememberHash,
    at: Timestamp,
    session: SessionToken,
    next: RememberToken,
}

impl Sessions {
    /// Remembers a browser; its cookie is the outcome.
    pub(super) async fn remember(&self, user: &UserName) -> Result<RememberToken, StoreError> {
        let token = RememberToken::generate(&*self.0.chance);
        let now = self.0.clock.now();
        self.0
            .store
            .remembered()
            .keep(&token.hash(), user, now)
            .await?;
        Ok(token)
    }

    /// Begins a session for a browser that is remembered. The answer has to set the cookies: the
    /// token was good for once.
    pub(crate) async fn come_back(
        &self,
        headers: &HeaderMap,
        inbound: &Inbound,
        public: &Public,
    ) -> Result<Option<(Caller, Vec<HeaderValue>)>, StoreError> {
        for cookie in Cookie::RememberToken.read(headers, public) {
            let Ok(token) = RememberToken::parse(cookie) else {
                continue;
            };
            let visitor = Visitor::of(headers, inbound);
            let Some((session, next)) = self.exchange(&token.hash(), visitor).await? else {
                continue;
            };
            if let Some(caller) = self.find(session.expose()).await? {
                let cookies = vec![
                    Cookie::Session.set(session.expose(), public),
                    Cookie::RememberToken.set(next.expose(), public),
                ];
                return Ok(Some((caller, cookies)));
            }
        }
        Ok(None)
    }

    async fn exchange(
        &self,
        used: &RememberHash,
        visitor: Visitor,
    ) -> Result<Option<(SessionToken, RememberToken)>, StoreError> {
        // Held over the exchange, so that whoever comes meanwhile with the same token waits for it.
        let mut returned = self.0.returned.0.lock().await;
        let now = self.0.clock.now();
        returned.retain(|one| is_within(now, one.at, GRACE));
        if let Some(known) = returned.iter().find(|one| one.used == *used) {
            return Ok(Some((known.session.clone(), known.next.clone())));
        }
        let Some(user) = self.0.store.remembered().take(used, now).await? else {
            return Ok(None);
        };
        let (_, session) = self
            .begin(&user.name, Mechanism::RememberMe, visitor)
            .await?;
        let next = self.remember(&user.name).await?;
        if returned.len() >= MOST {
            returned.pop_front();
        }
        returned.push_back(Return {
            used: *used,
            at: now,
            session: session.clone(),
            next: next.clone(),
        });
        Ok(Some((session, next)))
    }
}
