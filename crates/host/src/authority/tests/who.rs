//! Who may do what: every route, for everybody.

use super::routes::ROUTES;
use super::*;

#[tokio::test]
async fn everybody_gets_at_every_route_what_is_theirs_and_changes_nothing_else() {
    let mut wrong = Vec::new();
    for route in ROUTES {
        let everybody = EVERYBODY.into_iter().zip(route.statuses);
        let session_keys = SESSION_KEYS.map(|who| (who, route.of_session_key()));
        for (who, expected) in everybody.chain(session_keys) {
            let bench = host().await;
            let mut caller = Caller::new(&bench, who).await;
            let things = Things::new(&bench).await;
            let before = state(&bench, &things).await;
            let path = things.fill(route.path);
            let body = fill(route.body, &things);
            let reply = caller.send(route.method, &path, body).await;
            let changed = state(&bench, &things).await != before;
            let status = reply.status.as_u16();
            if status != expected || changed != route.changes_for(who) {
                wrong.push(format!(
                    "{} {} as {who:?}: {status}, not {expected}; changed: {changed}",
                    route.method, route.path
                ));
            }
            let shown = reply.text.contains(&things.user_token);
            let decides = matches!(who, Who::Bob | Who::BobsFullKey);
            assert!(!shown || decides, "{} shows {who:?} a token", route.path);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Puts in the session that is to be ended.
pub(super) fn fill(body: Sent, things: &Things) -> Sent {
    match body {
        Sent::Form(text) if text.contains("{session}") => {
            let filled = text.replace("{session}", &things.session_id);
            Sent::Form(filled.leak())
        }
        body => body,
    }
}
