//! The app's side of App Session Keys: an unverified key, signed for, becomes a session key.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use latchkey_model::session_key::{ANY_VERSION, SessionAppName, UNVERIFIED_FOR, signed_text};
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use super::UsageError;
use super::client::{Answer, CallError, Client};
use super::private_key::PrivateKey;
use super::refusal::Refusal;

const STEP: &str = "apps/auth";
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const LONGEST_NAME: usize = 64;

/// How an app did not get a session key, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionKeyError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(
        "{0} has no App Session Keys (it answered {1}): no app is registered there, or it is no \
         server that knows them, or the URL lacks its path; register the app with what latchkey \
         app-keygen prints, or ask a person: latchkey key request"
    )]
    Unsupported(String, StatusCode),
    #[error(
        "{0} answered without JSON; is the URL that of the printer's server, with its path if it \
         has one?"
    )]
    NotJson(String),
    #[error(
        "{0} does not know the app {1}, or it is disabled there; register it under exactly this \
         name, or name the --version that is registered ({ANY_VERSION} stands for none, not for \
         each)"
    )]
    UnknownApp(String, String),
    #[error(
        "{server} has another public key for {app} than the one of this private key \
         ({fingerprint}); name the right file with --private-key, or register this key"
    )]
    WrongSignature {
        server: String,
        app: String,
        fingerprint: String,
    },
    #[error(
        "{0} no longer knew the key that was signed for, which lives for a minute and until the \
         server starts anew; ask again"
    )]
    Stale(String),
    #[error(
        "{0} cannot read the public key that it has for {1}; it needs to be that of latchkey \
         app-keygen: an RSAPublicKey of PKCS#1 as DER, in BASE64, on one line"
    )]
    UnreadablePublicKey(String, String),
    #[error("{0} refused the request as malformed; check --id and --version, or update it")]
    Malformed(String),
    #[error("{0} takes no more requests from this address for now; wait a minute and ask again")]
    RateLimited(String),
    #[error("cannot sign with this private key: {0}; make another with latchkey app-keygen")]
    Sign(rsa::Error),
}

/// An app as a host knows it. Shown as the name of its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct App {
    id: String,
    version: Option<String>,
}

