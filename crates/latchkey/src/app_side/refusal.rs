//! What answers mean that no step of a workflow has: the same for all workflows.

use http::StatusCode;
use url::Url;

use super::client::{Answer, Client};

/// Why a server goes no further, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
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
    #[error("{0}: the relay answered {1}, {2}")]
    Relay(String, u16, &'static str),
    #[error("{0} cannot help just now (it answered {1}); ask again later")]
    Unavailable(String, StatusCode),
    #[error("{0} answered {1}, which is not part of the workflow; is the URL right?")]
    Unexpected(String, StatusCode),
    #[error("{0} sent no usable key; update it, or ask whoever runs it")]
    NoKey(String),
}

impl Refusal {
    /// Reads the answer to `asked`, an address in which `step` comes after the server's own.
    pub(crate) fn of(client: &Client, answer: &Answer, asked: &Url, step: &str) -> Self {
        let name = client.name().to_owned();
        let status = answer.status;
        match status.as_u16() {
            401 => Self::Credentials(name),
            403 => Self::NotSetUp(name),
            301 | 302 | 303 | 307 | 308 => Self::Moved {
                server: name,
                to: answer.location(asked).and_then(|url| base_of(url, step)),
            },
            code @ 600..=699 => Self::Relay(name, code, relay_says(code)),
            code if code >= 500 => Self::Unavailable(name, status),
            _ => Self::Unexpected(name, status),
        }
    }
}

/// The server's address in that of a step of a workflow.
fn base_of(mut url: Url, step: &str) -> Option<Url> {
    url.set_query(None);
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    let path = url.path().split(step).next()?.to_owned();
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
    fn a_redirect_is_told_as_the_address_to_give() {
        for (to, step, shown) in [
            (
                "https://h/plugin/appkeys/probe",
                "plugin/appkeys/",
                "https://h/",
            ),
            (
                "https://u:p@h/octo/plugin/appkeys/probe?x=1",
                "plugin/appkeys/",
                "https://h/octo/",
            ),
            ("https://h/octo/apps/auth", "apps/auth", "https://h/octo/"),
            ("https://h/login", "apps/auth", "https://h/login"),
        ] {
            let base = base_of(Url::parse(to).unwrap(), step).unwrap();
            assert_eq!(base.as_str(), shown);
        }
    }
}
