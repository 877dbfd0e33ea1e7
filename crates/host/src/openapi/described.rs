//! Answers that many calls have, as they are described; [`crate::contract`] makes them.

use utoipa::{IntoResponses, ToSchema};

/// A refusal, or a failure.
#[derive(ToSchema)]
#[schema(as = Error)]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(crate) struct ErrorBody {
    /// What happened and what to do, for people.
    error: String,
    /// For programs, where there is more to it: `reauthenticate` if the password was typed too long
    /// ago.
    code: Option<String>,
}

/// How every call may fail.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "stands for answers in the description")]
pub(crate) enum Failures {
    /// The host cannot use its database.
    #[response(status = 500)]
    Database(#[to_schema] ErrorBody),
}

/// How a call with a JSON body may be refused.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "stands for answers in the description")]
pub(crate) enum BodyRefusals {
    /// The body is no JSON object, is longer than 100 KB, or a member is missing or wrong; or the
    /// call is a browser's, and `X-CSRF-Token` is missing or wrong.
    #[response(status = 400)]
    Wrong(#[to_schema] ErrorBody),
    /// The body is not said to be JSON.
    #[response(status = 415)]
    NotJson(#[to_schema] ErrorBody),
    /// The host cannot use its database.
    #[response(status = 500)]
    Database(#[to_schema] ErrorBody),
}
