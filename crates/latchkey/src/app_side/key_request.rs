//! The app's side of the Application Keys workflow: probe, request, poll.

use std::time::Duration;

use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use url::Url;

use super::client::{Answer, CallError, Client};
use super::refusal::Refusal;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_secs(1);
/// A request that is not polled for 5 s is dropped: a poll that hangs is tried anew before that.
const POLL_WITHIN: Duration = Duration::from_millis(2500);
/// A decision that was made waits for its app, so a network that comes back is worth waiting for.
const OUTAGE: Duration = Duration::from_secs(30);
/// After which time without a poll the request is surely gone, if nobody decided.
const FORGOTTEN: Duration = Duration::from_secs(5);
/// The server ends a request after 600 s.
const ENDED_BY_ITSELF: Duration = Duration::from_secs(595);
const LONGEST: Duration = Duration::from_mins(11);

/// How a key request went wrong, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyRequestError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(
        "{0} does not know Application Keys (it answered {1}); it needs to be a Latchkey host, or \
         OctoPrint 1.3.10 or later with its Application Keys plugin, and the URL must have its path"
    )]
    Unsupported(String, StatusCode),
    #[error("{0} refused the request as malformed; choose another --name or --user")]
    Rejected(String),
    #[error(
        "{0} takes no more requests from this address for now (3 a minute, 5 in 10 minutes, 10 an \
         hour); wait a little and ask again"
    )]
    RateLimited(String),
    #[error("the request was denied; ask the printer's owner, then ask again")]
    Denied,
    #[error("nobody decided within 10 minutes; ask again when somebody is at the printer's page")]
    TimedOut,
    #[error(
        "the connection was lost for {} s, and the request ended meanwhile; ask again",
        .0.as_secs()
    )]
    Forgotten(Duration),
    #[error(
        "an answer was lost, and the request is gone since; if it was allowed, asking again gives the same key"
    )]
    Unheard,
    #[error("the connection was lost while waiting for the decision; ask again once it is back")]
    Lost(#[source] CallError),
}

/// A request that somebody is to decide.
pub(crate) struct Pending {
    poll: Url,
    /// Where a person decides.
    pub(crate) dialog: Url,
    began: Instant,
}

/// Whether the server knows the workflow.
pub(crate) async fn probe(client: &mut Client) -> Result<(), KeyRequestError> {
    let url = client.server().url("plugin/appkeys/probe");
    let answer = client.get(&url, ANSWER_WITHIN).await?;
    let name = client.name().to_owned();
    match answer.status {
        StatusCode::NO_CONTENT => Ok(()),
        status if status.is_success() => Err(KeyRequestError::Unsupported(name, status)),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Err(KeyRequestError::Unsupported(name, answer.status))
        }
        _ => Err(refusal(client, &answer, &url)),
    }
}

/// Asks for a key; of `user` alone, if one is given.
pub(crate) async fn request(
    client: &mut Client,
    app: &str,
    user: Option<&str>,
) -> Result<Pending, KeyRequestError> {
    let url = client.server().url("plugin/appkeys/request");
    let mut wish = json!({ "app": app });
    if let Some(user) = user {
        wish["user"] = user.into();
    }
    let answer = client.post(&url, &wish, ANSWER_WITHIN).await?;
    let name = client.name().to_owned();
    match answer.status {
        // Some servers have answered 202.
        StatusCode::CREATED | StatusCode::ACCEPTED => {
            pending(client, &answer, &url).ok_or(Refusal::Unexpected(name, answer.status).into())
        }
        StatusCode::BAD_REQUEST => Err(KeyRequestError::Rejected(name)),
        _ => Err(refusal(client, &answer, &url)),
    }
}

