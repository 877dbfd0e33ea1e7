//! A browser without script: keeps cookies, finds the token of forms, follows what leads on.

use http::StatusCode;

use super::http::{Cookies, Request, Response};

/// Somebody's browser at one address.
pub(crate) struct Browser {
    base: String,
    cookies: Cookies,
    /// The token in the last page that had one.
    token: String,
}

impl Browser {
    /// At a web address, without a slash at its end.
    pub(crate) fn at(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            cookies: Cookies::default(),
            token: String::new(),
        }
    }

    /// What is answered at `path`, which starts with a slash; a redirect as it is.
    pub(crate) async fn get(&mut self, path: &str) -> Response {
        let request = Request::get(format!("{}{path}", self.base));
        self.send(request).await
    }

    /// The page at `path`, or where that leads.
    pub(crate) async fn open(&mut self, path: &str) -> Response {
        let mut answer = self.get(path).await;
        for _ in 0..10 {
            let Some(next) = leads_to(&answer) else {
                return answer;
            };
            answer = self.get(&next).await;
        }
        panic!("{path} leads on for ever");
    }

    /// Sends a form with the token of the page that was seen last.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let token = self.token.clone();
        let mut fields = fields.to_vec();
        fields.push(("csrf_token", &token));
        let request = Request::post(format!("{}{path}", self.base)).form(&fields);
        self.send(request).await
    }

    /// Presses a button, such as `decision=allow`, of the first form on a page: what is filled in
    /// there already is sent along, and `more` over it.
    pub(crate) async fn press(
        &mut self,
        page: &Response,
        button: (&str, &str),
        more: &[(&str, &str)],
    ) -> Response {
        let html = page.text();
        let form = html.split("<form ").nth(1).expect("a form");
        let form = form.split("</form>").next().unwrap_or_default();
        let action = attribute(form, "action").expect("a form that goes somewhere");
        let mut fields = filled_in(form);
        fields.retain(|(name, _)| more.iter().all(|(other, _)| name != other));
        let told = more.iter().chain([&button]);
        fields.extend(told.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let request = Request::post(format!("{}{action}", self.base)).form(&fields);
        let answer = self.send(request).await;
        match leads_to(&answer) {
            Some(next) => self.open(&next).await,
            None => answer,
        }
    }

    /// Makes an account at a relay that is open to everybody, and is signed in then.
    pub(crate) async fn sign_up(&mut self, email: &str, password: &str) {
        self.open("/sign-up").await;
        let fields = [("email", email), ("password", password)];
        let done = self.post("/sign-up", &fields).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    }

    /// The token in the page that was seen last.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// What is in its cookies.
    pub(crate) fn cookie_values(&self) -> Vec<String> {
        let line = self.cookies.line();
        let pairs = line.split("; ").filter_map(|pair| pair.split_once('='));
        pairs.map(|(_, value)| value.to_owned()).collect()
    }

    /// Sends what is no form, with the cookies.
    pub(crate) async fn send(&mut self, request: Request) -> Response {
        let answer = request.cookies(&self.cookies).send().await.read().await;
        self.cookies.learn(&answer.headers);
        if let Some(token) = token_in(&answer) {
            self.token = token;
        }
        answer
    }
}

/// Where a redirect within the same address leads.
pub(crate) fn leads_to(answer: &Response) -> Option<String> {
    let location = answer.headers.get("location")?.to_str().ok()?;
    (answer.status.is_redirection() && location.starts_with('/')).then(|| location.to_owned())
}

/// The fields of a form that a browser would send: hidden ones, texts, and what is ticked.
fn filled_in(form: &str) -> Vec<(String, String)> {
    let tags = form.split("<input ").skip(1);
    let tags = tags.filter_map(|rest| rest.split('>').next());
    tags.filter(|tag| {
        let kind = attribute(tag, "type").unwrap_or_default();
        !["radio", "checkbox"].contains(&kind.as_str()) || tag.contains(" checked")
    })
    .filter_map(|tag| {
        let value = attribute(tag, "value").unwrap_or_default();
        Some((attribute(tag, "name")?, value))
    })
    .collect()
}

/// An attribute's value as text.
pub(crate) fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let value = rest.split('"').next()?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#34;", "\"")
            .replace("&#38;", "&")
            .replace("&amp;", "&"),
    )
}

fn token_in(answer: &Response) -> Option<String> {
    let kind = answer.headers.get("content-type")?.to_str().ok()?;
    let is_page = kind.starts_with("text/html");
    let text = is_page.then(|| String::from_utf8_lossy(&answer.body).into_owned())?;
    let (_, rest) = text.split_once("name=\"csrf_token\" value=\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}
