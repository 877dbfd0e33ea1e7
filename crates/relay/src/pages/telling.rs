//! Who is told of what was done in a visit.

use latchkey_model::account_notice::NoticeKind;
use latchkey_model::id::AccountId;

use super::visit::{About, Visit};
use crate::mail::Letter;
use crate::notices;

impl Visit {
    /// Tells an account's owner of what was done in this visit.
    pub(crate) async fn tell(&self, account: &AccountId, letter: Letter) {
        if let Some(act) = notices::act(&letter) {
            self.note(act, About::account(account)).await;
        }
        let notices = &self.state.notices;
        notices.tell(account, letter, Some(&self.visitor())).await;
    }

    /// The same without a letter.
    pub(crate) async fn mention(&self, account: &AccountId, kind: NoticeKind, detail: String) {
        let (notices, by) = (&self.state.notices, self.visitor());
        notices.note(account, kind, detail, Some(&by)).await;
    }
}
