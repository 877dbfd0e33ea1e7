//! Telling one webhook what is next for it.

use latchkey_model::id::AppConnectionId;
use latchkey_model::printer::PrinterName;
use latchkey_store::StoreError;
use latchkey_store::relay::{NumberedEvent, Receiver, ToldWebhook, Webhook};

use super::wire::{About, Call};
use super::{Answer, MOST_FAILURES, Webhooks, Whose};
use crate::audit::Act;
use crate::pages::paths;

/// Events that are looked at in one go.
const PAGE: u32 = 64;

/// How it goes on with a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// There may be more for it at once.
    More,
    /// There is nothing for it now.
    Rest,
    /// Whether it may be told is in doubt.
    Doubt,
}

/// What is next for a webhook.
struct Due {
    /// Missing if nothing of what was looked at is for it.
    event: Option<NumberedEvent>,
    /// Up to which number nothing more is needed, after this.
    number: i64,
    /// How many were forgotten before they could be told.
    lost: u64,
}

impl Webhooks {
    /// Tells a webhook the next thing that is for it.
    pub(super) async fn step(&self, id: &AppConnectionId) -> Result<Next, StoreError> {
        let store = self.shared.store.webhooks();
        // Before the look: who ends the app connection after it ends the call.
        let hold = self.shared.life.endings().hold(id.clone());
        let now = self.shared.clock.now();
        let Some(webhook) = store.find(id).await? else {
            return Ok(Next::Rest);
        };
        if webhook.disabled.is_some() || !self.lives(&webhook) || webhook.due > now {
            return Ok(Next::Rest);
        }
        match self.is_entitled(id).await? {
            Some(true) => {}
            // What happens meanwhile is not told later.
            Some(false) => {
                let newest = self.shared.store.events().newest(&webhook.printer).await?;
                store.pass(&webhook, newest, 0).await?;
                return Ok(Next::Rest);
            }
            None => return Ok(Next::Doubt),
        }
        let Some(due) = self.next(&webhook).await? else {
            return Ok(Next::Rest);
        };
        let Some(event) = due.event else {
            store.pass(&webhook, due.number, due.lost).await?;
            return Ok(Next::More);
        };
        tokio::select! {
            biased;
            () = hold.until_ended() => Ok(Next::Rest),
            next = self.tell(&webhook, &event, due.lost) => next,
        }
    }

    async fn next(&self, webhook: &Webhook) -> Result<Option<Due>, StoreError> {
        let events = self.shared.store.events();
        let events = events
            .list_after(&webhook.printer, webhook.done, PAGE)
            .await?;
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(None);
        };
        // Numbers have no gaps but where history was forgotten.
        let lost = first.number.saturating_sub(webhook.done).saturating_sub(1);
        let lost = u64::try_from(lost).unwrap_or(0);
        let number = last.number;
        let wanted = events
            .into_iter()
            .find(|event| webhook.filter.wants(event.event.kind));
        Ok(Some(Due {
            number: wanted.as_ref().map_or(number, |event| event.number),
            event: wanted,
            lost,
        }))
    }

    async fn tell(
        &self,
        webhook: &Webhook,
        event: &NumberedEvent,
        lost: u64,
    ) -> Result<Next, StoreError> {
        let printer = self.shared.store.printers().find(&webhook.printer).await?;
        let Some(printer) = printer else {
            return Ok(Next::Rest);
        };
        let answer = self.send(webhook, &printer.name, event).await;
        let Some(answer) = answer else {
            tracing::error!(
                app_connection.id = %webhook.app_connection,
                "a webhook cannot be read: it was sealed with another key"
            );
            return Ok(Next::Doubt);
        };
        let (store, now) = (self.shared.store.webhooks(), self.shared.clock.now());
        let word = answer.word();
        let mut told = ToldWebhook {
            webhook,
            number: event.number,
            skipped: lost,
            answer: &word,
            at: now,
        };
        if answer.is_good() {
            store.note_told(&told).await?;
            return Ok(Next::More);
        }
        let tries = usize::try_from(webhook.tries).unwrap_or(usize::MAX);
        if let Some(wait) = self.pace.again.get(tries) {
            let due = now.plus(*wait);
            store.note_failed(webhook, due, &word, now).await?;
            return Ok(Next::More);
        }
        told.skipped += 1;
        if store.note_given_up(&told, MOST_FAILURES).await? {
            tracing::warn!(
                app_connection.id = %webhook.app_connection,
                printer.id = %webhook.printer,
                answer = word,
                "a webhook is off: it failed too often"
            );
            let whose = Whose {
                app_connection: webhook.app_connection.clone(),
                account: webhook.account.clone(),
                printer: webhook.printer.clone(),
                printer_name: printer.name,
            };
            self.note(&whose, Act::WebhookOff).await;
        }
        Ok(Next::More)
    }

    /// Nothing if the webhook cannot be read.
    async fn send(
        &self,
        webhook: &Webhook,
        printer: &PrinterName,
        event: &NumberedEvent,
    ) -> Option<Answer> {
        let (url, secret) = self.open(webhook).ok()?;
        let receiver = Receiver::App(webhook.app_connection.clone());
        let snapshots = &self.shared.snapshots;
        let picture = snapshots.link(&webhook.printer, event, &receiver).await;
        let page = paths::page_of(&self.shared.public_url, printer);
        let about = About {
            printer_id: webhook.printer.as_str(),
            printer_name: printer.as_str(),
            secret_key: secret.expose(),
            page: &page,
        };
        let call = Call::of(about, &event.event, picture)?;
        Some(self.call(&url, &call).await)
    }
}
