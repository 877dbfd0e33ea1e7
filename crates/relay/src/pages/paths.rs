//! Addresses within this relay that a person comes back to.

use latchkey_model::portal::QUERY_VALUE;
use latchkey_model::printer::PrinterName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::PublicUrl;

/// RFC 3986, unreserved: the rest of a name is encoded in a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Longest way back that is kept.
const LONGEST: usize = 4096;

/// A path with one more value in its query; spaces become `%20`.
pub(crate) fn with(path: &str, name: &str, value: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!(
        "{path}{sign}{name}={}",
        utf8_percent_encode(value, QUERY_VALUE)
    )
}

/// Where a person looks at a printer: by its name, since apps build the same address from that.
pub(crate) fn page_of(relay: &PublicUrl, printer: &PrinterName) -> String {
    let name = utf8_percent_encode(printer.as_str(), SEGMENT);
    format!("{relay}/view/{name}")
}

/// The way back that somebody sent, if it leads to a page of ours: a path that no browser reads
/// as another host.
pub(crate) fn way_back(text: &str) -> Option<&str> {
    let path = text.strip_prefix('/')?;
    let plain = text.len() <= LONGEST && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let same_host = !path.starts_with('/');
    (plain && same_host).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_back_stay_here() {
        for good in [
            "/",
            "/printers",
            "/appportal/v1?appId=a&returnUrl=http%3A%2F%2F127.0.0.1",
        ] {
            assert_eq!(way_back(good), Some(good));
        }
        for bad in [
            "",
            "printers",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "/\t/evil.example",
            "/a b",
            "/\u{e4}",
            "/\r\nSet-Cookie: x=y",
        ] {
            assert_eq!(way_back(bad), None, "{bad:?}");
        }
        assert_eq!(way_back(&format!("/{}", "a".repeat(4096))), None);
    }

    #[test]
    fn values_keep_their_meaning() {
        assert_eq!(
            with("/sign-in", "then", "/a?b=c d&e+f#g%"),
            "/sign-in?then=/a%3Fb%3Dc%20d%26e%2Bf%23g%25"
        );
        assert_eq!(with("/a?b=c", "d", "e"), "/a?b=c&d=e");
    }
}
