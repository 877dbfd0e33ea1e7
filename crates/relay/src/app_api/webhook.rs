//! What an app may ask about its webhook.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use latchkey_model::relay_status::RelayStatus;
use latchkey_model::webhook::EventFilter;
use latchkey_net::egress::UrlError;
use serde_json::{Map, Value};

use super::described::{
    AppApiRefusals, RefusalAnswer, TestedAnswer, TokenBody, WebhookBody, WebhookDeletedAnswer,
    WebhookSetAnswer,
};
use super::http::{in_post, refuse, wrong};
use super::wire::{Flat, Tested, WebhookDeleted, WebhookSet};
use super::{Admission, AppApi, token};
use crate::pages::visit::Arrival;
use crate::webhooks::{WebhookError, Whose};

/// What an app wants to be told, and where.
struct Wish {
    url: String,
    filter: EventFilter,
}

/// Set the webhook
///
/// The app connection's one address that is told what happens to the printer, for 180 days; set it
/// at each start. At the same address its secret stays the same.
#[utoipa::path(
    post,
    path = "/api/appconnection/SetNotificationWebhook",
    tag = "App API",
    operation_id = "set_webhook",
    security(("app_token" = [])),
    request_body(content = WebhookBody, description = "`AppToken` is not needed with the field of that name.", example = json!({
        "WebhookUrl": "https://hooks.example.net/prints", "InclusiveEventTypesFilter": [2, 3]
    })),
    responses(
        (status = 200, description = "It is set. The members of `Result` are there a second time beside it.", body = WebhookSetAnswer, example = json!({
            "Status": 200, "Error": "", "IsUserError": false,
            "Result": {"SecretKey": "lk_hook_…", "ExpiresUtc": "2027-05-24T20:41:07Z"},
            "SecretKey": "lk_hook_…",
            "ExpiresUtc": "2027-05-24T20:41:07Z"
        })),
        AppApiRefusals,
        (status = 400, description = "No token, or two that differ; or the body is not good, over 16 KiB, or broke off; or the address may not be called.", body = RefusalAnswer),
        (status = 429, description = "It was set and deleted more than 10 times in a minute.", body = RefusalAnswer, headers(("Retry-After" = u32, description = "In seconds"))),
    )
)]
pub(crate) async fn set(
    State(api): State<AppApi>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (token, body) = match in_post(&headers, body).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let whose = match api.whose(&token).await {
        Ok(whose) => whose,
        Err(status) => return refuse(&api, status, &arrival).await,
    };
    let wish = match read(&body) {
        Ok(wish) => wish,
        Err(sentence) => return wrong(StatusCode::BAD_REQUEST, sentence),
    };
    let webhooks = &api.shared.facts.webhooks;
    match webhooks.set(&whose, &wish.url, wish.filter).await {
        Ok(set) => Json(Flat::of(&WebhookSet::new(&set))).into_response(),
        Err(error) => failed(&api, &error, &arrival).await,
    }
}

/// Delete the webhook
///
/// Nothing is wrong if there was none.
#[utoipa::path(
    post,
    path = "/api/appconnection/DeleteNotificationWebhook",
    tag = "App API",
    operation_id = "delete_webhook",
    security(("app_token" = [])),
    request_body(content = TokenBody, description = "Not needed with the field `AppToken`."),
    responses(
        (status = 200, description = "That there is none any more.", body = WebhookDeletedAnswer, example = json!({
            "Status": 200, "Error": "", "IsUserError": false, "Result": {}
        })),
        AppApiRefusals,
        (status = 429, description = "It was set and deleted more than 10 times in a minute.", body = RefusalAnswer, headers(("Retry-After" = u32, description = "In seconds"))),
    )
)]
pub(crate) async fn delete(
    State(api): State<AppApi>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (token, _) = match in_post(&headers, body).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let whose = match api.whose(&token).await {
        Ok(whose) => whose,
        Err(status) => return refuse(&api, status, &arrival).await,
    };
    match api.shared.facts.webhooks.delete(&whose).await {
        Ok(()) => Json(Flat::of(&WebhookDeleted {})).into_response(),
        Err(error) => failed(&api, &error, &arrival).await,
    }
}

/// Test the webhook
///
/// Calls it once with `EventType` 16, whatever its filter, and waits up to 10 seconds for the answer.
/// It changes nothing.
#[utoipa::path(
    get,
    path = "/api/appconnection/TestWebhook",
    tag = "App API",
    operation_id = "test_webhook",
    security(("app_token" = [])),
    responses(
        (status = 200, description = "What it answered, if it did. The members of `Result` are there a second time beside it.", body = TestedAnswer, examples(
            ("Answered" = (value = json!({
                "Status": 200, "Error": "", "IsUserError": false,
                "Result": {"StatusCode": 200},
                "StatusCode": 200
            }))),
            ("No answer" = (value = json!({
                "Status": 200, "Error": "", "IsUserError": false,
                "Result": {"StatusCode": 0, "Failure": "timed_out"},
                "StatusCode": 0,
                "Failure": "timed_out"
            }))),
        )),
        AppApiRefusals,
        (status = 400, description = "No token, or two that differ; or there is no webhook.", body = RefusalAnswer),
        (status = 429, description = "It was tested more than 10 times in a minute.", body = RefusalAnswer, headers(("Retry-After" = u32, description = "In seconds"))),
    )
)]
pub(crate) async fn test(
    State(api): State<AppApi>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
) -> Response {
    let token = match token::find(&headers, &[]) {
        Ok(token) => token,
        Err(why) => return wrong(StatusCode::BAD_REQUEST, why.sentence()),
    };
    let whose = match api.whose(&token).await {
        Ok(whose) => whose,
        Err(status) => return refuse(&api, status, &arrival).await,
    };
    match api.shared.facts.webhooks.test(&whose).await {
        Ok(answer) => Json(Flat::of(&Tested::of(answer))).into_response(),
        Err(error) => failed(&api, &error, &arrival).await,
    }
}

