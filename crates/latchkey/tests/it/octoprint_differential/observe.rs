//! What of an answer is compared: status, the header fields clients go by, cookies, and the shape of the body with
//! everything masked that is different in every answer or on every machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::header::SET_COOKIE;
use serde_json::{Map, Value, json};

use super::server::Server;
use crate::harness::http::Response;

/// Fields that are compared when either side has them. Left out: what names the server, the time or the connection.
const FIELDS: [&str; 19] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-max-age",
    "cache-control",
    "content-type",
    "expires",
    "location",
    "pragma",
    "retry-after",
    "vary",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-robots-tag",
];
/// Of all permissions only these have a part in the workflow.
const PERMISSIONS: [&str; 4] = [
    "ADMIN",
    "PLUGIN_APPKEYS_ADMIN",
    "PLUGIN_APPKEYS_GRANT",
    "STATUS",
];
/// Of all role needs, likewise.
const NEEDS: [&str; 5] = [
    "admin",
    "plugin_appkeys_admin",
    "plugin_appkeys_user",
    "status",
    "user",
];
/// Characters of a token or key: 32 bytes in BASE64.
const TOKEN: usize = 43;

/// One thing seen at one server: what is compared, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) case: String,
    pub(super) seen: BTreeMap<String, String>,
}

/// What one server calls what both have.
pub(super) struct Masks {
    base: String,
    port: String,
    people: [(String, &'static str); 3],
}

impl Row {
    pub(super) fn of(case: String, answer: &Response, masks: &Masks) -> Self {
        let mut seen = BTreeMap::new();
        seen.insert("status".to_owned(), answer.status.as_u16().to_string());
        for field in FIELDS {
            let values = answer.headers.get_all(field).iter();
            let values: Vec<_> = values
                .map(|value| masks.text(&readable(value.to_str().unwrap())))
                .collect();
            if !values.is_empty() {
                seen.insert(field.to_owned(), normal(field, &values.join(", ")));
            }
        }
        for line in answer.headers.get_all(SET_COOKIE) {
            let (name, attributes) = masks.cookie(line.to_str().unwrap());
            seen.insert(format!("cookie {name}"), attributes);
        }
        if answer.status.is_redirection() {
            // Nobody looks at the page of a redirect.
            seen.remove("content-type");
        } else {
            seen.insert("body".to_owned(), masks.body(answer));
        }
        Self { case, seen }
    }

    pub(super) fn no_answer(case: String) -> Self {
        let seen = BTreeMap::from([("status".to_owned(), "none".to_owned())]);
        Self { case, seen }
    }

    pub(super) fn noted(case: String, seen: Value, masks: &Masks) -> Self {
        let seen = masks.json(seen).to_string();
        let seen = BTreeMap::from([("seen".to_owned(), seen)]);
        Self { case, seen }
    }
}

impl Masks {
    pub(super) fn of(server: &Server) -> Self {
        let port = server.base.rsplit(':').next().unwrap().to_owned();
        Self {
            base: server.base.clone(),
            port,
            people: [
                (server.admin.name.clone(), "{admin}"),
                (server.user.name.clone(), "{user}"),
                (server.viewer.name.clone(), "{viewer}"),
            ],
        }
    }

    fn text(&self, text: &str) -> String {
        let mut text = text.replace(&self.base, "{base}");
        for (name, mask) in &self.people {
            if text == *name {
                return (*mask).to_owned();
            }
            for end in ["&", "\""] {
                text = text.replace(&format!("={name}{end}"), &format!("={mask}{end}"));
            }
            if let Some(before) = text.strip_suffix(&format!("={name}")) {
                text = format!("{before}={mask}");
            }
        }
        without_tokens(&text)
    }

    /// Name and attributes; the value is a secret or a time.
    fn cookie(&self, line: &str) -> (String, String) {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let port = format!("_P{}", self.port);
        let name = name.replacen(&port, "_P{port}", 1);
        let mut attributes: Vec<_> = parts
            .map(|attribute| match attribute.split_once('=') {
                Some((name, _)) if name.eq_ignore_ascii_case("expires") => "kept".to_owned(),
                Some((name, _)) if name.eq_ignore_ascii_case("max-age") => "kept".to_owned(),
                _ => attribute.to_owned(),
            })
            .collect();
        attributes.sort();
        attributes.dedup();
        if value.is_empty() {
            attributes.push("removed".to_owned());
        }
        (name, attributes.join("; "))
    }

    fn body(&self, answer: &Response) -> String {
        let kind = answer.headers.get("content-type");
        let kind = kind.map_or("", |kind| kind.to_str().unwrap());
        if answer.body.is_empty() {
            "nothing".to_owned()
        } else if kind.starts_with("application/json") {
            self.json(answer.json()).to_string()
        } else if kind.starts_with("text/html") {
            "a page".to_owned()
        } else {
            answer.text().to_owned()
        }
    }

    pub(super) fn json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(all) => all.into_iter().map(|one| self.json(one)).collect(),
            Value::Object(members) => Value::Object(self.object(members)),
            other => other,
        }
    }

