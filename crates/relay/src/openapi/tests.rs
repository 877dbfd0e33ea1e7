use std::collections::BTreeSet;
use std::path::Path;

use latchkey_web::openapi::{assert_committed, described, unsaid, written_status};
use latchkey_web::written_routes::written;

use super::document;

const COMMITTED: &str = include_str!("../../../../docs/reference/openapi-relay.json");

/// Everything below these that is not described, described as such.
const ROOMS: [&str; 3] = [
    "/api/appconnection/{*rest}",
    "/api/gadget/{*rest}",
    "/api/live/{*rest}",
];

#[test]
fn the_committed_document_is_the_codes() {
    assert_committed(&document(), COMMITTED, "openapi-relay.json");
}

/// Whether programs call it, and not people.
fn is_for_programs(path: &str) -> bool {
    path.starts_with("/api/") || path == "/appportal/v1/token"
}

#[test]
fn every_route_for_programs_is_described_and_no_other() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut there: BTreeSet<_> = written(&source)
        .into_iter()
        .filter(|(_, path)| is_for_programs(path) && !ROOMS.contains(&path.as_str()))
        .map(|(method, path)| (method, path.to_lowercase()))
        .collect();
    there.extend(written_status());
    let described = described(&document()).into_iter();
    let described: BTreeSet<_> = described
        .map(|(method, path)| (method, path.to_lowercase()))
        .collect();
    assert_eq!(described, there);
}

#[test]
fn every_call_says_what_it_is_and_how_it_may_end() {
    assert_eq!(unsaid(&document()), Vec::<String>::new());
}