impl AppApi {
    async fn whose(&self, token: &str) -> Result<Whose, RelayStatus> {
        let Admission { id, holder, .. } = self.admit(token).await?;
        Ok(Whose {
            app_connection: id,
            account: holder.account,
            printer: holder.printer,
            printer_name: holder.printer_name,
        })
    }
}

async fn failed(api: &AppApi, error: &WebhookError, arrival: &Arrival) -> Response {
    match error {
        WebhookError::Url(error) => wrong(StatusCode::BAD_REQUEST, sentence(*error)),
        WebhookError::None => {
            let sentence = "This app connection has no webhook. Set one first.";
            wrong(StatusCode::BAD_REQUEST, sentence)
        }
        WebhookError::TooMany(too_many) => {
            let sentence = "The webhook was set, deleted or tested too often. Try again later.";
            let mut response = wrong(StatusCode::TOO_MANY_REQUESTS, sentence);
            let seconds = too_many.wait.as_secs().max(1);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            response
        }
        // The next call finds out how.
        WebhookError::Ended => refuse(api, RelayStatus::Unknown, arrival).await,
        WebhookError::Sealed | WebhookError::Store(_) => {
            tracing::error!(%error, "a webhook was not set, deleted or tested");
            refuse(api, RelayStatus::Unknown, arrival).await
        }
    }
}

const fn sentence(error: UrlError) -> &'static str {
    match error {
        UrlError::Form => "WebhookUrl needs to be an absolute URL of at most 2048 characters.",
        UrlError::Scheme => "WebhookUrl needs to begin with https://.",
        UrlError::UserInfo => "WebhookUrl must not have a user name or password in it.",
        UrlError::Port => "WebhookUrl needs port 443, or one from 1024 on.",
        UrlError::Closed => "WebhookUrl needs an address in the open internet.",
    }
}

/// Members are read in any case, as the token is.
fn read(body: &[u8]) -> Result<Wish, &'static str> {
    const FILTER: &str = "InclusiveEventTypesFilter needs to be a list of whole numbers.";
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return Err("The body needs to be a JSON object with WebhookUrl.");
    };
    let Some(Value::String(url)) = member(&members, "WebhookUrl") else {
        return Err("The body needs a text WebhookUrl.");
    };
    let filter = match member(&members, "InclusiveEventTypesFilter") {
        None | Some(Value::Null) => EventFilter::ALL,
        Some(Value::Array(numbers)) => {
            let numbers: Option<Vec<u64>> = numbers.iter().map(Value::as_u64).collect();
            EventFilter::of(numbers.ok_or(FILTER)?)
        }
        Some(_) => return Err(FILTER),
    };
    Ok(Wish {
        url: url.trim().to_owned(),
        filter,
    })
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut named = members.iter();
    named
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use latchkey_model::printing::EventKind;

    use super::*;

    #[test]
    fn wishes_are_read_in_any_case() {
        for body in [
            r#"{"WebhookUrl":"https://a.example/?k=1"}"#,
            r#"{"webhookUrl":" https://a.example/?k=1 ","InclusiveEventTypesFilter":null}"#,
            r#"{"webhookurl":"https://a.example/?k=1","inclusiveEventTypesFilter":[]}"#,
        ] {
            let wish = read(body.as_bytes()).ok().unwrap();
            assert_eq!(wish.url, "https://a.example/?k=1");
            assert_eq!(wish.filter, EventFilter::ALL, "{body}");
        }
        let some = r#"{"WebhookUrl":"x","InclusiveEventTypesFilter":[2,16,99]}"#;
        let filter = read(some.as_bytes()).ok().unwrap().filter;
        assert!(filter.wants(EventKind::Complete) && !filter.wants(EventKind::Failed));
    }

    #[test]
    fn what_is_no_wish_is_said_to_be_none() {
        for body in [
            "",
            "[]",
            "https://a.example",
            "{}",
            r#"{"WebhookUrl":1}"#,
            r#"{"WebhookUrl":null}"#,
            r#"{"WebhookUrl":"x","InclusiveEventTypesFilter":"2"}"#,
            r#"{"WebhookUrl":"x","InclusiveEventTypesFilter":["2"]}"#,
            r#"{"WebhookUrl":"x","InclusiveEventTypesFilter":[-1]}"#,
            r#"{"WebhookUrl":"x","InclusiveEventTypesFilter":[1.5]}"#,
        ] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
