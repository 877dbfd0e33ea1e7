//! The route table: which of the configured servers a path leads to.

use crate::config::{Config, UpstreamAddress};

/// One configured server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The printer's own server.
    Printer,
    /// A camera beside it; it never sees the printer's credential.
    Webcam,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route<'a> {
    pub(crate) target: Target,
    pub(crate) address: &'a UpstreamAddress,
    /// Prefix of our paths that the server does not know, without its last slash.
    pub(crate) prefix: &'a str,
}

impl Route<'_> {
    /// Path and query at the server. Only the prefix changes; the rest stays byte for byte.
    pub(crate) fn path_at_server(&self, path_and_query: &str) -> String {
        let rest = path_and_query
            .strip_prefix(self.prefix)
            .unwrap_or(path_and_query);
        let slash = if rest.starts_with('/') { "" } else { "/" };
        format!("{}{slash}{rest}", self.address.base_path())
    }

    /// What callers know a path of the server as; the other way round. `None` for paths
    /// that no caller can reach, and where both know it by the same name.
    pub(crate) fn public_path(&self, at_server: &str) -> Option<String> {
        let base = self.address.base_path();
        let rest = at_server.strip_prefix(base)?;
        let is_below = rest.is_empty() || rest.starts_with(['/', '?', '#']);
        (is_below && base != self.prefix).then(|| format!("{}{rest}", self.prefix))
    }
}

/// All servers behind this host.
#[derive(Debug)]
pub(crate) struct Routes {
    printer: UpstreamAddress,
    /// Longest prefix first; prefixes without their last slash.
    webcams: Vec<(String, UpstreamAddress)>,
}

impl Routes {
    pub(crate) fn new(config: &Config) -> Self {
        let mut webcams: Vec<_> = config
            .webcams
            .iter()
            .map(|webcam| {
                let prefix = webcam.path.trim_end_matches('/').to_owned();
                (prefix, webcam.address.clone())
            })
            .collect();
        webcams.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Self {
            printer: config.upstream.address.clone(),
            webcams,
        }
    }

    /// The route of a raw path. `/webcam` and `/webcam?…` count as `/webcam/`.
    pub(crate) fn find(&self, path: &str) -> Route<'_> {
        let webcam = self.webcams.iter().find(|(prefix, _)| {
            path.strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        match webcam {
            Some((prefix, address)) => Route {
                target: Target::Webcam,
                address,
                prefix,
            },
            None => Route {
                target: Target::Printer,
                address: &self.printer,
                prefix: "",
            },
        }
    }

    /// Every configured server, for recognising its address in a `Location`.
    pub(crate) fn all(&self) -> impl Iterator<Item = Route<'_>> {
        let printer = Route {
            target: Target::Printer,
            address: &self.printer,
            prefix: "",
        };
        let webcams = self.webcams.iter().map(|(prefix, address)| Route {
            target: Target::Webcam,
            address,
            prefix,
        });
        std::iter::once(printer).chain(webcams)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn routes() -> Routes {
        let address = |text: &str| UpstreamAddress::from_url(&text.parse().unwrap()).unwrap();
        Routes {
            printer: address("http://127.0.0.1:5000"),
            webcams: vec![
                (
                    "/webcam/rear".to_owned(),
                    address("http://127.0.0.1:8081/cam"),
                ),
                ("/webcam".to_owned(), address("http://127.0.0.1:8080")),
            ],
        }
    }

    #[test]
    fn the_longest_prefix_wins_and_the_rest_stays_raw() {
        let routes = routes();
        for (path, query, port, at_server) in [
            ("/", "", 5000, "/"),
            ("/api//files%2Fx", "?a=%20&", 5000, "/api//files%2Fx?a=%20&"),
            ("/webcam/", "?action=stream", 8080, "/?action=stream"),
            ("/webcam", "?action=stream", 8080, "/?action=stream"),
            ("/webcam/rear/x", "", 8081, "/cam/x"),
            ("/webcamera", "", 5000, "/webcamera"),
            ("/webcam/../api/version", "", 8080, "/../api/version"),
            ("/x/../webcam/", "", 5000, "/x/../webcam/"),
        ] {
            let route = routes.find(path);
            assert_eq!(route.address.authority().port(), Some(port), "{path}");
            let full = format!("{path}{query}");
            assert_eq!(route.path_at_server(&full), at_server, "{path}");
        }
    }
}
