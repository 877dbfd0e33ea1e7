//! The servers that are compared, and those who visit them.

use http::Method;
use serde_json::{Value, json};

use super::observe::{Masks, Row};
use crate::harness::http::{Cookies, Request, Response};

/// Somebody with a password at a server.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) password: String,
}

/// A server that speaks OctoPrint's access workflow, with three people whom both servers know under whatever names.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Without a slash at the end.
    pub(super) base: String,
    pub(super) admin: Person,
    pub(super) user: Person,
    /// May see, and may not grant.
    pub(super) viewer: Person,
}

/// One server, asked; and what it answered.
pub(super) struct Probe {
    pub(super) server: Server,
    pub(super) rows: Vec<Row>,
    section: &'static str,
    masks: Masks,
    visitors: u16,
}

/// Somebody at an address, with a browser's cookies once they have some.
#[derive(Clone)]
pub(super) struct Visitor {
    base: String,
    pub(super) address: String,
    pub(super) cookies: Cookies,
}

impl Person {
    pub(super) fn new(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
        }
    }
}

impl Probe {
    pub(super) fn new(server: Server) -> Self {
        Self {
            masks: Masks::of(&server),
            server,
            rows: Vec::new(),
            section: "",
            visitors: 0,
        }
    }

    /// The administrator, the ordinary user, and the one who may only look.
    pub(super) fn people(&self) -> [Person; 3] {
        [&self.server.admin, &self.server.user, &self.server.viewer].map(Clone::clone)
    }

    /// What the names of the cases that follow begin with.
    pub(super) fn section(&mut self, name: &'static str) {
        self.section = name;
    }

    /// Somebody new, at an address of their own: limits count by address.
    pub(super) fn visitor(&mut self) -> Visitor {
        self.visitors += 1;
        let (high, low) = (self.visitors / 250, self.visitors % 250 + 1);
        Visitor {
            base: self.server.base.clone(),
            address: format!("203.0.{high}.{low}"),
            cookies: Cookies::default(),
        }
    }

    /// Somebody new with a password, signed in just now.
    pub(super) async fn signed_in(&mut self, person: &Person) -> Visitor {
        let mut visitor = self.visitor();
        visitor.open("/login/").await;
        let answer = visitor.log_in(person, false).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        visitor
    }

    /// Somebody who was remembered: signed in, but not just now.
    pub(super) async fn remembered(&mut self, person: &Person) -> Visitor {
        let mut visitor = self.visitor();
        visitor.open("/login/").await;
        let answer = visitor.log_in(person, true).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        visitor
            .cookies
            .retain(|name, _| !name.starts_with("session"));
        visitor
    }

    /// Asks, and keeps the answer as the one to `case`.
    pub(super) async fn ask(&mut self, case: &str, request: Request) -> Option<Response> {
        let case = format!("{}: {case}", self.section);
        let Ok(answer) = request.try_send().await else {
            self.rows.push(Row::no_answer(case));
            return None;
        };
        let answer = answer.read().await;
        self.rows.push(Row::of(case, &answer, &self.masks));
        Some(answer)
    }

    /// Keeps something else that was observed.
    pub(super) fn note(&mut self, case: &str, seen: Value) {
        let case = format!("{}: {case}", self.section);
        self.rows.push(Row::noted(case, seen, &self.masks));
    }

    /// An app asks for a key, from an address of its own. Returns the tokens of app and, if `reader` sees it, user.
    pub(super) async fn request(&mut self, body: &Value) -> String {
        let app = self.visitor();
        let answer = app.post("/plugin/appkeys/request", body).send().await;
        let answer = answer.read().await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["app_token"].as_str().unwrap().to_owned()
    }

    /// A request of `app`, restricted to nobody, and its token for `person`.
    pub(super) async fn request_seen_by(
        &mut self,
        app: &str,
        person: &Visitor,
    ) -> (String, String) {
        let token = self.request(&json!({"app": app})).await;
        (token, person.pending(app).await.unwrap())
    }

    /// A key for `person`, by the whole workflow.
    pub(super) async fn key(&mut self, app: &str, person: &Visitor) -> String {
        let (token, user_token) = self.request_seen_by(app, person).await;
        let decided = person.decide(&user_token, &json!(true)).send().await;
        assert_eq!(decided.status(), 204);
        let fetched = person.fetch(&token).send().await.read().await;
        fetched.json()["api_key"].as_str().unwrap().to_owned()
    }
}

impl Visitor {
    pub(super) fn request(&self, method: Method, path: &str) -> Request {
        Request::new(method, format!("{}{path}", self.base))
            .header("X-Forwarded-For", &self.address)
            .cookies(&self.cookies)
    }

    /// The same address, without cookies.
    pub(super) fn bare(&self) -> Self {
        Self {
            cookies: Cookies::default(),
            ..self.clone()
        }
    }

    pub(super) fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// With the CSRF header, if there is a cookie for it.
    pub(super) fn post(&self, path: &str, body: &Value) -> Request {
        self.post_bare(path, body)
            .header_opt("X-CSRF-Token", self.csrf())
    }

    pub(super) fn post_bare(&self, path: &str, body: &Value) -> Request {
        self.request(Method::POST, path).json(body)
    }

    /// Any body, with the CSRF token.
    pub(super) fn post_typed(&self, path: &str, kind: &str, body: &str) -> Request {
        self.request(Method::POST, path)
            .header_opt("X-CSRF-Token", self.csrf())
            .body(kind, body.to_owned())
    }

    pub(super) fn csrf(&self) -> Option<&str> {
        self.cookies.find("csrf_token")
    }

    /// Opens a page and keeps its cookies.
    pub(super) async fn open(&mut self, path: &str) -> Response {
        let answer = self.get(path).send().await.read().await;
        self.learn(&answer);
        answer
    }

    pub(super) async fn log_in(&mut self, person: &Person, remember: bool) -> Response {
        let body = json!({"user": person.name, "pass": person.password, "remember": remember});
        let answer = self.post("/api/login", &body).send().await.read().await;
        self.learn(&answer);
        answer
    }

    pub(super) fn learn(&mut self, answer: &Response) {
        self.cookies.learn(&answer.headers);
        self.cookies.retain(|_, value| !value.is_empty());
    }

    /// The keys and the pending requests.
    pub(super) async fn listed(&self) -> Value {
        let answer = self.get("/api/plugin/appkeys").send().await;
        answer.read().await.json()
    }

    /// The user's token of the pending request of `app`.
    pub(super) async fn pending(&self, app: &str) -> Option<String> {
        let listed = self.listed().await;
        let pending = listed["pending"].as_object()?;
        let found = pending.iter().find(|(_, one)| one["app_id"] == app);
        found.map(|(token, _)| token.clone())
    }

    pub(super) fn decide(&self, user_token: &str, decision: &Value) -> Request {
        let path = format!("/plugin/appkeys/decision/{user_token}");
        self.post(&path, &json!({"decision": decision}))
    }

    /// Polls as an app does, without cookies.
    pub(super) fn fetch(&self, app_token: &str) -> Request {
        let url = format!("{}/plugin/appkeys/request/{app_token}", self.base);
        Request::get(url).header("X-Forwarded-For", &self.address)
    }
}
