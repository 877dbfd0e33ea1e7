//! Where the browser goes on to after a decision.

use url::Url;

use crate::authority::owner::is_page_of_upstream;

/// A place the app named, checked: nothing that runs as a script of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: String,
    shown: String,
}

impl Target {
    /// Takes `http` and `https` without a name and password inside, and schemes with a dot,
    /// which are those that apps claim for themselves (`com.example.app:`). A path of
    /// this host is given as an absolute path. Everything else leads nowhere.
    pub fn read(redirect: &str) -> Option<Self> {
        if let Some(rest) = redirect.strip_prefix('/') {
            let own = rest.starts_with("latchkey/") || is_page_of_upstream(redirect);
            let local = own
                && !rest.starts_with(['/', '\\'])
                && !redirect.chars().any(|c| c.is_control() || c == '\\');
            return local.then(|| Self {
                url: redirect.to_owned(),
                shown: String::new(),
            });
        }
        let url = Url::parse(redirect).ok()?;
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let shown = match url.scheme() {
            "http" | "https" => match (url.host_str()?, url.port()) {
                (host, Some(port)) => format!("{host}:{port}"),
                (host, None) => host.to_owned(),
            },
            scheme if scheme.contains('.') => scheme.to_owned(),
            _ => return None,
        };
        Some(Self {
            url: url.into(),
            shown,
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The host or scheme a person can judge it by; `None` for a page of this host.
    pub fn shown(&self) -> Option<&str> {
        (!self.shown.is_empty()).then_some(&*self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_shown_by_what_tells_them_apart() {
        for (redirect, shown) in [
            ("https://cloud.example/done?x=1", Some("cloud.example")),
            ("http://127.0.0.1:7777/done", Some("127.0.0.1:7777")),
            ("com.example.app://done", Some("com.example.app")),
            ("HTTPS://CLOUD.example:443", Some("cloud.example")),
            ("/latchkey/keys?x=1", None),
            ("/", None),
        ] {
            let target = Target::read(redirect).unwrap();
            assert_eq!(target.shown(), shown, "{redirect}");
        }
    }

    #[test]
    fn what_could_act_as_us_or_mislead_leads_nowhere() {
        for redirect in [
            "",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " javascript:alert(1)",
            "java\tscript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "blob:https://x/1",
            "file:///etc/passwd",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/a\nb",
            "https://user:pw@evil.example/",
            "https://octopi.local@evil.example/",
            "http://",
            "keys",
            "app:done",
        ] {
            assert_eq!(Target::read(redirect), None, "{redirect:?}");
        }
    }

    #[test]
    fn quotes_cannot_leave_an_attribute() {
        let target = Target::read("https://x.example/\"><script>").unwrap();
        assert!(!target.url().contains(['"', '<', '>']));
    }
}
