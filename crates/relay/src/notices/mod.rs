//! What accounts' owners are told of: by a letter, if that is possible, and on their page.

use std::sync::Arc;
use std::time::Duration;

use latchkey_model::account_notice::{Notice, NoticeKind};
use latchkey_model::app_key::network_of;
use latchkey_model::clock::Clock;
use latchkey_model::id::AccountId;
use latchkey_store::RelayStore;
use latchkey_web::device;
use latchkey_web::limits::{Limits, Window};

use crate::audit::Act;
use crate::mail::{Letter, Mail};
use crate::sessions::Visitor;

/// Letters that an account gets about browsers and programs that were not seen with it before: who
/// signs in makes up what theirs is called, and the letters of all wait in one queue.
const OF_STRANGE_DEVICES: [Window; 1] = [Window::new(10, Duration::from_hours(1))];

/// Tells people. Clones share it.
#[derive(Clone)]
pub(crate) struct Notices {
    store: RelayStore,
    clock: Arc<dyn Clock>,
    mail: Mail,
    of_strange_devices: Arc<Limits<AccountId>>,
}

impl Notices {
    pub(crate) fn new(store: RelayStore, clock: Arc<dyn Clock>, mail: Mail) -> Self {
        Self {
            store,
            clock,
            mail,
            of_strange_devices: Arc::new(Limits::new(&OF_STRANGE_DEVICES)),
        }
    }

    /// Tells what a letter says, which also stands on the account's page from now on, even if there
    /// were too many such letters. Who did it is `by`, if it was somebody with a browser.
    pub(crate) async fn tell(&self, account: &AccountId, letter: Letter, by: Option<&Visitor<'_>>) {
        if let Some((kind, detail)) = said(&letter) {
            let (device, network) = match (&letter, by) {
                (Letter::UsedElsewhere { agent, network, .. }, _) => {
                    (agent.clone(), network.clone())
                }
                (Letter::CopyHeldOff { network, .. }, _) => (String::new(), network.clone()),
                (_, Some(by)) => (device::of(by.headers), network_of(by.address)),
                (_, None) => (String::new(), String::new()),
            };
            let notice = Notice {
                at: self.clock.now(),
                kind,
                detail,
                device,
                network,
            };
            self.keep(account, &notice).await;
        }
        if self.may_write(account, &letter) {
            self.mail.tell(account, letter);
        }
    }

    fn may_write(&self, account: &AccountId, letter: &Letter) -> bool {
        if !matches!(
            letter,
            Letter::SignedIn { .. } | Letter::UsedElsewhere { .. }
        ) {
            return true;
        }
        let counted = self.of_strange_devices.count(account, self.clock.now());
        if counted.is_err() {
            tracing::debug!(limit.name = "device_letters", account.id = %account, "a letter was not written");
        }
        counted.is_ok()
    }

    /// The same without a letter.
    pub(crate) async fn note(
        &self,
        account: &AccountId,
        kind: NoticeKind,
        detail: String,
        by: Option<&Visitor<'_>>,
    ) {
        let notice = Notice {
            at: self.clock.now(),
            kind,
            detail,
            device: by.map_or_else(String::new, |by| device::of(by.headers)),
            network: by.map_or_else(String::new, |by| network_of(by.address)),
        };
        self.keep(account, &notice).await;
    }

    /// What was done is done, whether or not it can be noted.
    async fn keep(&self, account: &AccountId, notice: &Notice) {
        if let Err(error) = self.store.notices().add(account, notice).await {
            tracing::warn!(%error, account.id = %account, "cannot note what happened to an account");
        }
    }
}

/// What whoever answers for the relay wants to know of what a letter about second factors says.
pub(crate) const fn act(letter: &Letter) -> Option<Act> {
    Some(match letter {
        Letter::CodesOn => Act::CodesOn,
        Letter::CodesOff => Act::CodesOff,
        Letter::RecoveryCodeUsed { .. } => Act::RecoveryCodeUsed,
        Letter::RecoveryCodesMade => Act::RecoveryCodesMade,
        Letter::PasskeyAdded { .. } => Act::PasskeyAdded,
        Letter::PasskeyRemoved { .. } => Act::PasskeyRemoved,
        _ => return None,
    })
}

/// What stands on the page of what a letter says.
fn said(letter: &Letter) -> Option<(NoticeKind, String)> {
    let none = String::new;
    let at = |app: &str, printer: &str| format!("{app}, {printer}");
    Some(match letter {
        Letter::SignedIn { .. } => (NoticeKind::NewDevice, none()),
        Letter::PasswordChanged => (NoticeKind::PasswordChanged, none()),
        Letter::CodesOn => (NoticeKind::CodesOn, none()),
        Letter::CodesOff => (NoticeKind::CodesOff, none()),
        Letter::RecoveryCodeUsed { left } => (NoticeKind::RecoveryCodeUsed, left.to_string()),
        Letter::RecoveryCodesMade => (NoticeKind::RecoveryCodesMade, none()),
        Letter::PasskeyAdded { name } => (NoticeKind::PasskeyAdded, name.clone()),
        Letter::PasskeyRemoved { name } => (NoticeKind::PasskeyRemoved, name.clone()),
        Letter::FactorsReset => (NoticeKind::FactorsReset, none()),
        Letter::PrinterPaired { printer } => (NoticeKind::PrinterPaired, printer.to_string()),
        Letter::PrinterRemoved { printer } => (NoticeKind::PrinterRemoved, printer.to_string()),
        Letter::CopyHeldOff { printer, .. } => (NoticeKind::CopyHeldOff, printer.to_string()),
        Letter::AppConnected { app, printer } => {
            let detail = at(app.as_str(), printer.as_str());
            (NoticeKind::AppConnected, detail)
        }
        Letter::UsedElsewhere { app, .. } => (NoticeKind::AppElsewhere, app.clone()),
        Letter::Verify { .. }
        | Letter::Reset { .. }
        | Letter::JoinPrinter { .. }
        | Letter::Invitation { .. }
        | Letter::AddressChanged
        // What a printer does stands on its page.
        | Letter::Print(_) => return None,
    })
}
