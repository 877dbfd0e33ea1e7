//! What a request asks of a printer's server, by its method and path: those of `OctoPrint`,
//! Moonraker and `PrusaLink`. Nothing of a body, and of a path no more than the kind.

use ::http::header::{CONTENT_TYPE, LOCATION};
use ::http::{HeaderMap, Method, StatusCode};
use latchkey_model::activity::{Did, file_name};
use percent_encoding::percent_decode_str;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    did: Did,
    /// The file's name, where the path says it.
    name: Option<String>,
}

/// Of what a request is, nothing if it is nothing to tell.
pub(super) fn asked(method: &Method, path: &str, websocket: bool) -> Option<Asked> {
    let lower = path.to_ascii_lowercase();
    let did = if websocket {
        Did::Read
    } else {
        kind(method, &lower)?
    };
    let in_path = did == Did::Upload && lower.starts_with("/api/v1/files/");
    let name = if in_path { last(path) } else { None };
    Some(Asked { did, name })
}

fn kind(method: &Method, path: &str) -> Option<Did> {
    match *method {
        Method::GET | Method::HEAD => Some(read(path)),
        Method::DELETE => Some(delete(path)),
        Method::POST | Method::PUT | Method::PATCH => Some(change(method, path)),
        _ => None,
    }
}

fn read(path: &str) -> Did {
    let listed = ["list", "metadata", "roots", "directory", "thumbnails"];
    if ["webcam", "snapshot", "/camera"]
        .iter()
        .any(|part| path.contains(part))
    {
        Did::Picture
    } else if path.starts_with("/downloads/files/") {
        Did::Download
    } else if let Some(rest) = path.strip_prefix("/server/files/")
        && !listed.iter().any(|word| rest.starts_with(word))
    {
        Did::Download
    } else {
        Did::Read
    }
}

fn delete(path: &str) -> Did {
    if path.starts_with("/api/v1/job") {
        Did::Cancel
    } else if ["/api/files/", "/api/v1/files/", "/server/files/"]
        .iter()
        .any(|files| path.starts_with(files))
    {
        Did::Delete
    } else {
        Did::Control
    }
}

fn change(method: &Method, path: &str) -> Did {
    match path {
        "/api/files/local" | "/api/files/sdcard" | "/server/files/upload" => return Did::Upload,
        "/api/job" => return Did::Job,
        "/printer/print/start" => return Did::Start,
        "/printer/print/pause" => return Did::Pause,
        "/printer/print/resume" => return Did::Resume,
        "/printer/print/cancel" => return Did::Cancel,
        // Signing in, and asking in several steps.
        "/api/login" | "/api/logout" | "/access/login" => return Did::Read,
        _ => {}
    }
    if path.starts_with("/api/v1/files/") {
        return if method == Method::PUT {
            Did::Upload
        } else {
            Did::Start
        };
    }
    if path.starts_with("/api/v1/job") {
        return match path.rsplit('/').next() {
            Some("pause") => Did::Pause,
            Some("resume" | "continue") => Did::Resume,
            _ => Did::Job,
        };
    }
    // A file is chosen, or printed.
    if path.starts_with("/api/files/") {
        return Did::Job;
    }
    let reading = ["/sockjs/", "/plugin/appkeys/", "/server/jsonrpc"];
    if reading.iter().any(|start| path.starts_with(start)) {
        return Did::Read;
    }
    Did::Control
}

impl Asked {
    /// What was done by this answer, with the file's name if it is known. Nothing, if the
    /// printer's server did not do it.
    pub(crate) fn answered(
        self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<(Did, Option<String>)> {
        if status.is_client_error() || status.is_server_error() {
            return None;
        }
        if is_running_picture(headers) {
            return Some((Did::Camera, None));
        }
        let name = match self.name {
            Some(name) => Some(name),
            // OctoPrint says where the new file is.
            None if self.did == Did::Upload && status == StatusCode::CREATED => {
                let place = headers.get(LOCATION);
                place.and_then(|place| last(place.to_str().ok()?))
            }
            None => None,
        };
        Some((self.did, name))
    }
}

/// Whether an answer is a camera's running picture.
pub(crate) fn is_running_picture(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("multipart/x-mixed-replace")
    })
}

