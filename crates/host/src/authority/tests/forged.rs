//! Requests that no page of the host made, in the name of somebody who may make them.

use super::routes::{ROUTES, Route};
use super::who::fill;
use super::*;

/// How a request tells that it is none of ours.
#[derive(Debug, Clone, Copy)]
enum Forgery {
    NoToken,
    MadeUp,
    /// Another browser's: signed, but not what this one's cookie has.
    AnotherBrowsers,
    ForeignOrigin,
    NullOrigin,
    CrossSite,
    Get,
    Head,
}

const FORGERIES: [Forgery; 8] = [
    Forgery::NoToken,
    Forgery::MadeUp,
    Forgery::AnotherBrowsers,
    Forgery::ForeignOrigin,
    Forgery::NullOrigin,
    Forgery::CrossSite,
    Forgery::Get,
    Forgery::Head,
];

/// A page anywhere may let a browser ask for a key, which changes nothing until somebody decides,
/// and send what an app signed, which needs nobody's cookie.
const EXEMPT: [&str; 2] = ["/plugin/appkeys/request", "/apps/auth"];

/// Somebody with a browser for whom the route does what it is for.
fn somebody(route: &Route) -> Who {
    let may = |who: &Who| matches!(who, Who::Guest | Who::Bob | Who::Ann);
    let found = route.changes_for.iter().copied().find(may);
    found.unwrap_or(if is_of_admins(route.path) {
        Who::Ann
    } else {
        Who::Bob
    })
}

#[tokio::test]
async fn no_page_elsewhere_changes_anything_in_somebodys_name() {
    let posts = ROUTES
        .iter()
        .filter(|route| route.method == "POST" && !EXEMPT.contains(&route.path));
    let mut tried = 0;
    for route in posts {
        for forgery in FORGERIES {
            let bench = host().await;
            let mut caller = Caller::new(&bench, somebody(route)).await;
            let things = Things::new(&bench).await;
            let before = state(&bench, &things).await;
            let reply = forge(&mut caller, route, &things, forgery, &bench).await;
            let what = format!("{} {forgery:?}: {}", route.path, reply.status);
            assert_eq!(state(&bench, &things).await, before, "{what}");
            let reads = ROUTES
                .iter()
                .any(|other| other.path == route.path && other.method == "GET");
            let is_get = matches!(forgery, Forgery::Get | Forgery::Head);
            assert!(is_refusal(reply.status) || (is_get && reads), "{what}");
            tried += 1;
        }
    }
    assert!(tried > 100);
}

async fn forge(
    caller: &mut Caller<'_>,
    route: &Route,
    things: &Things,
    forgery: Forgery,
    bench: &Bench,
) -> Reply {
    let (path, body) = (things.fill(route.path), fill(route.body, things));
    let (token, others) = (caller.browser.csrf(), guest(bench).csrf());
    let (method, token, fields): (_, &str, &[_]) = match forgery {
        Forgery::NoToken => ("POST", "", &[]),
        Forgery::MadeUp => ("POST", "AAAAAAAAAAAAAAAAAAAAAA.AAAA", &[]),
        Forgery::AnotherBrowsers => ("POST", &others, &[]),
        Forgery::ForeignOrigin => ("POST", &token, &[("origin", "http://evil.example")]),
        Forgery::NullOrigin => ("POST", &token, &[("origin", "null")]),
        Forgery::CrossSite => ("POST", &token, &[("sec-fetch-site", "cross-site")]),
        Forgery::Get => ("GET", &token, &[]),
        Forgery::Head => ("HEAD", &token, &[]),
    };
    assert_ne!(caller.browser.csrf(), others);
    let path = match (method, body) {
        ("POST", _) => path,
        // All that the form would have said.
        (_, Sent::Form(text)) => format!("{path}?{text}&csrf_token={token}"),
        _ => path,
    };
    caller.send_with(method, &path, body, token, fields).await
}
