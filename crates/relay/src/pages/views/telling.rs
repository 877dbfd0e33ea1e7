//! Whom a printer tells what: part of its page.

use latchkey_net::egress::EgressError;
use latchkey_web::moment::Moment;

/// What a printer's page says of whom it tells what.
#[derive(Debug, Clone)]
pub struct Telling {
    /// Of apps that the person sees.
    pub webhooks: Vec<ListedWebhook>,
    /// The person's own choice; missing where no letters are sent.
    pub letters: Option<LetterChoice>,
    /// Whether a picture is kept with what is told.
    pub pictures: bool,
}

/// An address that an app is told at.
#[derive(Debug, Clone)]
pub struct ListedWebhook {
    pub app_connection: String,
    pub app: String,
    /// The host of the address; the rest may be secret.
    pub receiver: String,
    pub health: WebhookHealth,
    /// How many events were never told.
    pub skipped: u64,
}

/// How an app's address does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookHealth {
    /// When it last took something.
    Good(Option<Moment>),
    /// The last call failed.
    Failing { why: WebhookFailure, at: Moment },
    /// It failed too often.
    Off {
        since: Moment,
        why: Option<WebhookFailure>,
    },
    /// It was not set for too long.
    Over,
}

/// How a call of a webhook failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFailure {
    /// It answered, and not with 200.
    Status(u16),
    /// There was no answer, or not even a call.
    None(EgressError),
}

/// What a person wants letters about.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each box of the form"
)]
pub struct LetterChoice {
    pub email: String,
    /// Whether the address is known to be theirs; before that nothing is sent.
    pub confirmed: bool,
    pub done: bool,
    pub trouble: bool,
    pub needs_you: bool,
    pub away: bool,
}

impl Telling {
    /// Whether anything of this is kept with a picture.
    pub(super) fn with_pictures(&self) -> bool {
        self.pictures && (self.letters.is_some() || !self.webhooks.is_empty())
    }
}
