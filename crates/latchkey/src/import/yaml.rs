//! Reading one of OctoPrint's YAML files.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::Found;

/// More than any real one has; a file of another kind is not read whole.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The file's content. A missing file is nothing; a broken one is noted.
pub(super) fn read(path: &Path, found: &mut Found) -> Option<Value> {
    let what = shown(path);
    let text = std::fs::metadata(path).and_then(|meta| {
        if meta.len() > LONGEST {
            return Err(std::io::Error::other("it is far too large"));
        }
        std::fs::read_to_string(path)
    });
    let text = match text {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            found.leave(what, format!("cannot be read: {error}"));
            return None;
        }
    };
    if text.trim().is_empty() {
        return None;
    }
    match serde_saphyr::from_str(&text) {
        Ok(value) => Some(value),
        Err(error) => {
            found.leave(what, format!("is not valid YAML: {}", place(&error)));
            None
        }
    }
}

/// Where and why. Not the lines themselves, which may hold keys.
fn place(error: &serde_saphyr::Error) -> String {
    let why = error.without_snippet().to_string();
    match error.location() {
        Some(at) if !why.contains("line") => {
            format!("line {}, column {}: {why}", at.line(), at.column())
        }
        _ => why,
    }
}

/// A path as text for people.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
