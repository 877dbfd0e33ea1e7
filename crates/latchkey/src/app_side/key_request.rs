//! The app's side of the Application Keys workflow: probe, request, poll.

use std::time::Duration;

use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use url::Url;

use super::client::{Answer, CallError, Client};

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
const LONGEST_KEY: usize = 512;

/// How a key request went wrong, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyRequestError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(
        "{0} does not know Application Keys (it answered {1}); it needs to be a Latchkey host, or \
         OctoPrint 1.3.10 or later with its Application Keys plugin, and the URL must have its path"
    )]
    Unsupported(String, StatusCode),
    #[error(
        "{0} lets no app ask yet (it answered 403); finish its first-run setup in a browser, or \
         see what a proxy in front of it forbids, then ask again"
    )]
    NotSetUp(String),
    #[error("{server} lives at another address: ask again with {}", to.as_ref().map_or("that one", Url::as_str))]
    Moved { server: String, to: Option<Url> },
    #[error(
        "{0} wants credentials before it lets anything through; put them into the URL, as in \
         https://USER:PASSWORD@host"
    )]
    Credentials(String),
    #[error("{0} refused the request as malformed; choose another --name or --user")]
    Rejected(String),
    #[error(
        "{0} takes no more requests from this address for now (3 a minute, 5 in 10 minutes, 10 an \
         hour); wait a little and ask again"
    )]
    RateLimited(String),
    #[error("{0}: the relay answered {1}, {2}")]
    Relay(String, u16, &'static str),
    #[error("{0} cannot help just now (it answered {1}); ask again later")]
    Unavailable(String, StatusCode),
    #[error("{0} answered {1}, which is not part of the workflow; is the URL right?")]
    Unexpected(String, StatusCode),
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
    #[error("{0} sent no usable key; update it, or ask whoever runs it")]
    NoKey(String),
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
        StatusCode::FORBIDDEN => Err(KeyRequestError::NotSetUp(name)),
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
            pending(client, &answer, &url).ok_or(KeyRequestError::Unexpected(name, answer.status))
        }
        StatusCode::BAD_REQUEST => Err(KeyRequestError::Rejected(name)),
        StatusCode::FORBIDDEN => Err(KeyRequestError::NotSetUp(name)),
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
                return key(&answer)
                    .ok_or_else(|| KeyRequestError::NoKey(client.name().to_owned()));
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

/// A key goes to scripts and into their commands: nothing but visible ASCII.
fn key(answer: &Answer) -> Option<String> {
    let body = answer.json()?;
    let key = body["api_key"].as_str()?;
    let usable =
        (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    usable.then(|| key.to_owned())
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
    let name = client.name().to_owned();
    let status = answer.status;
    match status.as_u16() {
        401 => KeyRequestError::Credentials(name),
        429 => KeyRequestError::RateLimited(name),
        301 | 302 | 303 | 307 | 308 => KeyRequestError::Moved {
            server: name,
            to: answer.location(asked).and_then(base_of),
        },
        code @ 600..=699 => KeyRequestError::Relay(name, code, relay_says(code)),
        code if code >= 500 => KeyRequestError::Unavailable(name, status),
        _ => KeyRequestError::Unexpected(name, status),
    }
}

/// The server's address in that of a step of the workflow.
fn base_of(mut url: Url) -> Option<Url> {
    url.set_query(None);
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    let path = url.path().split("plugin/appkeys/").next()?.to_owned();
    url.set_path(&path);
    Some(url)
}

fn relay_says(code: u16) -> &'static str {
    match code {
        600 | 602 | 612 => {
            "so it cannot reach the printer's server; see whether that runs, then ask again"
        }
        601 => "so the printer's host is not connected; see whether that is on, then ask again",
        603 | 604 => "so this app connection has ended; connect the app anew",
        605 => "so the plan of the printer's owner has no app connections; ask the owner",
        606 => "so the credentials in the URL are wrong; put USER:PASSWORD@ before the host",
        607..=609 => "so a limit of the plan is used up; ask again later",
        610 => "so the printer's host is too old; update it, then ask again",
        _ => "which ends this; ask the relay's operator",
    }
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

    #[test]
    fn a_redirect_is_told_as_the_address_to_give() {
        for (to, shown) in [
            ("https://h/plugin/appkeys/probe", "https://h/"),
            (
                "https://u:p@h/octo/plugin/appkeys/probe?x=1",
                "https://h/octo/",
            ),
            ("https://h/login", "https://h/login"),
        ] {
            assert_eq!(base_of(Url::parse(to).unwrap()).unwrap().as_str(), shown);
        }
    }
}
