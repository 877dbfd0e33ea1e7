//! The address of a printer's server as somebody types or pastes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::UsageError;

/// Where a printer's server is, and what lets requests through to it.
///
/// The user-info of the address is an app connection's Basic pair. It is taken out at once,
/// so that no text made of the address has it in it.
pub(crate) struct Server {
    /// Ends with a slash; has no user-info, query or fragment.
    base: Url,
    host: Host<String>,
    authorization: Option<HeaderValue>,
}

impl Server {
    /// Reads an address; `http://` is added if it has no scheme.
    pub(crate) fn parse(text: &str) -> Result<Self, UsageError> {
        // The text is never repeated: it may hold a password.
        let wrong = |what: &str| UsageError(format!("the URL {what}"));
        let form = "needs the form http://host, https://host:port or https://host/path/";
        let text = text.trim();
        let text = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let mut base = Url::parse(&text).map_err(|_| wrong(form))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(wrong(form));
        }
        let host = base.host().ok_or_else(|| wrong(form))?.to_owned();
        let authorization = authorization(&base).map_err(wrong)?;
        let cleared = base.set_username("").and_then(|()| base.set_password(None));
        cleared.map_err(|()| wrong(form))?;
        base.set_query(None);
        base.set_fragment(None);
        let path = format!("{}/", base.path().trim_end_matches('/'));
        base.set_path(&path);
        Ok(Self {
            base,
            host,
            authorization,
        })
    }

    /// The address of `path`, which starts without a slash.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }

    /// The address without anything secret.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    pub(crate) fn host(&self) -> &Host<String> {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        let known = self.base.port_or_known_default();
        known.expect("http and https have ports")
    }

    pub(crate) fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The same server, with another credential.
    pub(crate) fn with_authorization(mut self, authorization: HeaderValue) -> Self {
        self.authorization = Some(authorization);
        self
    }

    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

fn authorization(url: &Url) -> Result<Option<HeaderValue>, &'static str> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let user: Vec<u8> = percent_decode_str(url.username()).collect();
    let password: Vec<u8> = percent_decode_str(url.password().unwrap_or_default()).collect();
    if user.contains(&b':') {
        return Err("has a user name with a colon, which cannot be sent");
    }
    let pair = [user.as_slice(), b":", &password].concat();
    let value = format!("Basic {}", STANDARD.encode(pair));
    let mut value =
        HeaderValue::try_from(value).map_err(|_| "has a user name that cannot be sent")?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_paste_them() {
        for (text, probe) in [
            ("octopi.local", "http://octopi.local/plugin/appkeys/probe"),
            ("10.0.0.2:5000", "http://10.0.0.2:5000/plugin/appkeys/probe"),
            ("http://h", "http://h/plugin/appkeys/probe"),
            ("https://h/octo", "https://h/octo/plugin/appkeys/probe"),
            (
                " https://h:1/octo//?a=b#c ",
                "https://h:1/octo/plugin/appkeys/probe",
            ),
            (
                "http://[::1]:5000/",
                "http://[::1]:5000/plugin/appkeys/probe",
            ),
        ] {
            let server = Server::parse(text).unwrap();
            assert_eq!(server.url("plugin/appkeys/probe").as_str(), probe, "{text}");
            assert!(server.authorization().is_none());
        }
    }

    #[test]
    fn the_basic_pair_leaves_the_address_and_becomes_a_field() {
        let server = Server::parse("https://user:p%40ss%3a@app-x.example/").unwrap();
        assert_eq!(server.base().as_str(), "https://app-x.example/");
        let field = server.authorization().unwrap();
        assert_eq!(field, &format!("Basic {}", STANDARD.encode("user:p@ss:")));
        assert!(field.is_sensitive());
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in [
            "",
            "ftp://user:hunter2@h/",
            "http://",
            "http://user:hunter2@:80/",
            "http://us%3aer:hunter2@h/",
        ] {
            let error = Server::parse(text).err().unwrap().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
