//! What a printer's page says of whom it tells what, and the form for letters.

use axum::response::Response;
use axum::routing::post;
use axum::{Form, Router};
use latchkey_model::account::Account;
use latchkey_model::id::PrinterId;
use latchkey_model::print_letter::{Occasion, Occasions};
use latchkey_store::relay::{UsedPrinter, Webhook};
use serde::Deserialize;

use super::{printer_path, used};
use crate::audit::Act;
use crate::pages::ids::Id;
use crate::pages::views::{LetterChoice, ListedWebhook, Telling, WebhookFailure, WebhookHealth};
use crate::pages::visit::{About, Answered, Visit};
use crate::state::State;
use crate::webhooks::Answer;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/printers/{id}/letters", post(choose))
        .route("/printers/{id}/webhooks/stop", post(stop))
}

#[derive(Deserialize)]
struct Choosing {
    #[serde(default)]
    done: String,
    #[serde(default)]
    trouble: String,
    #[serde(default)]
    needs_you: String,
    #[serde(default)]
    away: String,
    #[serde(default)]
    csrf_token: String,
}

impl Choosing {
    fn occasions(&self) -> Occasions {
        let boxes = [
            (Occasion::Done, &self.done),
            (Occasion::Trouble, &self.trouble),
            (Occasion::NeedsYou, &self.needs_you),
            (Occasion::Away, &self.away),
        ];
        let ticked = boxes.into_iter().filter(|(_, value)| !value.is_empty());
        Occasions::of(ticked.map(|(occasion, _)| occasion))
    }
}

/// What is told of a printer, as far as it concerns this person.
pub(super) async fn telling(
    visit: &Visit,
    account: &Account,
    found: &UsedPrinter,
) -> Result<Telling, Response> {
    let state = &visit.state;
    let printer = &found.printer.id;
    let listed = state.store.webhooks();
    let listed = listed.list_shown(printer, &account.id).await;
    let listed = listed.map_err(|failure| visit.failed(&failure))?;
    let letters = if state.print_letters.is_on() {
        let chosen = state.print_letters.chosen(printer, &account.id).await;
        let chosen = chosen.map_err(|failure| visit.failed(&failure))?;
        Some(LetterChoice {
            email: account.email.as_str().to_owned(),
            confirmed: account.email_verified.is_some(),
            done: chosen.has(Occasion::Done),
            trouble: chosen.has(Occasion::Trouble),
            needs_you: chosen.has(Occasion::NeedsYou),
            away: chosen.has(Occasion::Away),
        })
    } else {
        None
    };
    Ok(Telling {
        webhooks: listed.iter().map(|hook| webhook(visit, hook)).collect(),
        letters,
        pictures: state.snapshots.is_on(),
    })
}

fn webhook(visit: &Visit, webhook: &Webhook) -> ListedWebhook {
    let webhooks = &visit.state.webhooks;
    let answer = webhook.last_answer.as_ref();
    let failed = answer.and_then(|(word, at)| match Answer::parse(word)? {
        Answer::Status(status) if status.as_u16() == 200 => None,
        Answer::Status(status) => {
            Some((WebhookFailure::Status(status.as_u16()), visit.moment(*at)))
        }
        Answer::None(error) => Some((WebhookFailure::None(error), visit.moment(*at))),
    });
    let health = match (webhook.disabled, failed) {
        _ if !webhooks.lives(webhook) => WebhookHealth::Over,
        (Some(at), failed) => WebhookHealth::Off {
            since: visit.moment(at),
            why: failed.map(|(why, _)| why),
        },
        (None, Some((why, at))) => WebhookHealth::Failing { why, at },
        (None, None) => WebhookHealth::Good(answer.map(|(_, at)| visit.moment(*at))),
    };
    ListedWebhook {
        app_connection: webhook.app_connection.to_string(),
        app: webhook.app_name.as_str().to_owned(),
        receiver: webhooks.receiver(webhook),
        health,
        skipped: webhook.skipped,
    }
}

#[derive(Deserialize)]
struct Stopping {
    #[serde(default)]
    app_connection: String,
    #[serde(default)]
    csrf_token: String,
}

/// Stops telling an app. It keeps its access, and can ask to be told again.
async fn stop(visit: Visit, Id(id): Id<PrinterId>, Form(form): Form<Stopping>) -> Answered {
    let account = visit.form(&form.csrf_token, &printer_path(&id, ""))?;
    used(&visit, account, &id).await?;
    let webhooks = visit.state.store.webhooks();
    let shown = webhooks.list_shown(&id, &account.id).await;
    let shown = shown.map_err(|failure| visit.failed(&failure))?;
    let mut shown = shown.into_iter().map(|webhook| webhook.app_connection);
    // A second click finds it gone.
    if let Some(app) = shown.find(|app| app.as_str() == form.app_connection) {
        let deleted = webhooks.delete(&app).await;
        if deleted.map_err(|failure| visit.failed(&failure))? {
            let about = About::printer(&id).detail(app.as_str());
            visit.note(Act::WebhookDeleted, about).await;
        }
    }
    Ok(visit.go_on(&printer_path(&id, "?done=untold")))
}

async fn choose(visit: Visit, Id(id): Id<PrinterId>, Form(form): Form<Choosing>) -> Answered {
    let account = visit.form(&form.csrf_token, &printer_path(&id, ""))?;
    used(&visit, account, &id).await?;
    let letters = &visit.state.print_letters;
    // The form is shown only where letters can be sent; an old one changes nothing.
    if letters.is_on() {
        let chosen = letters.choose(&id, &account.id, form.occasions()).await;
        chosen.map_err(|failure| visit.failed(&failure))?;
    }
    Ok(visit.go_on(&printer_path(&id, "?done=letters")))
}
