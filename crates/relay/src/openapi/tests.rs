use std::collections::BTreeSet;
use std::path::Path;

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
    let made = document().to_pretty_json().unwrap() + "\n";
    if made != COMMITTED {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/openapi-relay.json");
        std::fs::write(&file, &made).unwrap();
        panic!(
            "docs/reference/openapi-relay.json is not what the code says. If the code is right, copy {} there.",
            file.display()
        );
    }
}

fn described() -> BTreeSet<(String, String)> {
    let document = serde_json::to_value(document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let methods = ["get", "post", "put", "patch", "delete"];
    paths
        .iter()
        .flat_map(|(path, item)| {
            let item = item.as_object().unwrap();
            let said = item.keys().filter(|key| methods.contains(&key.as_str()));
            said.map(|method| (method.to_uppercase(), path.to_lowercase()))
        })
        .collect()
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
    let status = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/src/health.rs");
    let status = std::fs::read_to_string(status).unwrap();
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(
            status.contains(&format!(".route(\"{path}\", get(")),
            "{path}"
        );
        there.insert(("GET".to_owned(), path.to_owned()));
    }
    assert_eq!(described(), there);
}

#[test]
fn every_call_says_what_it_is_and_how_it_may_end() {
    let document = serde_json::to_value(document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, call) in item.as_object().unwrap() {
            if method == "servers" {
                continue;
            }
            for member in ["summary", "description", "operationId"] {
                assert!(call[member].is_string(), "{method} {path}: {member}");
            }
            for (status, answer) in call["responses"].as_object().unwrap() {
                let said = answer["description"].as_str().unwrap_or_default();
                assert!(!said.is_empty(), "{method} {path}: {status}");
            }
        }
    }
}
