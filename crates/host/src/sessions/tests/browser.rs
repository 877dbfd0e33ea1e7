//! A browser: it keeps cookies and sends them back.

use std::collections::BTreeMap;

use http::HeaderValue;
use http::header::SET_COOKIE;
use serde_json::json;

use super::{Bench, Reply, request};
use crate::service::Inbound;

#[derive(Clone)]
pub(crate) struct Browser<'b> {
    bench: &'b Bench,
    pub(crate) inbound: Inbound,
    pub(crate) jar: BTreeMap<String, String>,
}

impl<'b> Browser<'b> {
    pub(crate) fn new(bench: &'b Bench, inbound: Inbound) -> Self {
        Self {
            bench,
            inbound,
            jar: BTreeMap::new(),
        }
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        text: &str,
    ) -> Reply {
        let cookies: Vec<String> = self.jar.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let cookies = cookies.join("; ");
        let mut fields = fields.to_vec();
        if !cookies.is_empty() {
            fields.push(("cookie", &cookies));
        }
        let request = request(method, path, &fields, text);
        let reply = self.bench.ask(request, &self.inbound).await;
        let cookies: Vec<_> = reply.headers.get_all(SET_COOKIE).iter().collect();
        self.learn(cookies);
        reply
    }

    pub(crate) fn learn<'v>(&mut self, cookies: impl IntoIterator<Item = &'v HeaderValue>) {
        for cookie in cookies {
            let cookie = cookie.to_str().unwrap();
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if cookie.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    /// As scripts of the contract send it, with the token.
    pub(crate) async fn post(&mut self, path: &str, body: serde_json::Value) -> Reply {
        let token = self.csrf();
        let fields = [
            ("content-type", "application/json"),
            ("x-csrf-token", &*token),
        ];
        self.send("POST", path, &fields, &body.to_string()).await
    }

    pub(crate) async fn visit_login(&mut self) -> Reply {
        self.get("/login/").await
    }

    pub(crate) async fn log_in(&mut self, user: &str, pass: &str) -> Reply {
        self.post("/api/login", json!({ "user": user, "pass": pass }))
            .await
    }

    pub(crate) async fn passive(&mut self) -> serde_json::Value {
        self.post("/api/login", json!({ "passive": true }))
            .await
            .json()
    }

    /// Under which name this browser is known at `/api/currentuser`.
    pub(crate) async fn who(&mut self) -> Option<String> {
        let reply = self.get("/api/currentuser").await.json();
        reply["name"].as_str().map(str::to_owned)
    }

    pub(crate) fn csrf(&self) -> String {
        self.cookie("csrf_token").unwrap_or_default()
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let mut found = self.jar.iter();
        let found = found.find(|(key, _)| key.starts_with(name))?;
        Some(found.1.clone())
    }
}
