//! An address as somebody named it.

use std::fmt;

use http::uri::PathAndQuery;
use url::{Position, Url};

/// An address, with its path and query as they were written: receivers may tell by them who calls.
/// Whom a call reaches is read from the URL alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Named {
    pub(super) url: Url,
    written: String,
}

/// What is in it beside the host may be secret.
impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.host_str()).finish()
    }
}

impl Named {
    /// Reads an address that was looked at before; nothing if it is none.
    pub fn parse(written: &str) -> Option<Self> {
        let url = Url::parse(written).ok()?;
        let written = written.to_owned();
        Some(Self { url, written })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whom it reaches.
    pub fn host_str(&self) -> Option<&str> {
        self.url.host_str()
    }

    /// What is asked for: as it was written where that can be sent, else as browsers would.
    pub(super) fn target(&self) -> Option<PathAndQuery> {
        let as_browsers = &self.url[Position::BeforePath..Position::AfterQuery];
        let written = self.written_target();
        let written = written.and_then(|target| target.parse().ok());
        written.or_else(|| as_browsers.parse().ok())
    }

    fn written_target(&self) -> Option<String> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        if !self.written.bytes().all(is_plain) {
            return None;
        }
        let (_, rest) = self.written.split_once("://")?;
        let rest = rest.split('#').next().unwrap_or_default();
        let begin = rest.find(['/', '?'])?;
        let slash = if rest[begin..].starts_with('?') {
            "/"
        } else {
            ""
        };
        Some(format!("{slash}{}", &rest[begin..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_are_sent_as_they_were_written() {
        for (written, target) in [
            ("https://a.example", "/"),
            ("https://a.example/", "/"),
            ("https://a.example?x=1", "/?x=1"),
            ("https://a.example/b/../c?d=e/../f#g", "/b/../c?d=e/../f"),
            (
                "HTTPS://A.example:443/%7Ea/%2e%2e/b'c|d",
                "/%7Ea/%2e%2e/b'c|d",
            ),
            (
                "https://a.example/x?to=https://b.example/",
                "/x?to=https://b.example/",
            ),
            ("https://a.example/{id}", "/{id}"),
            // What no request can say is written as browsers do.
            ("https://a.example/b c", "/b%20c"),
            ("https://a.example\\b", "/b"),
            ("https:a.example/b", "/b"),
            ("https://a.example/ü", "/%C3%BC"),
            (" https://a.example/b ", "/b"),
        ] {
            let named = Named::parse(written).unwrap();
            assert_eq!(named.target().unwrap().as_str(), target, "{written}");
            assert_eq!(named.as_str(), written);
        }
    }
}
