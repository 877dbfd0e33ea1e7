//! The differences that are wanted, and why.

use super::Difference;

/// Answers that are to differ.
#[derive(Debug)]
pub(super) struct Known {
    /// What the case's name begins with; with `*` at its beginning, what it contains.
    case: &'static str,
    /// What differs, of several parted by `|` any, with the same `*`; `*` alone is everything.
    what: &'static str,
    /// Whether only the host has it.
    added: bool,
    /// Read by people, here and when the test fails.
    #[expect(dead_code, reason = "shown by Debug")]
    why: &'static str,
}

const fn known(case: &'static str, what: &'static str, why: &'static str) -> Known {
    let added = false;
    Known {
        case,
        what,
        added,
        why,
    }
}

/// What OctoPrint's answer does not have.
const fn added(case: &'static str, what: &'static str, why: &'static str) -> Known {
    let added = true;
    Known {
        case,
        what,
        added,
        why,
    }
}

const NOT_AN_OBJECT: &str = "500 there: the body is not an object";
const CACHING: &str = "cache-control|expires|pragma";
const PAGE: &str = "body|content-type|cookie csrf_token|cache-control|expires|pragma";
const ANSWER: &str = "status|cache-control|expires|pragma";
const NOT_STORED: &str = "pages for one person, and redirects to them, are not stored";
const A_PAGE: &str = "404 as well; people get a page";
const HIDDEN: &str = "403 here: strangers are not told what the printer's server has";
const BACK: &str = "any page of the printer's server may be the one that was asked for";
const PROOF: &str = "programs fetch the token there, signed in or not";
const WHOSE: &str = "403 before 400: whether another has a key for an app is not told";
const ONE_ODD: &str = "one odd message ends the socket there; here it is ignored as others are";
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
    known("decision: signed in, null", "status", NOT_AN_OBJECT),
    known("decision: not fresh, null", "status", NOT_AN_OBJECT),
    known(
        "decision: without the permission, null",
        "status",
        NOT_AN_OBJECT,
    ),
    known("commands: boss \"command\"", "status", NOT_AN_OBJECT),
    known("commands: owner \"command\"", "status", NOT_AN_OBJECT),
    known("commands: stale \"command\"", "status", NOT_AN_OBJECT),
    known("commands: viewer \"command\"", "status", NOT_AN_OBJECT),
    known("commands: boss null", "status", NOT_AN_OBJECT),
    known("commands: owner null", "status", NOT_AN_OBJECT),
    known("commands: stale null", "status", NOT_AN_OBJECT),
    known("commands: viewer null", "status", NOT_AN_OBJECT),
    known(
        "login: nulls",
        "status",
        "a wrong password there; here none was said",
    ),
    known(
        "login: a text",
        "*",
        "400 here: the word alone is taken for a passive login there",
    ),
    known("login: a number as password", "*", "500 there"),
    known(
        "logout: afterwards, passive",
        "body",
        "when the former session's password was typed is still told there",
    ),
    known(
        "decision: without the permission, \"decision\"",
        "status",
        NOT_AN_OBJECT,
    ),
    known("decision: not fresh, \"decision\"", "status", NOT_AN_OBJECT),
    known(
        "commands: owner {\"command\":\"revoke\",\"app\":\"command\",\"user\":{admin}}",
        "status",
        WHOSE,
    ),
    known(
        "commands: stale {\"command\":\"revoke\",\"app\":\"command\",\"user\":{admin}}",
        "status",
        WHOSE,
    ),
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
    added(
        "*",
        "vary",
        "every answer depends on whether there is a cookie; not said there where nobody looked",
    ),
    added("dialog:", CACHING, NOT_STORED),
    known(
        "dialog:",
        "cache-control",
        "not stored either, in fewer words",
    ),
    known(
        "login page: user ?redirect=/nothing/known",
        "location",
        BACK,
    ),
    known(
        "login page: stale ?redirect=/nothing/known",
        "location",
        BACK,
    ),
    added("login page:", CACHING, NOT_STORED),
    added("login page:", "cookie csrf_token", PROOF),
    added("*, page", CACHING, NOT_STORED),
    added("proxy:", CACHING, NOT_STORED),
    added("proxy: nothing, signed in", "cookie csrf_token", PROOF),
    added("proxy: ignored, signed in", "cookie csrf_token", PROOF),
    added("shapes: GET /login", CACHING, NOT_STORED),
    known("shapes: GET /plugin/appkeys/auth/none", PAGE, A_PAGE),
    known("shapes: HEAD /plugin/appkeys/auth/none", PAGE, A_PAGE),
    known("shapes: POST /api/version", ANSWER, HIDDEN),
    known("shapes: PUT /api/version", ANSWER, HIDDEN),
    known("shapes: DELETE /api/version", ANSWER, HIDDEN),
    known("shapes: PATCH /api/version", ANSWER, HIDDEN),
    known("shapes: POST /api/server", ANSWER, HIDDEN),
    known("shapes: PUT /api/server", ANSWER, HIDDEN),
    known("shapes: DELETE /api/server", ANSWER, HIDDEN),
    known("shapes: PATCH /api/server", ANSWER, HIDDEN),
    known("shapes: GET /api/nothing", ANSWER, HIDDEN),
    known("shapes: GET /api/version/", ANSWER, HIDDEN),
    known("shapes: GET /api/plugin/nothing", ANSWER, HIDDEN),
    known(
        "socket pages:",
        "access-control-allow-credentials",
        "pages of other addresses get nothing with a person's cookies",
    ),
    known(
        "socket pages:",
        "cache-control",
        "nothing of the socket is kept, nor changed on the way",
    ),
    known(
        "socket pages: /sockjs",
        "access-control-max-age|expires",
        "the greeting is not kept for a year",
    ),
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
    known("*unknown token", PAGE, A_PAGE),
    known("dialog: user, open ?user={user}", PAGE, A_PAGE),
    known("dialog: another, bound ", PAGE, A_PAGE),
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
    known("odd messages: 5", "*", ONE_ODD),
    known("odd messages: null", "*", ONE_ODD),
    known("odd messages: {\"auth\": 5}", "*", ONE_ODD),
    known("odd messages: {\"subscribe\": 5}", "*", ONE_ODD),
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
        self.is_about(&difference.case)
            && self
                .what
                .split('|')
                .any(|what| matches(what, &difference.what))
            && (!self.added || difference.seen[0].is_empty())
    }

    /// Whether it is about every answer: which part would have to show it, nobody can say.
    pub(super) fn is_general(&self) -> bool {
        self.case == "*"
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(part) => text.contains(part),
        None => text.starts_with(pattern),
    }
}
