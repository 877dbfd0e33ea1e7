use std::collections::BTreeSet;
use std::path::Path;

use latchkey_web::openapi::{assert_committed, described, unsaid, written_status};
use latchkey_web::written_routes::written;

use super::document;

const COMMITTED: &str = include_str!("../../../../docs/reference/openapi-host.json");

/// Where an app sends a person.
const DIALOG: &str = "/plugin/appkeys/auth/{app_token}";

#[test]
fn the_committed_document_is_the_codes() {
    assert_committed(&document(), COMMITTED, "openapi-host.json");
}

/// Whether programs call it, and not people.
fn is_for_programs(path: &str) -> bool {
    let rooms = ["/api/", "/plugin/", "/apps/", "/latchkey/api/"];
    path != DIALOG && rooms.iter().any(|room| path.starts_with(room))
}

#[test]
fn every_route_for_programs_is_described_and_no_other() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut there: BTreeSet<_> = written(&source);
    there.retain(|(_, path)| is_for_programs(path));
    there.extend(written_status());
    // It has no router.
    there.insert(("GET".to_owned(), "/sockjs/info".to_owned()));
    assert_eq!(described(&document()), there);
}

#[test]
fn every_call_says_what_it_is_and_how_it_may_end() {
    assert_eq!(unsaid(&document()), Vec::<String>::new());
}
