//! All routes of the host: what they need and what they do.

use std::collections::BTreeSet;
use std::path::Path;

use latchkey_web::written_routes::written;

use super::{Sent, Who};

/// A route and what is expected of it.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) body: Sent,
    /// The statuses for `EVERYBODY`, in that order.
    pub(super) statuses: [u16; 8],
    /// For whom it changes something that lasts.
    pub(super) changes_for: &'static [Who],
    /// Whether a password has to be typed lately.
    pub(super) fresh: bool,
}

impl Route {
    /// For a session key, whatever its scope: that is about the printer.
    pub(super) fn of_session_key(&self) -> u16 {
        match self.path {
            // Not from outside, and without the cookie of a page.
            "/latchkey/setup" => self.statuses[6],
            "/api/plugin/latchkey" | "/api/plugin/octoeverywhere" => self.statuses[5],
            _ => self.statuses[7],
        }
    }

    pub(super) fn changes_for(&self, who: Who) -> bool {
        let is_session_key = matches!(who, Who::SessionKey | Who::AdminSessionKey);
        let like = self.changes_for.contains(&Who::AppConnection);
        self.changes_for.contains(&who) || (is_session_key && like)
    }
}

use Sent::{Form, Json, Nothing};
use Who::{Ann, Ben, Bob, BobsFullKey, Guest, Rita};

const PEOPLE: &[Who] = &[Rita, Bob, Ben, Ann];

const fn get(path: &'static str, statuses: [u16; 8]) -> Route {
    Route {
        method: "GET",
        path,
        body: Nothing,
        statuses,
        changes_for: &[],
        fresh: false,
    }
}

const fn post(
    path: &'static str,
    body: Sent,
    statuses: [u16; 8],
    changes_for: &'static [Who],
) -> Route {
    Route {
        method: "POST",
        path,
        body,
        statuses,
        changes_for,
        fresh: false,
    }
}

const fn fresh(route: Route) -> Route {
    Route {
        fresh: true,
        ..route
    }
}

const ANYBODY: [u16; 8] = [200; 8];
/// Pages are for people; others are led to the sign-in.
const PERSONAL: [u16; 8] = [303, 200, 200, 200, 200, 303, 303, 303];
const ADMINS: [u16; 8] = [303, 403, 403, 403, 200, 303, 303, 303];
const ADMINS_FORM: [u16; 8] = [303, 403, 403, 403, 303, 303, 303, 303];
const ALWAYS_ON: [u16; 8] = [303; 8];
/// At home: an app connection is none.
const WHO_USES_THE_PRINTER: [u16; 8] = [403, 403, 204, 204, 204, 204, 403, 403];
const USING_THE_PRINTER: &[Who] = &[
    Bob,
    Ben,
    Ann,
    BobsFullKey,
    Who::SessionKey,
    Who::AdminSessionKey,
];

