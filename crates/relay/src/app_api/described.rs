//! The App API's bodies as they are described; [`super::wire`] has what they are made from.

use utoipa::{IntoResponses, ToSchema};

use super::live::LiveMade;
use super::wire::{GadgetStatus, Info, Tested, WebhookDeleted, WebhookSet};

/// The envelope, the app connection in it, and its members once more beside it.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(crate) struct InfoAnswer {
    /// The HTTP status once more.
    status: u16,
    /// Empty, or a sentence for people.
    error: String,
    is_user_error: bool,
    result: Info,
    #[serde(flatten)]
    members: Info,
}

/// The envelope with what watches the print.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(crate) struct GadgetAnswer {
    /// The HTTP status once more.
    status: u16,
    /// Empty, or a sentence for people.
    error: String,
    is_user_error: bool,
    result: GadgetStatus,
}

/// The envelope, the webhook in it, and its members once more beside it.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(crate) struct WebhookSetAnswer {
    /// The HTTP status once more.
    status: u16,
    /// Empty, or a sentence for people.
    error: String,
    is_user_error: bool,
    result: WebhookSet,
    #[serde(flatten)]
    members: WebhookSet,
}

/// The envelope with nothing in it.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(crate) struct WebhookDeletedAnswer {
    /// The HTTP status once more.
    status: u16,
    /// Empty, or a sentence for people.
    error: String,
    is_user_error: bool,
    result: WebhookDeleted,
}

/// The envelope, what the webhook answered, and its members once more beside it.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(crate) struct TestedAnswer {
    /// The HTTP status once more.
    status: u16,
    /// Empty, or a sentence for people.
    error: String,
    is_user_error: bool,
    result: Tested,
    #[serde(flatten)]
    members: Tested,
}

/// The envelope, the live link in it, and its members once more beside it.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(crate) struct LiveMadeAnswer {
    /// The HTTP status once more.
    status: u16,
    /// Empty, or a sentence for people.
    error: String,
    is_user_error: bool,
    result: LiveMade,
    #[serde(flatten)]
    members: LiveMade,
}

/// A refusal in the envelope.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(crate) struct RefusalAnswer {
    /// The HTTP status once more.
    status: u16,
    /// A sentence for people.
    error: String,
    /// Whether the app or a person can do something about it.
    is_user_error: bool,
    /// Always null.
    result: Option<serde_json::Value>,
}

/// The token in a body.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "read member by member, in any case")]
pub(crate) struct TokenBody {
    app_token: Option<String>,
}

/// What an app wants to be told, and where.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "read member by member, in any case")]
pub(crate) struct WebhookBody {
    app_token: Option<String>,
    /// `https://` on port 443 or from 1024 on, without a user name or password, in the open
    /// internet.
    #[schema(format = "uri", max_length = 2048)]
    webhook_url: String,
    /// Numbers of events. Without any, all are told.
    inclusive_event_types_filter: Option<Vec<u64>>,
}

/// For how long a live link is to be good.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "read member by member, in any case")]
pub(crate) struct LiveBody {
    app_token: Option<String>,
    /// 24 if nobody says.
    #[schema(minimum = 1, maximum = 17520)]
    expiration_hours: Option<u32>,
    /// Whether it ends with the print that goes on, if that is over before.
    end_when_current_print_is_complete: Option<bool>,
}

/// How every call of the App API may be refused.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "stands for answers in the description")]
pub(crate) enum AppApiRefusals {
    /// No token, or two that differ; or the body is over 16 KiB or broke off.
    #[response(status = 400)]
    Wrong(#[to_schema] RefusalAnswer),
    /// A doubt: the database does not answer, or the owner's plan is not configured. Try again.
    #[response(status = 600)]
    Unknown(#[to_schema] RefusalAnswer),
    /// No app connection has that token. Forget it and ask anew.
    #[response(status = 603)]
    NotFound(#[to_schema] RefusalAnswer),
    /// It has ended. Forget it and ask anew.
    #[response(status = 604)]
    Ended(#[to_schema] RefusalAnswer),
    /// Its owner may not use app connections at present. Keep it.
    #[response(status = 605)]
    NotAllowed(#[to_schema] RefusalAnswer),
}