/// The last part of a path, decoded.
fn last(path: &str) -> Option<String> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    file_name(&percent_decode_str(name).decode_utf8_lossy())
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    fn did(method: &str, path: &str) -> Option<Did> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        asked(&method, path, false).map(|asked| asked.did)
    }

    #[test]
    fn requests_are_of_the_kinds_that_people_know() {
        for (method, path, kind) in [
            ("GET", "/api/printer", Did::Read),
            ("GET", "/", Did::Read),
            ("GET", "/webcam/?action=snapshot", Did::Picture),
            ("GET", "/downloads/files/local/a.gcode", Did::Download),
            ("GET", "/server/files/gcodes/a.gcode", Did::Download),
            ("GET", "/server/files/list", Did::Read),
            ("POST", "/api/files/local", Did::Upload),
            ("POST", "/API/Files/Local", Did::Upload),
            ("POST", "/api/files/local/a.gcode", Did::Job),
            ("POST", "/server/files/upload", Did::Upload),
            ("PUT", "/api/v1/files/usb/a.gcode", Did::Upload),
            ("POST", "/api/v1/files/usb/a.gcode", Did::Start),
            ("DELETE", "/api/v1/files/usb/a.gcode", Did::Delete),
            ("DELETE", "/api/files/local/a.gcode", Did::Delete),
            ("PUT", "/api/v1/job/7/pause", Did::Pause),
            ("PUT", "/api/v1/job/7/resume", Did::Resume),
            ("DELETE", "/api/v1/job/7", Did::Cancel),
            ("POST", "/api/job", Did::Job),
            ("POST", "/printer/print/start", Did::Start),
            ("POST", "/printer/print/cancel", Did::Cancel),
            ("POST", "/printer/gcode/script", Did::Control),
            ("POST", "/api/printer/tool", Did::Control),
            ("POST", "/sockjs/1/a/xhr_streaming", Did::Read),
            ("POST", "/api/login", Did::Read),
        ] {
            assert_eq!(did(method, path), Some(kind), "{method} {path}");
        }
        assert_eq!(did("OPTIONS", "/api/job"), None);
        let socket = asked(&Method::GET, "/websocket", true).unwrap();
        assert_eq!(socket.did, Did::Read);
    }

    fn answer(fields: &[(http::HeaderName, &str)]) -> HeaderMap {
        let fields = fields.iter();
        let fields =
            fields.map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        fields.collect()
    }

    #[test]
    fn what_failed_was_not_done_and_a_running_picture_is_one_wherever_it_comes_from() {
        let upload = || asked(&Method::POST, "/api/files/local", false).unwrap();
        for status in [StatusCode::FORBIDDEN, StatusCode::BAD_GATEWAY] {
            assert_eq!(upload().answered(status, &HeaderMap::new()), None);
        }
        let place = answer(&[(
            LOCATION,
            "http://octopi.local/api/files/local/spiral%20vase.gcode",
        )]);
        assert_eq!(
            upload().answered(StatusCode::CREATED, &place),
            Some((Did::Upload, Some("spiral vase.gcode".to_owned())))
        );
        assert_eq!(
            upload().answered(StatusCode::CREATED, &HeaderMap::new()),
            Some((Did::Upload, None))
        );
        let put = asked(&Method::PUT, "/api/v1/files/usb/Vase.gcode", false).unwrap();
        assert_eq!(
            put.answered(StatusCode::CREATED, &HeaderMap::new()),
            Some((Did::Upload, Some("Vase.gcode".to_owned())))
        );
        let running = answer(&[(CONTENT_TYPE, "Multipart/X-Mixed-Replace; boundary=x")]);
        let odd = asked(&Method::GET, "/odd/place", false).unwrap();
        assert_eq!(
            odd.answered(StatusCode::OK, &running),
            Some((Did::Camera, None))
        );
    }
}
