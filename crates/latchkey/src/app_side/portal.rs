//! An app's way through a relay's portal: its address, what comes back, and the code's exchange.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use latchkey_model::chance::Chance;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::client::{CallError, Client};
use super::connection::{AppConnection, IncompleteError};
use super::refusal::Refusal;

const START: &str = "appportal/v1";
const EXCHANGE: &str = "appportal/v1/token";
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A code is good for a minute: so often a relay that cannot be reached is tried again.
const TRIES: u32 = 5;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Longest text of a relay's that is shown.
const LONGEST_WORD: usize = 200;

/// RFC 3986, unreserved: the rest is encoded, a space as `%20`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How an app got no app connection, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortalError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Incomplete(#[from] IncompleteError),
    #[error("the app got no access: {0}; ask again when the printer's owner wants to allow it")]
    NotAllowed(String),
    #[error(
        "the relay did not take the code that it gave ({0}); it is good once and for a minute: \
         ask again"
    )]
    Code(String),
    #[error("{0} answered without JSON; is the URL that of a relay, and up to date?")]
    NotJson(String),
}

/// What an app asks for.
pub(crate) struct Wish<'a> {
    pub(crate) app: &'a str,
    pub(crate) printer: Option<&'a str>,
    pub(crate) key_name: Option<&'a str>,
}

/// One run of the portal: what ties its end to its beginning.
pub(crate) struct Run {
    /// Comes back with the result (RFC 6749 section 10.12).
    state: String,
    /// Proves that who brings the code is who asked for it (RFC 7636).
    verifier: Zeroizing<String>,
    /// Whether nobody but the relay knows the return address.
    is_address_secret: bool,
}

impl Run {
    pub(crate) fn new(chance: &dyn Chance, is_address_secret: bool) -> Self {
        Self {
            state: random(chance),
            verifier: Zeroizing::new(random(chance)),
            is_address_secret,
        }
    }

    /// Where a person goes.
    pub(crate) fn start(&self, relay: &Url, wish: &Wish<'_>, return_url: &str) -> Url {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()));
        let parameters = [
            ("appId", Some(wish.app)),
            ("returnUrl", Some(return_url)),
            ("printerId", wish.printer),
            ("octoPrintApiKeyAppName", wish.key_name),
            ("responseMode", Some("code")),
            ("codeChallenge", Some(&challenge)),
            ("codeChallengeMethod", Some("S256")),
            ("state", Some(&self.state)),
        ];
        let pairs: Vec<String> = parameters
            .iter()
            .filter_map(|(name, value)| {
                let value = utf8_percent_encode((*value)?, PLAIN);
                Some(format!("{name}={value}"))
            })
            .collect();
        let mut url = relay.clone();
        url.set_path(&format!("{}{START}", relay.path()));
        url.set_query(Some(&pairs.join("&")));
        url
    }

    /// Reads what came back to the return address, or nothing if it belongs to another run.
    pub(crate) fn outcome(&self, query: &str) -> Option<Outcome> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let get = |name: &str| {
            let found = pairs.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        let state = get("state");
        let belongs = match &state {
            Some(state) => *state == self.state,
            // A relay that knows nothing of codes knows nothing of the state: that the whole
            // return address was known has to do.
            None => self.is_address_secret,
        };
        if !belongs {
            return None;
        }
        match get("success")?.as_str() {
            "true" => match get("code").filter(|code| !code.is_empty()) {
                // A code without the state may have been slipped in by somebody else.
                Some(_) if state.is_none() => None,
                Some(code) => Some(Outcome::Code(Zeroizing::new(code))),
                None => Some(Outcome::Parameters(pairs)),
            },
            "false" => Some(Outcome::NotAllowed(reason(
                get("error").as_deref(),
                get("errorDescription").as_deref(),
            ))),
            _ => None,
        }
    }

    /// Turns what came back into an app connection.
    pub(crate) async fn finish(
        &self,
        client: &mut Client,
        app: &str,
        outcome: Outcome,
    ) -> Result<AppConnection, PortalError> {
        let relay = client.server().base().clone();
        match outcome {
            Outcome::NotAllowed(reason) => Err(PortalError::NotAllowed(reason)),
            Outcome::Parameters(pairs) => {
                let get = |name: &str| {
                    let found = pairs.iter().find(|(known, _)| known == name);
                    found.map(|(_, value)| value.clone())
                };
                Ok(AppConnection::given(&relay, app, get)?)
            }
            Outcome::Code(code) => self.redeem(client, app, &code).await,
        }
    }

