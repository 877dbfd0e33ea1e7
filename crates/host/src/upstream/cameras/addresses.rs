//! Which addresses are of one and the same running picture.

use http::Uri;

/// The address of a picture without what makes each wish for it another one: what browsers add
/// against their memory, and the frames in a second, which are the relay's business.
pub(super) fn plain(uri: &Uri) -> Option<Uri> {
    let query = uri.query().unwrap_or_default();
    let pairs = query.split('&');
    let kept = pairs.filter(|pair| !is_for_the_relay(pair) && !is_against_caches(pair));
    with_query(uri, &kept.collect::<Vec<_>>().join("&"))
}

/// The address of the running picture that a single one is of, in the manner of mjpg-streamer.
pub(super) fn running_of(uri: &Uri) -> Option<Uri> {
    let query = uri.query()?;
    let pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !is_against_caches(pair))
        .collect();
    if !pairs.contains(&"action=snapshot") {
        return None;
    }
    let pairs = pairs.into_iter().map(|pair| match pair {
        "action=snapshot" => "action=stream",
        pair => pair,
    });
    with_query(uri, &pairs.collect::<Vec<_>>().join("&"))
}

/// Whether an address looks like one of a running picture, at a camera or at the printer's server.
/// To be wrong costs a question or a stream more, and shows nobody anything.
pub(super) fn looks_running(path: &str, query: Option<&str>, at_camera: bool) -> bool {
    let path = path.to_ascii_lowercase();
    let query = query.unwrap_or_default().to_ascii_lowercase();
    let named = |text: &str| {
        ["stream", "mjpg", "mjpeg"]
            .iter()
            .any(|word| text.contains(word))
    };
    if at_camera {
        return named(&path) || named(&query);
    }
    // Files of a printer have all kinds of names.
    query.split('&').any(|pair| pair == "action=stream")
        || (path.starts_with("/webcam") && named(&path))
}

fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let path = uri.path();
    let whole = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    };
    parts.path_and_query = Some(whole.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// The frames in a second that a caller wants.
fn is_for_the_relay(pair: &str) -> bool {
    let value = pair.strip_prefix("fps=");
    value.is_some_and(|value| {
        value
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

/// A number that is another one each time: a moment, or a random one.
fn is_against_caches(pair: &str) -> bool {
    const NAMES: [&str; 12] = [
        "",
        "_",
        "_t",
        "t",
        "ts",
        "cb",
        "time",
        "timestamp",
        "rand",
        "random",
        "nocache",
        "cachebust",
    ];
    let is_number = |text: &str| {
        let digits = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        text.len() >= 10 && text.bytes().all(digits)
    };
    match pair.split_once('=') {
        Some((name, value)) => {
            NAMES.contains(&name.to_ascii_lowercase().as_str()) && is_number(value)
        }
        None => is_number(pair),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_for_one_picture_have_one_address() {
        for (asked, plain_one) in [
            ("/?action=stream", "/?action=stream"),
            ("/?action=stream&1764138000123", "/?action=stream"),
            ("/?1764138000123&action=stream&fps=5", "/?action=stream"),
            ("/?action=stream&fps=2.5&_=0.4711081547", "/?action=stream"),
            ("/stream?cacheBust=1764138000123", "/stream"),
            ("/stream?fps=", "/stream"),
            ("/stream", "/stream"),
            // What may be meant by the camera stays.
            ("/?action=stream&t=3", "/?action=stream&t=3"),
            ("/stream?token=1764138000123", "/stream?token=1764138000123"),
            ("/stream?fps=a", "/stream?fps=a"),
            ("/stream?res=640x480&&a", "/stream?res=640x480&&a"),
        ] {
            let uri: Uri = format!("http://127.0.0.1:8080{asked}").parse().unwrap();
            let found = plain(&uri).unwrap();
            assert_eq!(
                found.to_string(),
                format!("http://127.0.0.1:8080{plain_one}"),
                "{asked}"
            );
        }
    }

    #[test]
    fn a_single_picture_is_of_the_running_one_beside_it() {
        for (single, running) in [
            ("/?action=snapshot", Some("/?action=stream")),
            ("/?action=snapshot&1764138000123", Some("/?action=stream")),
            ("/c?a=1&action=snapshot", Some("/c?a=1&action=stream")),
            ("/?action=snapshots", None),
            ("/snapshot", None),
        ] {
            let uri: Uri = format!("http://127.0.0.1:8080{single}").parse().unwrap();
            let expected = running.map(|path| format!("http://127.0.0.1:8080{path}"));
            let found = running_of(&uri).map(|uri| uri.to_string());
            assert_eq!(found, expected, "{single}");
        }
    }

    #[test]
    fn a_running_picture_is_told_from_files() {
        for (path, query, at_camera, at_server) in [
            ("/webcam/", Some("action=stream"), true, true),
            ("/cam/", Some("a=b&action=stream"), true, true),
            ("/webcam/stream.mjpg", None, true, true),
            ("/stream", None, true, false),
            ("/api/files/local/streamer.gcode", None, true, false),
            ("/webcam/", Some("action=snapshot"), false, false),
            ("/webcam/", None, false, false),
            ("/api/version", None, false, false),
        ] {
            assert_eq!(looks_running(path, query, true), at_camera, "{path}");
            assert_eq!(looks_running(path, query, false), at_server, "{path}");
        }
    }
}
