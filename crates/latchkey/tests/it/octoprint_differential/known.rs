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

const NOT_AN_OBJECT: &str = "500 there: the body is not an object";
const NO_NAME: &str = "a request that names no app asks nobody anything; there it is pending";

/// Defects are not copied, and some things are done better.
pub(super) const WANTED: &[Known] = &[
    known("request: {\"app\":\"\"}", "*", NO_NAME),
    known("request: {\"app\":null}", "*", NO_NAME),
    known("request: {\"app\":5}", "*", NO_NAME),
    known("request: [\"app\"]", "*", NOT_AN_OBJECT),
    known("request: \"app\"", "*", NOT_AN_OBJECT),
    known("request: 5", "*", NOT_AN_OBJECT),
    known("decision: [", "*", "500 there: neither yes nor no"),
    known("decision: {", "*", "500 there: neither yes nor no"),
    known("decision: signed in, \"decision\"", "*", NOT_AN_OBJECT),
    known("*, null", "status", NOT_AN_OBJECT),
    known("* \"command\"", "status", NOT_AN_OBJECT),
    known("* null", "status", NOT_AN_OBJECT),
    known(
        "login: a text",
        "*",
        "400 here: the word alone is taken for a passive login there",
    ),
    known("login: a number as password", "*", "500 there"),
    known(
        "commands: boss {\"command\":\"generate\",\"app\":\"command\",\"user\":\"nobody",
        "*",
        "a key for nobody is of use to nobody",
    ),
    known(
        "*",
        "cookie session",
        "the host sets it when it changes, not with every answer",
    ),
    known(
        "*",
        "cookie remember_token",
        "a remembered browser is given a new one, and one who leaves loses it",
    ),
    known(
        "*",
        "cookie active_logout",
        "those without a suffix are not the host's",
    ),
    known(
        "*",
        "x-frame-options",
        "the host's pages are shown in no frame at all",
    ),
    known(
        "dialog:",
        "cache-control",
        "not stored either, in fewer words",
    ),
    known("dialog:", "pragma", "redirects are not cached"),
    known("dialog:", "expires", "redirects are not cached"),
    known("login page:", "cache-control", "not stored"),
    known("login page:", "pragma", "redirects are not cached"),
    known("login page:", "expires", "redirects are not cached"),
    known("proxy:", "cache-control", "not stored"),
    known("proxy:", "pragma", "redirects are not cached"),
    known("proxy:", "expires", "redirects are not cached"),
    known(
        "proxy: host",
        "*",
        "asked by a name that is not the host's and forwarded by nobody: 421",
    ),
    known(
        "dialog: stale,",
        "location",
        "what is needed is said as well",
    ),
    known(
        "dialog: another,",
        "location",
        "what is needed is said as well",
    ),
    known("*unknown token", "*", "people get a page"),
    known(
        "dialog: user, open ?user={user}",
        "*",
        "404 as well; people get a page",
    ),
    known(
        "dialog: another, bound ",
        "*",
        "404 as well; people get a page",
    ),
    known(
        "origins: OPTIONS",
        "*",
        "405: nothing is offered to other origins",
    ),
    known(
        "freshness: same session, once remembered",
        "*",
        "proving who one is keeps the session",
    ),
    known("shapes: GET /apps/auth", "*", "an app is told in JSON"),
    known(
        "odd messages: 5",
        "*",
        "one odd message ends the socket there; here it is ignored as others are",
    ),
    known(
        "odd messages: null",
        "*",
        "one odd message ends the socket there",
    ),
    known(
        "odd messages: {\"auth\": 5}",
        "*",
        "one odd message ends the socket there",
    ),
    known(
        "odd messages: {\"subscribe\": 5}",
        "*",
        "one odd message ends the socket there",
    ),
    known(
        "proxy: X-Forwarded-Host, a list",
        "*",
        "the first entry is the address; there it is a broken one",
    ),
    known("proxy: for garbage", "*", "the connection is dropped there"),
    known("proxy: for nothing", "*", "the connection is dropped there"),
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
