//! A browser: it keeps cookies, and sends the forms of the page it shows.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::body::{Body, to_bytes};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use tower::ServiceExt;

use super::{Bench, PASSWORD};
use crate::pages::paths;
use crate::pages::visit::Arrival;

pub(crate) struct Browser<'a> {
    bench: &'a Bench,
    pub(crate) address: IpAddr,
    pub(crate) agent: &'static str,
    /// What it says of the page that a form was on.
    pub(crate) origin: &'static str,
    pub(crate) cookies: BTreeMap<String, String>,
    /// The token of the last page that had one.
    pub(crate) token: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// Where the browser is sent.
    pub(crate) fn location(&self) -> &str {
        let location = self.headers.get(LOCATION);
        location.map_or("", |location| location.to_str().unwrap())
    }

    /// What follows `before` on the page, up to the next quote or tag.
    pub(crate) fn after(&self, before: &str) -> &str {
        let found = self.text.split_once(before);
        let (_, rest) = found.unwrap_or_else(|| panic!("no {before:?} in {}", self.text));
        rest.split(['"', '<']).next().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
    }

    /// It is sent on to this place.
    #[track_caller]
    pub(crate) fn leads_to(&self, location: &str) {
        assert_eq!(
            (self.status, self.location()),
            (StatusCode::SEE_OTHER, location)
        );
    }

    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        assert!(self.text.contains(text), "no {text:?} in {}", self.text);
    }
}

impl<'a> Browser<'a> {
    pub(super) fn new(bench: &'a Bench, address: IpAddr) -> Self {
        Self {
            bench,
            address,
            agent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
            origin: "https://relay.example.net",
            cookies: BTreeMap::new(),
            token: String::new(),
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, String::new()).await
    }

    /// Sends a form with the token of the page that is shown.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let token = self.token.clone();
        self.post_with(&token, path, fields).await
    }

    pub(crate) async fn post_with(
        &mut self,
        token: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Reply {
        let all = [("csrf_token", token)].into_iter();
        let body = all
            .chain(fields.iter().copied())
            .fold(String::from("?"), |body, (name, value)| {
                paths::with(&body, name, value)
            });
        let body = body.trim_start_matches(['?', '&']).to_owned();
        self.send(Method::POST, path, body).await
    }

    /// Sends what a script of the page that is shown would.
    pub(crate) async fn post_json(&mut self, path: &str, body: &serde_json::Value) -> Reply {
        let mut body = body.clone();
        body["csrf_token"] = self.token.clone().into();
        self.send_text("application/json", path, body.to_string())
            .await
    }

    /// Opens a page and sends the form on it.
    pub(crate) async fn fill(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.get(page).await.is(200);
        self.post(path, fields).await
    }

    pub(crate) async fn sign_in(&mut self, email: &str) {
        let fields = [("email", email), ("password", PASSWORD)];
        self.fill("/sign-in", "/sign-in", &fields)
            .await
            .leads_to("/printers");
    }

    /// Sends a form with a file in it.
    pub(crate) async fn upload(&mut self, path: &str, name: &str, file: &[u8]) -> Reply {
        let token = self.token.clone();
        let body = multipart(&token, name, file);
        let kind = "multipart/form-data; boundary=between";
        self.send_as(Method::POST, path, kind, body).await
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> Reply {
        let kind = "application/x-www-form-urlencoded";
        self.send_as(method, path, kind, body.into_bytes()).await
    }

    /// Sends a text of some other kind.
    pub(crate) async fn send_text(&mut self, kind: &str, path: &str, body: String) -> Reply {
        self.send_as(Method::POST, path, kind, body.into_bytes())
            .await
    }

    async fn send_as(&mut self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Reply {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header("user-agent", self.agent);
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        if method == Method::POST {
            request = request
                .header(CONTENT_TYPE, kind)
                .header(ORIGIN, self.origin);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(Arrival {
            address: self.address,
            request_id: "r-1".to_owned(),
        });
        let Ok(response) = self.bench.router.clone().oneshot(request).await;
        let (head, body) = response.into_parts();
        for cookie in head.headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let reply = Reply {
            status: head.status,
            headers: head.headers,
            // A picture is no text.
            text: String::from_utf8_lossy(&body).into_owned(),
        };
        if reply.text.contains("name=\"csrf_token\" value=\"") {
            self.token = reply.after("name=\"csrf_token\" value=\"").to_owned();
        }
        reply
    }
}

/// A form with its token and a file.
pub(crate) fn multipart(token: &str, name: &str, file: &[u8]) -> Vec<u8> {
    let field = |name: &str| {
        format!("--between\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n")
    };
    let mut body = field("csrf_token").into_bytes();
    body.extend(token.as_bytes());
    body.extend(b"\r\n");
    let file_name = format!("{name}\"; filename=\"file");
    body.extend(field(&file_name).into_bytes());
    body.extend(file);
    body.extend(b"\r\n--between--\r\n");
    body
}

/// A picture of this size.
pub(crate) fn picture(side: u32) -> Vec<u8> {
    let mut picture = Vec::new();
    let mut encoder = png::Encoder::new(&mut picture, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    let pixels = vec![9; (side * side) as usize];
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    picture
}
