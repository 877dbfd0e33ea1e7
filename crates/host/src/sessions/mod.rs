pub(crate) mod csrf {
    pub(crate) struct Csrf {
        pub(crate) token: String,
        pub(crate) set_cookie: Option<http::HeaderValue>,
    }
}
pub(crate) mod http {
    pub(crate) fn routes() -> axum::Router<crate::authority::Authority> {
        axum::Router::new()
    }
}
use crate::authority::caller::Caller;
use crate::public::Public;
use crate::service::Inbound;
use ::http::{HeaderMap, HeaderValue};
use latchkey_store::StoreError;
#[derive(Clone)]
pub(crate) struct Sessions;
pub(crate) struct SessionsParts {
    pub(crate) store: latchkey_store::host::HostStore,
    pub(crate) passwords: crate::users::Passwords,
    pub(crate) endings: crate::authority::endings::Endings,
    pub(crate) notices: crate::notices::Notices,
    pub(crate) clock: std::sync::Arc<dyn latchkey_model::clock::Clock>,
    pub(crate) chance: std::sync::Arc<dyn latchkey_model::chance::Chance>,
    pub(crate) master: latchkey_model::sealed::MasterKey,
}
impl Sessions {
    pub(crate) fn new(_: SessionsParts) -> Self {
        unimplemented!()
    }
    pub(crate) async fn watch(self, _: tokio_util::sync::CancellationToken) {}
    pub(crate) async fn identify_push(&self, _: &str, _: &str) -> Option<Caller> {
        None
    }
    pub(crate) fn csrf(&self, _: &HeaderMap, _: &Public) -> csrf::Csrf {
        unimplemented!()
    }
    pub(crate) fn is_own_request(&self, _: &HeaderMap, _: &Public) -> bool {
        unimplemented!()
    }
    pub(crate) fn is_own_form(&self, _: &HeaderMap, _: &str, _: &Public) -> bool {
        unimplemented!()
    }
    pub(crate) async fn open(
        &self,
        _: &latchkey_model::user::User,
        _: &HeaderMap,
        _: &Inbound,
        _: &Public,
    ) -> Result<Vec<HeaderValue>, StoreError> {
        unimplemented!()
    }
    pub(crate) async fn end(&self, _: &latchkey_model::id::SessionId) -> Result<bool, StoreError> {
        unimplemented!()
    }
    pub(crate) async fn log_out(
        &self,
        _: &Caller,
        _: &HeaderMap,
        _: &Public,
    ) -> Result<Vec<HeaderValue>, StoreError> {
        unimplemented!()
    }
    pub(crate) fn may_try(&self, _: &Inbound, _: &str) -> Result<(), crate::limits::TooMany> {
        unimplemented!()
    }
    pub(crate) fn note_failure(&self, _: &Inbound, _: &str) {
        unimplemented!()
    }
}
