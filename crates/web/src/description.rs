//! An OpenAPI document as facts for a page: what is called, with what, and how it ends.

use serde_json::Value;

/// How deep members of members are listed.
const DEEPEST: usize = 4;

/// A whole document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub title: String,
    pub about: Prose,
    pub groups: Vec<Group>,
}

/// Calls that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub about: Prose,
    pub calls: Vec<Call>,
}

/// One method at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub summary: String,
    pub about: Prose,
    /// The field, or what else it needs.
    pub needs: Vec<String>,
    /// What stands in the path, the query or the head.
    pub parameters: Vec<Member>,
    pub body: Option<Body>,
    pub answers: Vec<Answer>,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub about: Prose,
    pub members: Vec<Member>,
    pub example: Option<String>,
}

/// One way in which a call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: String,
    pub about: Prose,
    pub members: Vec<Member>,
    pub example: Option<String>,
}

/// A member of a JSON object, or a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// With the names of what it is in, as in `Result.PrinterName`.
    pub name: String,
    pub kind: String,
    pub required: bool,
    pub about: Prose,
}

/// Text with names in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prose(pub Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Words(String),
    Name(String),
}

impl Prose {
    /// What stands between backticks is a name.
    fn of(text: &str) -> Self {
        let pieces = text.split('`').enumerate().map(|(at, piece)| {
            let piece = piece.to_owned();
            if at % 2 == 0 {
                Piece::Words(piece)
            } else {
                Piece::Name(piece)
            }
        });
        let empty = |piece: &Piece| matches!(piece, Piece::Words(words) if words.is_empty());
        Self(pieces.filter(|piece| !empty(piece)).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Description {
    /// Reads an OpenAPI document as we make them.
    pub fn of(document: &Value) -> Self {
        let reading = Reading(document);
        let groups = items(&document["tags"]).map(|tag| {
            let name = text(&tag["name"]);
            Group {
                calls: reading.calls(&name),
                about: Prose::of(&text(&tag["description"])),
                name,
            }
        });
        Self {
            title: text(&document["info"]["title"]),
            about: Prose::of(&text(&document["info"]["description"])),
            groups: groups.collect(),
        }
    }
}

struct Reading<'d>(&'d Value);

impl Reading<'_> {
    fn calls(&self, tag: &str) -> Vec<Call> {
        let mut calls = Vec::new();
        for (path, item) in members(&self.0["paths"]) {
            for (method, call) in members(item) {
                if items(&call["tags"]).any(|named| named == tag) {
                    calls.push(self.call(path, method, call));
                }
            }
        }
        calls
    }

    fn call(&self, path: &str, method: &str, call: &Value) -> Call {
        let needs = items(&call["security"]).flat_map(members);
        let schemes = &self.0["components"]["securitySchemes"];
        let needs = needs.map(|(scheme, _)| match schemes[scheme]["name"].as_str() {
            Some(name) => name.to_owned(),
            None => scheme.to_owned(),
        });
        let body = &call["requestBody"];
        let content = json(&body["content"]);
        Call {
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(&call["summary"]),
            about: Prose::of(&text(&call["description"])),
            needs: needs.collect(),
            parameters: self.parameters(&call["parameters"]),
            body: body.is_object().then(|| Body {
                about: Prose::of(&text(&body["description"])),
                members: self.members_of(&content["schema"]),
                example: example(content),
            }),
            answers: members(&call["responses"])
                .map(|(status, answer)| self.answer(status, answer))
                .collect(),
        }
    }

    fn answer(&self, status: &str, answer: &Value) -> Answer {
        let content = json(&answer["content"]);
        Answer {
            status: status.to_owned(),
            about: Prose::of(&text(&answer["description"])),
            members: self.members_of(&content["schema"]),
            example: example(content),
        }
    }

    fn parameters(&self, parameters: &Value) -> Vec<Member> {
        let listed = items(parameters).map(|one| Member {
            name: text(&one["name"]),
            kind: format!("{}, {}", text(&one["in"]), self.kind(&one["schema"])),
            required: one["required"] == true,
            about: Prose::of(&text(&one["description"])),
        });
        listed.collect()
    }

    fn members_of(&self, schema: &Value) -> Vec<Member> {
        let mut found = Vec::new();
        self.collect("", schema, DEEPEST, &mut found);
        found
    }

    fn collect(&self, within: &str, schema: &Value, deeper: usize, found: &mut Vec<Member>) {
        let schema = self.resolved(schema);
        if deeper == 0 {
            return;
        }
        for part in items(&schema["allOf"]) {
            self.collect(within, part, deeper, found);
        }
        if schema["items"].is_object() {
            self.collect(within, &schema["items"], deeper, found);
        }
        for (name, member) in members(&schema["properties"]) {
            let full = match within {
                "" => name.to_owned(),
                within => format!("{within}.{name}"),
            };
            // What is flattened stands there twice, and is told once.
            let known = found.iter().any(|one: &Member| {
                one.name == full || (within.is_empty() && one.name.ends_with(&format!(".{name}")))
            });
            if known {
                continue;
            }
            found.push(Member {
                kind: self.kind(member),
                required: items(&schema["required"]).any(|one| one == name),
                about: Prose::of(&text(&member["description"])),
                name: full.clone(),
            });
            self.collect(&full, member, deeper - 1, found);
        }
    }

    fn kind(&self, schema: &Value) -> String {
        let schema = self.resolved(schema);
        if let Some(words) = schema["enum"].as_array() {
            let words: Vec<_> = words.iter().map(text).collect();
            return words.join(", ");
        }
        match &schema["type"] {
            Value::String(kind) if kind == "array" => {
                format!("list of {}", self.kind(&schema["items"]))
            }
            Value::String(kind) => kind.clone(),
            Value::Array(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(text).collect();
                kinds.join(" or ")
            }
            _ => {
                let choices = items(&schema["oneOf"]).map(|one| self.kind(one));
                let choices: Vec<_> = choices.collect();
                if choices.is_empty() {
                    "object".to_owned()
                } else {
                    choices.join(" or ")
                }
            }
        }
    }

    fn resolved<'v>(&'v self, schema: &'v Value) -> &'v Value {
        let name = schema["$ref"].as_str();
        match name.and_then(|name| name.strip_prefix('#')) {
            Some(pointer) => self.0.pointer(pointer).unwrap_or(schema),
            None => schema,
        }
    }
}

/// The content of the first type there is; ours have one.
fn json(content: &Value) -> &Value {
    let first = members(content).next();
    first.map_or(&Value::Null, |(_, content)| content)
}

fn example(content: &Value) -> Option<String> {
    let example = match &content["example"] {
        Value::Null => members(&content["examples"])
            .next()
            .map(|(_, one)| &one["value"])?,
        example => example,
    };
    Some(match example {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).expect("a value is printable"),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let map = value.as_object().into_iter().flatten();
    map.map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_read_whole() {
        let document = json!({
            "info": {"title": "T", "description": "Says `x` here."},
            "tags": [{"name": "A", "description": ""}, {"name": "B", "description": ""}],
            "paths": {"/p/{id}": {"post": {
                "tags": ["A"], "summary": "Do it", "description": "Now.",
                "security": [{"token": []}],
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ask"}}}},
                "responses": {
                    "200": {"description": "Yes.", "content": {"application/json": {
                        "schema": {"allOf": [{"$ref": "#/components/schemas/Ask"}, {"properties": {"more": {"type": "array", "items": {"type": "string"}}}}]},
                        "example": {"a": 1}
                    }}},
                    "604": {"description": "Ended."}
                }
            }}},
            "components": {
                "securitySchemes": {"token": {"name": "AppToken"}},
                "schemas": {
                    "Ask": {"type": "object", "required": ["a"], "properties": {
                        "a": {"type": ["string", "null"], "description": "Why."},
                        "in": {"$ref": "#/components/schemas/In"}
                    }},
                    "In": {"type": "object", "properties": {"deep": {"enum": ["u", "v"]}}}
                }
            }
        });
        let read = Description::of(&document);
        let name = Piece::Name("x".to_owned());
        assert!(read.about.0.contains(&name), "{:?}", read.about);
        assert_eq!(read.groups[1].calls, []);
        let call = &read.groups[0].calls[0];
        assert_eq!(
            (call.method.as_str(), call.path.as_str()),
            ("POST", "/p/{id}")
        );
        assert_eq!(call.needs, ["AppToken"]);
        assert_eq!(call.parameters[0].kind, "path, string");
        let members: Vec<_> = call.body.as_ref().unwrap().members.iter().collect();
        let listed: Vec<_> = members
            .iter()
            .map(|one| (one.name.as_str(), one.kind.as_str(), one.required))
            .collect();
        assert_eq!(
            listed,
            [
                ("a", "string or null", true),
                ("in", "object", false),
                ("in.deep", "u, v", false)
            ]
        );
        let good = &call.answers[0];
        assert_eq!(good.example.as_deref(), Some("{\n  \"a\": 1\n}"));
        assert_eq!(good.members.last().unwrap().kind, "list of string");
        assert_eq!(call.answers[1].status, "604");
    }
}