    fn object(&self, members: Map<String, Value>) -> Map<String, Value> {
        // What was added to the contract does not disturb those who do not know it.
        let mut members: Vec<_> = members
            .into_iter()
            .filter(|(name, _)| !matches!(name.as_str(), "latchkey" | "code" | "request_id"))
            .collect();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        let masked = members.into_iter().map(|(name, value)| {
            let value = match (name.as_str(), value) {
                ("error", Value::String(_)) => json!("{text}"),
                // Where an address belongs is for the configuration to say.
                ("_is_external_client", Value::Bool(_)) => json!("{yes or no}"),
                ("text", Value::String(text)) if text.starts_with("OctoPrint 1.11.8") => {
                    json!("OctoPrint 1.11.8")
                }
                ("session", Value::String(_)) => json!("{session}"),
                ("_credentials_seen", Value::String(_)) => json!("{time}"),
                // Whether a person has a key of their own is not the server's doing.
                ("apikey", _) => json!("{text or null}"),
                ("entropy", Value::Number(_)) => json!("{number}"),
                ("settings", Value::Object(_)) => json!("{settings}"),
                ("permissions", Value::Array(all)) => only(all, &PERMISSIONS),
                ("role", Value::Array(all)) => only(all, &NEEDS),
                ("groups" | "roles" | "group", Value::Array(all)) => sorted(all),
                ("keys", Value::Array(all)) => {
                    let all = all.into_iter().map(|one| self.json(one));
                    sorted(all.collect())
                }
                (_, value) => self.json(value),
            };
            (without_tokens(&name), value)
        });
        masked.collect()
    }
}

fn normal(field: &str, value: &str) -> String {
    match field {
        "expires" if value.ends_with("GMT") || value.contains(':') => "{time}".to_owned(),
        "content-type" => value
            .to_ascii_lowercase()
            .replace("; ", ";")
            .replace("text/plain;charset=utf-8", "text/plain"),
        // A set.
        "vary" => {
            let mut names: Vec<_> = value
                .split(',')
                .map(|name| name.trim().to_ascii_lowercase())
                .collect();
            names.sort();
            names.dedup();
            names.join(", ")
        }
        _ => value.to_owned(),
    }
}

/// What a server may or may not escape in a query, to nobody's loss.
fn readable(url: &str) -> String {
    let escapes = [
        ("%2F", "/"),
        ("%3F", "?"),
        ("%3D", "="),
        ("%26", "&"),
        ("%3A", ":"),
    ];
    let mut text = url.to_owned();
    for (escape, character) in escapes {
        text = text
            .replace(escape, character)
            .replace(&escape.to_lowercase(), character);
    }
    text
}

fn only(all: Vec<Value>, known: &[&str]) -> Value {
    let kept = all
        .into_iter()
        .filter(|one| one.as_str().is_some_and(|one| known.contains(&one)));
    sorted(kept.collect())
}

fn sorted(mut all: Vec<Value>) -> Value {
    all.sort_by_key(Value::to_string);
    Value::Array(all)
}

fn without_tokens(text: &str) -> String {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut masked = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(run);
        masked.push_str(if word.len() == TOKEN { "{token}" } else { word });
        let other = after.find(part).unwrap_or(after.len());
        let (between, after) = after.split_at(other);
        let _ = write!(masked, "{between}");
        rest = after;
    }
    masked
}
