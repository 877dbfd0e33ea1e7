//! How a host says that a running picture can be shown to several callers at once.
//!
//! The relay tells the host with a request that it can show one picture to many. Where the picture
//! is one that the camera shows to anybody, the host answers such a request by a field alone: this
//! caller may see the picture with that name. The relay fetches each name once. An answer of the
//! printer's own never carries the field, because the host removes names with our prefix.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The response field with which a host lets a caller see a picture.
pub const SHARED_CAMERA: HeaderName = HeaderName::from_static("latchkey-camera");

/// Longest name of a picture.
const LONGEST: usize = 64;

/// What of a picture a caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// All of it, while it runs.
    Stream,
    /// The newest one out of it.
    Picture,
}

/// A caller may see a picture that others see too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedCamera {
    /// By what the host knows the picture.
    pub name: String,
    /// What of it was asked for.
    pub shows: Shows,
    /// Whether the answer's body goes on for as long as the caller may see it: what let the caller
    /// in can end at the host.
    pub held: bool,
}

impl SharedCamera {
    /// The value of the field; nothing if the name is none.
    pub fn to_value(&self) -> Option<HeaderValue> {
        let shows = match self.shows {
            Shows::Stream => "stream",
            Shows::Picture => "picture",
        };
        let held = if self.held { " held" } else { "" };
        if !is_name(&self.name) {
            return None;
        }
        HeaderValue::try_from(format!("{} {shows}{held}", self.name)).ok()
    }

    /// Reads and removes the field. What is not understood is nothing.
    pub fn take(headers: &mut HeaderMap) -> Option<Self> {
        let value = headers.remove(SHARED_CAMERA)?;
        let mut words = value.to_str().ok()?.split(' ');
        let name = words.next().filter(|name| is_name(name))?.to_owned();
        let shows = match words.next()? {
            "stream" => Shows::Stream,
            "picture" => Shows::Picture,
            _ => return None,
        };
        let held = match words.next() {
            None => false,
            Some("held") => true,
            Some(_) => return None,
        };
        Some(Self { name, shows, held })
    }
}

/// Whether this can be the name of a picture.
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_heard_and_nothing_else_is() {
        for (name, shows, held) in [
            ("a", Shows::Stream, false),
            ("b-2_C", Shows::Stream, true),
            ("c", Shows::Picture, false),
        ] {
            let said = SharedCamera {
                name: name.to_owned(),
                shows,
                held,
            };
            let mut headers = HeaderMap::new();
            headers.insert(SHARED_CAMERA, said.to_value().unwrap());
            assert_eq!(SharedCamera::take(&mut headers), Some(said));
            assert!(headers.is_empty());
        }
        for value in ["", "a", "a film", "a stream hold", "a/b stream", " stream"] {
            let mut headers = HeaderMap::new();
            headers.insert(SHARED_CAMERA, HeaderValue::from_static(value));
            assert_eq!(SharedCamera::take(&mut headers), None, "{value}");
            assert!(headers.is_empty(), "it goes no further");
        }
        assert_eq!(SharedCamera::take(&mut HeaderMap::new()), None);
        let nameless = SharedCamera {
            name: "a b".to_owned(),
            shows: Shows::Stream,
            held: false,
        };
        assert_eq!(nameless.to_value(), None);
    }
}
