//! The differences that are wanted, and why.

use super::Difference;

/// Answers that are to differ.
#[derive(Debug)]
pub(super) struct Known {
    /// What the case's name begins with; with `*` at its beginning, what it contains.
    case: &'static str,
    /// What differs, with the same `*`; `*` alone is everything.
    what: &'static str,
    /// Read by people, here and when the test fails.
    #[expect(dead_code, reason = "shown by Debug")]
    why: &'static str,
}

const fn known(case: &'static str, what: &'static str, why: &'static str) -> Known {
    Known { case, what, why }
}

/// Defects are not copied, and some things are done better.
pub(super) const WANTED: &[Known] = &[
    known(
        "request: {\"app\":\"\"}",
        "*",
        "a request without a name asks nobody anything",
    ),
    known("request: {\"app\":5}", "*", "a name is a text"),
    known("request: [\"app\"]", "*", "500 there: not an object"),
    known("request: \"app\"", "*", "500 there: not an object"),
    known("decision: [] ", "*", "500 there: neither yes nor no"),
    known(
        "logout: a copy of the cookie",
        "*",
        "a session that was left is over everywhere",
    ),
    known(
        "proxy: X-Forwarded-Host, a list",
        "*",
        "the first entry is the address; there it is a broken one",
    ),
    known(
        "proxy: proxy for garbage",
        "*",
        "the connection is dropped there",
    ),
];

impl Known {
    pub(super) fn is_about(&self, case: &str) -> bool {
        matches(self.case, case)
    }

    pub(super) fn covers(&self, difference: &Difference) -> bool {
        self.is_about(&difference.case) && matches(self.what, &difference.what)
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(part) => text.contains(part),
        None => text.starts_with(pattern),
    }
}