    async fn redeem(
        &self,
        client: &mut Client,
        app: &str,
        code: &str,
    ) -> Result<AppConnection, PortalError> {
        let url = client.server().url(EXCHANGE);
        let proof = json!({ "code": code, "codeVerifier": *self.verifier });
        let mut tries = 1;
        let answer = loop {
            match client.post(&url, &proof, ANSWER_WITHIN).await {
                Ok(answer) => break answer,
                // The code is good once: only what surely did not arrive is sent again.
                Err(CallError::Resolve(_) | CallError::Connect(..)) if tries < TRIES => {
                    tries += 1;
                    sleep(TRY_AGAIN_AFTER).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        let text = |name: &str| answer.json()?.get(name)?.as_str().map(str::to_owned);
        match answer.status {
            StatusCode::OK if answer.json().is_none() => {
                Err(PortalError::NotJson(client.name().to_owned()))
            }
            StatusCode::OK => Ok(AppConnection::given(client.server().base(), app, text)?),
            StatusCode::BAD_REQUEST => Err(PortalError::Code(reason(
                text("error").as_deref(),
                text("errorDescription").as_deref(),
            ))),
            _ => Err(Refusal::of(client, &answer, &url, EXCHANGE).into()),
        }
    }
}

/// What came back. Cannot be printed: it may be made of secrets.
pub(crate) enum Outcome {
    /// To be exchanged.
    Code(Zeroizing<String>),
    /// The result itself, as documented.
    Parameters(Vec<(String, String)>),
    /// In the relay's words.
    NotAllowed(String),
}

impl Outcome {
    pub(crate) fn is_success(&self) -> bool {
        !matches!(self, Self::NotAllowed(_))
    }
}

/// 256 bits, as letters, digits, `-` and `_`.
pub(crate) fn random(chance: &dyn Chance) -> String {
    let mut bytes = Zeroizing::new([0; 32]);
    chance.fill(&mut *bytes);
    URL_SAFE_NO_PAD.encode(*bytes)
}

/// A relay's own words, made harmless for a terminal.
fn reason(code: Option<&str>, description: Option<&str>) -> String {
    let said = [code, description].into_iter().flatten();
    let words: Vec<String> = said.map(plain).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return "the relay does not say why".to_owned();
    }
    words.join(", ")
}

/// Another's text with nothing in it that could drive a terminal or pass for another line.
pub(crate) fn plain(text: &str) -> String {
    let plain = |c: char| {
        if c.is_control() || is_hidden(c) {
            '?'
        } else {
            c
        }
    };
    text.trim().chars().take(LONGEST_WORD).map(plain).collect()
}

/// Characters that turn the direction of writing, or are not seen.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use latchkey_model::chance::SeededChance;

    use super::*;

    fn run() -> Run {
        Run::new(&SeededChance::new(1), true)
    }

    #[test]
    fn the_address_says_what_is_asked_for_and_keeps_the_verifier() {
        let run = run();
        let relay = Url::parse("https://relay.example/base/").unwrap();
        let wish = Wish {
            app: "my app",
            printer: Some("P+1"),
            key_name: None,
        };
        let url = run.start(&relay, &wish, "http://127.0.0.1:1/a?b");
        let text = url.as_str();
        assert!(
            text.starts_with("https://relay.example/base/appportal/v1?appId=my%20app&returnUrl=http%3A%2F%2F127.0.0.1%3A1%2Fa%3Fb&printerId=P%2B1&responseMode=code&"),
            "{text}"
        );
        assert!(!text.contains("octoPrintApiKeyAppName"), "{text}");
        assert!(!text.contains(run.verifier.as_str()), "{text}");
        let challenge = url
            .query_pairs()
            .find(|(name, _)| name == "codeChallenge")
            .unwrap()
            .1
            .into_owned();
        let hash = Sha256::digest(run.verifier.as_bytes());
        assert_eq!(URL_SAFE_NO_PAD.decode(challenge).unwrap(), hash.as_slice());
        // RFC 7636: 43 to 128 characters.
        assert_eq!(run.verifier.len(), 43);
    }

    #[test]
    fn what_comes_back_is_read_only_if_it_belongs_to_the_run() {
        let run = run();
        let state = &run.state;
        let code = run.outcome(&format!("success=true&code=abc&state={state}"));
        assert!(matches!(code, Some(Outcome::Code(code)) if *code == "abc"));
        let documented = run.outcome("success=true&id=1&url=https%3A%2F%2Fx");
        assert!(matches!(documented, Some(Outcome::Parameters(_))));
        let failed = run.outcome(&format!(
            "success=false&error=cancelled&errorDescription=Not%20%1b%5bnow&state={state}"
        ));
        assert!(matches!(failed, Some(Outcome::NotAllowed(why)) if why == "cancelled, Not ?[now"));
        for stray in [
            "",
            "success=true&code=abc",
            "success=true&code=abc&state=other",
            "success=false&state=other",
            "success=True&id=1",
            "id=1",
        ] {
            assert!(run.outcome(stray).is_none(), "{stray}");
        }
    }

    #[test]
    fn at_an_address_that_others_know_the_state_has_to_be_there() {
        let run = Run::new(&SeededChance::new(1), false);
        for stray in ["success=true&id=1", "success=false"] {
            assert!(run.outcome(stray).is_none(), "{stray}");
            let own = format!("{stray}&state={}", run.state);
            assert!(run.outcome(&own).is_some(), "{own}");
        }
    }

    #[test]
    fn a_reason_is_told_or_its_absence() {
        for (code, description, told) in [
            (None, None, "the relay does not say why"),
            (Some(" "), Some(""), "the relay does not say why"),
            (Some("denied"), None, "denied"),
            (Some("a"), Some("b\u{202e}c\n"), "a, b?c"),
        ] {
            assert_eq!(reason(code, description), told);
        }
    }
}
