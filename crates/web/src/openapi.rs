//! What both roles do with the OpenAPI documents of their APIs.

use std::collections::BTreeSet;
use std::path::Path;

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use serde_json::Value;
use utoipa::openapi::{OpenApi, ServerBuilder};

/// What is answered on `status_listen`, by whichever role.
const STATUS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The document as it is sent and committed.
///
/// # Panics
///
/// Never: it is plain data.
pub fn printed(document: &OpenApi) -> String {
    document.to_pretty_json().expect("plain data") + "\n"
}

/// Sends a document. Pages of any origin may read it.
pub fn sent(document: &'static str) -> Response {
    let fields = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    (fields, document).into_response()
}

/// Says of what is answered on `status_listen` that it is there, at `address`, and not here.
pub fn status_is_at(document: &mut OpenApi, address: &str, role: &str) {
    let server = ServerBuilder::new()
        .url(address)
        .description(Some(format!("`status_listen` of the {role}")))
        .build();
    for path in STATUS {
        if let Some(item) = document.paths.paths.get_mut(path) {
            item.servers = Some(vec![server.clone()]);
        }
    }
}

/// For tests: method and path of everything that a document describes.
pub fn described(document: &OpenApi) -> BTreeSet<(String, String)> {
    let document = serde_json::to_value(document).expect("plain data");
    let calls = calls(&document);
    let named = calls.map(|(method, path, _)| (method.to_uppercase(), path.to_owned()));
    named.collect()
}

/// For tests: method and path of what is answered on `status_listen`.
///
/// # Panics
///
/// If one of them is not.
pub fn written_status() -> BTreeSet<(String, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/health.rs");
    let source = std::fs::read_to_string(source).expect("it can be read");
    for path in STATUS {
        let route = format!(".route(\"{path}\", get(");
        assert!(source.contains(&route), "{path}");
    }
    STATUS
        .map(|path| ("GET".to_owned(), path.to_owned()))
        .into()
}

/// For tests: each call of which a document does not say what it is or how it ends.
pub fn unsaid(document: &OpenApi) -> Vec<String> {
    let document = serde_json::to_value(document).expect("plain data");
    let mut unsaid = Vec::new();
    for (method, path, call) in calls(&document) {
        for member in ["summary", "description", "operationId"] {
            if !call[member].is_string() {
                unsaid.push(format!("{method} {path}: {member}"));
            }
        }
        for (status, answer) in call["responses"].as_object().into_iter().flatten() {
            if answer["description"].as_str().is_none_or(str::is_empty) {
                unsaid.push(format!("{method} {path}: {status}"));
            }
        }
    }
    unsaid
}

/// For tests: fails unless the file `name` in `docs/reference`, of which `committed` is the text, is
/// what the code says. What the code says is put below `target` then.
///
/// # Panics
///
/// If it is not.
pub fn assert_committed(document: &OpenApi, committed: &str, name: &str) {
    let made = printed(document);
    if made == committed {
        return;
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let file = target.join(name);
    std::fs::write(&file, made).expect("it can be written");
    panic!(
        "docs/reference/{name} is not what the code says. If the code is right, copy {} there.",
        file.display()
    );
}

fn calls(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let item = item.as_object().into_iter().flatten();
        let calls = item.filter(|(method, _)| METHODS.contains(&method.as_str()));
        calls.map(move |(method, call)| (method.as_str(), path.as_str(), call))
    })
}
