//! How a server may read a path that it is sent.

use std::borrow::Cow;

/// All ways in which a path may be understood, in lower case and without its last slash; `None`
/// where servers could disagree about more than that.
///
/// Two disagreements are allowed. Apps write folders of files with encoded slashes, which may
/// separate or not: without `..` or empty segments either reading stays below what precedes it.
/// And Home Assistant asks OctoPrint for `//api/printer/bed`, which is one slash too many or an
/// authority before the path.
pub(super) fn readings(path: &str) -> Option<Vec<String>> {
    let Some(path) = path.strip_prefix("//") else {
        return single_readings(path);
    };
    let (_, after_authority) = path.split_once('/').unwrap_or((path, ""));
    let mut readings = single_readings(&format!("/{path}"))?;
    readings.extend(single_readings(&format!("/{after_authority}"))?);
    Some(readings)
}

fn single_readings(path: &str) -> Option<Vec<String>> {
    if !path.starts_with('/') {
        return None;
    }
    let decoded = decode(path)?;
    if !is_plain(&decoded) {
        return None;
    }
    let mut readings = vec![normal(&decoded)];
    if decoded.matches('/').count() != path.matches('/').count() {
        readings.push(normal(&decode_segments(path)?));
    }
    // Names of files may end with blanks, and a server may take them off.
    let trimmed: Vec<String> = readings.iter().map(|reading| trim(reading)).collect();
    readings.extend(trimmed);
    readings.dedup();
    Some(readings)
}

/// Percent-decodes once.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let mut rest = text.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, after @ ..] = after else {
            return None;
        };
        bytes.push(digit(*high)? << 4 | digit(*low)?);
        rest = after;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Decodes without making an encoded slash a separator.
fn decode_segments(path: &str) -> Option<String> {
    let segments: Option<Vec<String>> = path
        .split('/')
        .map(|segment| Some(decode(segment)?.replace('/', "\u{2215}")))
        .collect();
    Some(segments?.join("/"))
}

/// Whether a decoded path means the same to every server.
fn is_plain(decoded: &str) -> bool {
    let suspicious =
        |character: char| matches!(character, ';' | '\\' | '?' | '#') || character.is_control();
    if decoded.contains(suspicious) || has_escape(decoded) {
        return false;
    }
    let inner = decoded.strip_prefix('/').unwrap_or(decoded);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    inner.is_empty()
        || inner
            .split('/')
            .all(|segment| !matches!(segment.trim(), "" | "." | ".."))
}

/// Whether decoding once more would change it.
fn has_escape(decoded: &str) -> bool {
    decoded.as_bytes().windows(3).any(|bytes| {
        bytes[0] == b'%' && bytes[1].is_ascii_hexdigit() && bytes[2].is_ascii_hexdigit()
    })
}

fn normal(path: &str) -> String {
    let path = path.to_lowercase();
    match path.strip_suffix('/') {
        Some("") | None => path,
        Some(path) => path.to_owned(),
    }
}

fn trim(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').map(str::trim).collect();
    segments.join("/")
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