impl App {
    /// An empty version is the same as none.
    pub(crate) fn parse(id: &str, version: Option<&str>) -> Result<Self, UsageError> {
        check("--id", id)?;
        let version = version.filter(|version| !version.is_empty());
        if let Some(version) = version {
            check("--version", version)?;
        }
        Ok(Self {
            id: id.to_owned(),
            version: version.map(str::to_owned),
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn name(&self) -> SessionAppName {
        SessionAppName::asked(&self.id, self.version())
    }
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

/// Colons part the name and the signed message: one inside would make two readings of them.
fn check(what: &str, text: &str) -> Result<(), UsageError> {
    let fits = |c: char| c != ':' && (c.is_ascii_graphic() || c.is_alphanumeric());
    if (1..=LONGEST_NAME).contains(&text.chars().count()) && text.chars().all(fits) {
        return Ok(());
    }
    Err(UsageError(format!(
        "{what} needs 1 to {LONGEST_NAME} letters, digits and signs, without blanks and colons, \
         as in com.example.app or 1.0"
    )))
}

/// What the server gave. Cannot be printed as a whole: the key is a secret.
pub(crate) struct SessionKey {
    pub(crate) key: String,
    /// Seconds since 1970, by the server's clock.
    pub(crate) valid_until: Option<f64>,
    /// From now on.
    pub(crate) lasts: Option<Duration>,
}

/// Gets a session key for `app`.
pub(crate) async fn obtain(
    client: &mut Client,
    app: &App,
    private_key: &PrivateKey,
) -> Result<SessionKey, SessionKeyError> {
    let began = Instant::now();
    let url = client.server().url(STEP);
    let refused =
        |client: &Client, answer: &Answer| refusal(client, answer, &url, app, private_key);
    let answer = client.get(&url, ANSWER_WITHIN).await?;
    let unverified =
        key(client, &answer, "unverifiedKey").unwrap_or_else(|| Err(refused(client, &answer)))?;
    let unverified_until = valid_until(&answer);
    let message = signed_text(&app.name(), &unverified);
    let signature = private_key.sign(&message).map_err(SessionKeyError::Sign)?;
    let mut proof = json!({ "appid": app.id, "key": unverified, "_sig": signature });
    if let Some(version) = app.version() {
        proof["appversion"] = version.into();
    }
    let answer = client.post(&url, &proof, ANSWER_WITHIN).await?;
    let key = key(client, &answer, "key").unwrap_or_else(|| Err(refused(client, &answer)))?;
    let valid_until = valid_until(&answer);
    let times = unverified_until.zip(valid_until);
    Ok(SessionKey {
        key,
        valid_until,
        lasts: times.and_then(|(before, after)| lasts(before, after, began.elapsed())),
    })
}

/// The key in an answer that has one, or nothing if the server refuses.
fn key(client: &Client, answer: &Answer, member: &str) -> Option<Result<String, SessionKeyError>> {
    if answer.status != StatusCode::OK {
        return None;
    }
    let name = client.name().to_owned();
    Some(match answer.json() {
        None => Err(SessionKeyError::NotJson(name)),
        Some(_) => answer.key(member).ok_or(Refusal::NoKey(name).into()),
    })
}

fn valid_until(answer: &Answer) -> Option<f64> {
    answer.json()?["validUntil"].as_f64()
}

/// How long a key is good that was asked for `ago`. The clocks of two machines may differ by
/// more than it lasts, so only the server's two times are compared, with each other.
fn lasts(unverified_until: f64, until: f64, ago: Duration) -> Option<Duration> {
    let longer = Duration::try_from_secs_f64(until - unverified_until).ok()?;
    longer.checked_add(UNVERIFIED_FOR)?.checked_sub(ago)
}

/// What an answer without a key means.
fn refusal(
    client: &Client,
    answer: &Answer,
    asked: &Url,
    app: &App,
    private_key: &PrivateKey,
) -> SessionKeyError {
    let server = client.name().to_owned();
    match answer.status.as_u16() {
        400 => SessionKeyError::Malformed(server),
        401 if answer.says("invalid app") => SessionKeyError::UnknownApp(server, app.to_string()),
        401 if answer.says("invalid signature") => SessionKeyError::WrongSignature {
            server,
            app: app.to_string(),
            fingerprint: private_key.public().fingerprint(),
        },
        401 if answer.says("invalid key") => SessionKeyError::Stale(server),
        404 | 405 => SessionKeyError::Unsupported(server, answer.status),
        429 => SessionKeyError::RateLimited(server),
        500 if answer.says("invalid pubkey") => {
            SessionKeyError::UnreadablePublicKey(server, app.to_string())
        }
        _ => Refusal::of(client, answer, asked, STEP).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_named_as_its_entry_is() {
        for (id, version, name) in [
            ("com.example.app", Some("1.0"), "com.example.app:1.0"),
            ("com.example.app", None, "com.example.app:any"),
            ("com.example.app", Some(""), "com.example.app:any"),
            ("Über/app_2", Some("any"), "Über/app_2:any"),
        ] {
            assert_eq!(App::parse(id, version).unwrap().to_string(), name);
        }
    }

    #[test]
    fn a_name_that_could_be_read_in_two_ways_is_refused() {
        let long = "x".repeat(65);
        for (id, version) in [
            ("", None),
            ("a b", None),
            ("a:b", None),
            ("a\u{200b}b", None),
            ("a\n", None),
            (&*long, None),
            ("a", Some("1:0")),
            ("a", Some(" ")),
            ("a", Some(&*long)),
        ] {
            let error = App::parse(id, version).unwrap_err().to_string();
            let culprit = if version.is_some() {
                "--version"
            } else {
                "--id"
            };
            assert!(error.starts_with(culprit), "{id:?} {version:?}: {error}");
        }
    }

    #[test]
    fn a_key_lasts_from_its_creation_whatever_the_clocks_say() {
        let seconds = Duration::from_secs;
        // The documentation's own two times.
        let (unverified, verified) = (1_416_220_357.011, 1_416_227_497.011);
        assert_eq!(lasts(unverified, verified, seconds(0)), Some(seconds(7200)));
        assert_eq!(lasts(unverified, verified, seconds(9)), Some(seconds(7191)));
        assert_eq!(lasts(verified, unverified, seconds(0)), None);
        assert_eq!(lasts(0.0, f64::MAX, seconds(0)), None);
        assert_eq!(lasts(0.0, 0.0, seconds(61)), None);
    }
}