pub(super) const ROUTES: &[Route] = &[
    get("/plugin/appkeys/probe", [204; 8]),
    post(
        "/plugin/appkeys/request",
        Json(r#"{"app":"Another"}"#),
        [201; 8],
        &super::EVERYBODY,
    ),
    get("/plugin/appkeys/request/{app_token}", [202; 8]),
    fresh(post(
        "/plugin/appkeys/decision/{user_token}",
        Json(r#"{"decision":true}"#),
        [403, 403, 204, 404, 404, 204, 403, 403],
        &[Bob, BobsFullKey],
    )),
    fresh(get(
        "/plugin/appkeys/auth/{app_token}",
        [302, 302, 200, 404, 404, 200, 302, 302],
    )),
    get(
        "/api/plugin/appkeys",
        [403, 200, 200, 200, 200, 200, 200, 403],
    ),
    fresh(post(
        "/api/plugin/appkeys",
        Json(r#"{"command":"revoke","app":"Owned","user":"bob"}"#),
        [403, 403, 204, 403, 204, 204, 403, 403],
        &[Bob, Ann, BobsFullKey],
    )),
    fresh(post(
        "/api/plugin/appkeys",
        Json(r#"{"command":"generate","app":"New","user":"bob"}"#),
        [403, 403, 200, 403, 200, 200, 403, 403],
        &[Bob, Ann, BobsFullKey],
    )),
    get("/apps/auth", ANYBODY),
    post(
        "/apps/auth",
        Json(r#"{"appid":"nobodys","key":"K","_sig":"AAAA"}"#),
        [401; 8],
        &[],
    ),
    get("/api/plugin/octoeverywhere", ANYBODY),
    post(
        "/api/plugin/octoeverywhere",
        Json(r#"{"command":"setFrontendLocalPort","port":80}"#),
        WHO_USES_THE_PRINTER,
        USING_THE_PRINTER,
    ),
    get("/api/plugin/latchkey", ANYBODY),
    post(
        "/api/plugin/latchkey",
        Json(r#"{"command":"setFrontendLocalPort","port":80}"#),
        WHO_USES_THE_PRINTER,
        USING_THE_PRINTER,
    ),
    post(
        "/api/login",
        Json(r#"{"user":"bob","pass":"right-horse"}"#),
        ANYBODY,
        &[
            Guest,
            Rita,
            Ben,
            Ann,
            BobsFullKey,
            Who::BobsViewKey,
            Who::AppConnection,
        ],
    ),
    post("/api/logout", Json("{}"), ANYBODY, PEOPLE),
    get("/api/currentuser", ANYBODY),
    get("/login", [200, 302, 302, 302, 302, 302, 302, 200]),
    get("/login/", [200, 302, 302, 302, 302, 302, 302, 200]),
    post(
        "/login",
        Form("user=bob&pass=right-horse"),
        [303, 303, 303, 303, 303, 400, 400, 400],
        &[Guest, Rita, Ben, Ann],
    ),
    post(
        "/login/",
        Form("user=bob&pass=right-horse"),
        [303, 303, 303, 303, 303, 400, 400, 400],
        &[Guest, Rita, Ben, Ann],
    ),
    get("/latchkey", ALWAYS_ON),
    get("/latchkey/", PERSONAL),
    get("/latchkey/{*unknown}", [404; 8]),
    get("/latchkey/api", ANYBODY),
    get("/latchkey/api/openapi.json", ANYBODY),
    get("/latchkey/setup", ANYBODY),
    post(
        "/latchkey/setup",
        Form("code=X&name=new&password=right-horse&again=right-horse"),
        [200, 200, 200, 200, 200, 400, 400, 403],
        &[],
    ),
    post(
        "/latchkey/sign-out",
        Form("x=1"),
        [303, 303, 303, 303, 303, 400, 400, 400],
        PEOPLE,
    ),
    get("/latchkey/account", PERSONAL),
    post(
        "/latchkey/account/password",
        Form("old=right-horse&password=another-horse&again=another-horse"),
        ALWAYS_ON,
        PEOPLE,
    ),
    // The session that is named is Bob's.
    post(
        "/latchkey/account/end-session",
        Form("session={session}"),
        ALWAYS_ON,
        &[Bob],
    ),
    get("/latchkey/relay", ADMINS),
    fresh(post(
        "/latchkey/relay",
        Form("url=not+an+address"),
        [303, 403, 403, 403, 400, 303, 303, 303],
        &[],
    )),
    post("/latchkey/relay/stop", Form("x=1"), ADMINS_FORM, &[]),
    // There is none to leave: back to the page.
    get("/latchkey/relay/unpair", ADMINS_FORM),
    fresh(post(
        "/latchkey/relay/unpair",
        Form("x=1"),
        ADMINS_FORM,
        &[],
    )),
    get("/latchkey/users", ADMINS),
    fresh(post(
        "/latchkey/users",
        Form("name=new&password=right-horse&group=users"),
        ADMINS_FORM,
        &[Ann],
    )),
    get("/latchkey/users/{name}", ADMINS),
    fresh(post(
        "/latchkey/users/{name}/group",
        Form("group=admins"),
        ADMINS_FORM,
        &[Ann],
    )),
    fresh(post(
        "/latchkey/users/{name}/password",
        Form("password=another-horse"),
        ADMINS_FORM,
        &[Ann],
    )),
    fresh(post(
        "/latchkey/users/{name}/activate",
        Form("x=1"),
        ADMINS_FORM,
        &[Ann],
    )),
    fresh(get("/latchkey/users/{name}/deactivate", ADMINS)),
    fresh(post(
        "/latchkey/users/{name}/deactivate",
        Form("x=1"),
        ADMINS_FORM,
        // Olga is inactive already.
        &[],
    )),
    fresh(get("/latchkey/users/{name}/remove", ADMINS)),
    fresh(post(
        "/latchkey/users/{name}/remove",
        Form("x=1"),
        ADMINS_FORM,
        &[Ann],
    )),
    fresh(get(
        "/latchkey/requests/{user_token}",
        [303, 404, 200, 404, 404, 303, 303, 303],
    )),
    fresh(post(
        "/latchkey/requests/{user_token}",
        Form("decision=grant&scope=view"),
        [303, 404, 200, 404, 404, 303, 303, 303],
        &[Bob],
    )),
    get("/latchkey/apps", ADMINS),
    fresh(post(
        "/latchkey/apps",
        Form(concat!(
            "name=new:1&allow_weak_keys=true&scope=full&pubkey=MEgCQQCIWfi7Nc8bcnfZJJtA6a4RyMC%2B",
            "sKBlMOb25OVNNB4L2v0TiGO72jVKR4osvb4oztlbRW5GkdiY0T2LJcfDYvkJAgMBAAE%3D"
        )),
        ADMINS_FORM,
        &[Ann],
    )),
    get("/latchkey/apps/{app}", ADMINS),
    fresh(post(
        "/latchkey/apps/{app}/enable",
        Form("x=1"),
        ADMINS_FORM,
        &[Ann],
    )),
    fresh(post(
        "/latchkey/apps/{app}/disable",
        Form("x=1"),
        ADMINS_FORM,
        &[Ann],
    )),
    fresh(get("/latchkey/apps/{app}/remove", ADMINS)),
    fresh(post(
        "/latchkey/apps/{app}/remove",
        Form("x=1"),
        ADMINS_FORM,
        &[Ann],
    )),
    get("/latchkey/keys", PERSONAL),
    fresh(post(
        "/latchkey/keys",
        Form("app=New&scope=view"),
        PERSONAL,
        PEOPLE,
    )),
    get("/latchkey/keys/all", ADMINS),
    fresh(post(
        "/latchkey/keys/{id}/reveal",
        Form("x=1"),
        [303, 404, 200, 404, 404, 303, 303, 303],
        &[],
    )),
    fresh(get(
        "/latchkey/keys/{id}/revoke",
        [303, 404, 200, 404, 200, 303, 303, 303],
    )),
    fresh(post(
        "/latchkey/keys/{id}/revoke",
        Form("x=1"),
        ALWAYS_ON,
        &[Bob, Ann],
    )),
];

#[test]
fn every_route_that_is_written_has_an_entry_and_every_entry_a_route() {
    let listed: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert_eq!(listed, written(&source));
}