fn pending(client: &Client, answer: &Answer, asked: &Url) -> Option<Pending> {
    let body = answer.json().unwrap_or(Value::Null);
    let token = body["app_token"].as_str();
    let poll = match answer.location(asked) {
        Some(location) if location.origin() == asked.origin() => location,
        // Behind some proxies a server does not know its own address, and another server must
        // not be sent our credentials: the token is asked for where the request was made.
        Some(location) => poll_url(client, location.path_segments()?.next_back()?),
        None if answer.headers.contains_key(LOCATION) => return None,
        None => poll_url(client, token?),
    };
    let dialog = body["auth_dialog"].as_str();
    let dialog = dialog
        .and_then(|text| asked.join(text).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    Some(Pending {
        poll,
        dialog: dialog.unwrap_or_else(|| client.server().base().clone()),
        began: Instant::now(),
    })
}

fn poll_url(client: &Client, token: &str) -> Url {
    let mut url = client.server().url("plugin/appkeys/request/");
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(token);
    }
    url
}

/// Polls until somebody has decided, and returns the key.
pub(crate) async fn wait(
    client: &mut Client,
    pending: &Pending,
) -> Result<String, KeyRequestError> {
    let mut heard = Instant::now();
    let mut longest_gap = Duration::ZERO;
    // The answer with the key may be the one that got lost; it is given once.
    let mut unheard = false;
    while pending.began.elapsed() < LONGEST {
        sleep(POLL_EVERY).await;
        let polled = client.get(&pending.poll, POLL_WITHIN).await;
        let gap = heard.elapsed();
        let answer = match polled {
            Ok(answer) if may_pass(answer.status) => {
                if gap > OUTAGE {
                    return Err(refusal(client, &answer, &pending.poll));
                }
                continue;
            }
            Ok(answer) => answer,
            Err(error) if error.may_pass() && gap <= OUTAGE => {
                unheard = true;
                continue;
            }
            Err(error) if error.may_pass() => return Err(KeyRequestError::Lost(error)),
            Err(error) => return Err(error.into()),
        };
        longest_gap = longest_gap.max(gap);
        heard = Instant::now();
        match answer.status {
            StatusCode::ACCEPTED => unheard = false,
            StatusCode::OK => {
                let key = answer.key("api_key");
                return key.ok_or_else(|| Refusal::NoKey(client.name().to_owned()).into());
            }
            StatusCode::NOT_FOUND if unheard && longest_gap <= FORGOTTEN => {
                return Err(KeyRequestError::Unheard);
            }
            StatusCode::NOT_FOUND => return Err(gone(pending.began.elapsed(), longest_gap)),
            _ => return Err(refusal(client, &answer, &pending.poll)),
        }
    }
    Err(KeyRequestError::TimedOut)
}

/// Why a request is gone: nothing but the time tells a denial from an end by itself.
fn gone(age: Duration, longest_gap: Duration) -> KeyRequestError {
    if longest_gap > FORGOTTEN {
        KeyRequestError::Forgotten(longest_gap)
    } else if age >= ENDED_BY_ITSELF {
        KeyRequestError::TimedOut
    } else {
        KeyRequestError::Denied
    }
}

/// Whether the same call may be answered otherwise a little later.
fn may_pass(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        408 | 429 | 500 | 502 | 503 | 504 | 600 | 601 | 602 | 612
    )
}

/// What an answer outside the workflow means.
fn refusal(client: &Client, answer: &Answer, asked: &Url) -> KeyRequestError {
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        return KeyRequestError::RateLimited(client.name().to_owned());
    }
    Refusal::of(client, answer, asked, "plugin/appkeys/").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_gone_was_denied_unless_time_says_otherwise() {
        let seconds = Duration::from_secs;
        for (age, gap, sentence) in [
            (3, 1, "the request was denied"),
            (594, 4, "the request was denied"),
            (595, 1, "nobody decided"),
            (600, 4, "nobody decided"),
            (20, 6, "the connection was lost for 6 s"),
            (600, 30, "the connection was lost for 30 s"),
        ] {
            let error = gone(seconds(age), seconds(gap)).to_string();
            assert!(error.contains(sentence), "{age} {gap}: {error}");
        }
    }
}
