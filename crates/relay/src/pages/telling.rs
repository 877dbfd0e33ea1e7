//! Who is told of what was done in a visit.

use latchkey_model::account_notice::NoticeKind;
use latchkey_model::id::AccountId;

use super::visit::Visit;
use crate::audit::{Act, Actor, Entry};
use crate::mail::Letter;
use crate::notices;

impl Visit {
    /// Tells an account's owner of what was done in this visit.
    pub(crate) async fn tell(&self, account: &AccountId, letter: Letter) {
        if let Some(act) = notices::act(&letter) {
            self.audit(act, account).await;
        }
        let notices = &self.state.notices;
        notices.tell(account, letter, Some(&self.visitor())).await;
    }

    /// Notes for whoever answers for this relay what was done to an account.
    pub(crate) async fn audit(&self, act: Act, account: &AccountId) {
        let by = self.maybe_account().map(|by| by.id.clone());
        let entry = Entry {
            // Who proves who they are on the way in is the account's owner.
            actor: Actor::Account(by.unwrap_or_else(|| account.clone())),
            act,
            account: Some(account.clone()),
            printer: None,
            detail: String::new(),
            address: Some(self.arrival.address),
        };
        self.state.audit.note(entry).await;
    }

    /// The same without a letter.
    pub(crate) async fn note(&self, account: &AccountId, kind: NoticeKind, detail: String) {
        let (notices, by) = (&self.state.notices, self.visitor());
        notices.note(account, kind, detail, Some(&by)).await;
    }
}
