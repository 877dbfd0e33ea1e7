//! What a host is told at its start, checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;
use latchkey_net::authority::Authority;
use url::Url;

pub use crate::session_keys::apps::{FileApp, FileApps, FileProblem};

/// Where the host's own pages are, at the LAN door.
pub(crate) const PAGES: &str = "/latchkey/";

/// Where apps written for OctoEverywhere send commands. Answered by the host, and never
/// passed to the printer.
pub(crate) const COMMANDS: &str = "/octoeverywhere-command-api/";

/// Whether the host answers a path itself, so that no camera can have it.
pub fn is_reserved(path: &str) -> bool {
    [PAGES, COMMANDS]
        .iter()
        .any(|prefix| below(path, prefix).is_some())
}

/// What follows a reserved prefix, which is the same in any letter case.
pub(crate) fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let (start, rest) = path.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A host's configuration. Every value has been checked; reading files and words
/// is the command line's business.
#[derive(Debug, Clone)]
pub struct Config {
    /// What people call this host.
    pub name: String,
    /// The LAN door.
    pub listen: SocketAddr,
    /// Whether the LAN door is announced in the local network.
    pub announce: bool,
    /// Health, readiness and metrics; `None` switches them off.
    pub status_listen: Option<SocketAddr>,
    /// Identity and state.
    pub data: PathBuf,
    /// The key that app keys are sealed with, if it is kept elsewhere than in `data`.
    pub key_file: Option<PathBuf>,
    /// The printer's server.
    pub upstream: Upstream,
    /// Who checks callers.
    pub authority: AuthorityMode,
    /// Cameras, by path prefix; tried before the printer's server, longest prefix first.
    pub webcams: Vec<Webcam>,
    /// Whether the upstream learns the caller's address.
    pub client_address: ClientAddress,
    /// Names people use for this host at home, beside addresses and local names.
    pub hostnames: Vec<String>,
    /// Networks whose forwarded fields are believed at the LAN door, beside loopback.
    pub trusted_proxies: Vec<IpNet>,
    /// The relay this host dials.
    pub relay: Option<Relay>,
    /// How long the upstream may take.
    pub timeouts: Timeouts,
    /// Apps that may get session keys, as far as files say.
    pub session_apps: FileApps,
    /// How long a typed password counts for what needs a recent one; zero switches the check off.
    pub fresh_for: Duration,
    /// How long running requests may go on after the first stop signal.
    pub drain: Duration,
}

impl Config {
    /// Whether apps can have session keys here.
    ///
    /// Where the server judges callers, the host has to lend such an app its own credential. It
    /// does so to OctoPrint only, whose addresses it can tell apart: Moonraker's socket and tokens
    /// would hand out a key for good that the host then passes on.
    pub fn offers_session_keys(&self) -> bool {
        let lends = self.upstream.kind == UpstreamKind::OctoPrint;
        self.authority == AuthorityMode::Host || (lends && self.upstream.credential.is_some())
    }
}

/// The printer's server.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Which API it speaks.
    pub kind: UpstreamKind,
    /// Where it listens.
    pub address: UpstreamAddress,
    /// What the host proves itself with.
    pub credential: Option<Credential>,
    /// How much it is given to do at once.
    pub load: Load,
}

/// How much a server is given to do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Requests.
    pub max_concurrent: usize,
    /// Sockets, streams, long polls and whatever else takes long, beside them.
    pub max_long: usize,
}

impl Default for Load {
    /// For OctoPrint on a Raspberry Pi: a browser opens six connections, and this is a few of those.
    fn default() -> Self {
        Self {
            max_concurrent: 16,
            max_long: 64,
        }
    }
}

/// The kinds of printer server whose ways are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamKind {
    OctoPrint,
    Moonraker,
    PrusaLink,
    /// Anything that speaks HTTP.
    Generic,
}

impl UpstreamKind {
    /// As its makers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OctoPrint => "OctoPrint",
            Self::Moonraker => "Moonraker",
            Self::PrusaLink => "PrusaLink",
            Self::Generic => "Printer server",
        }
    }
}

/// An `http://host:port` without path: what a route leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamAddress {
    authority: Authority,
    /// Prefix of every path there, without its last slash: empty, or `/cam`.
    base_path: String,
}

/// Why a URL cannot be an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamUrlError {
    #[error(
        "only http:// is spoken to printer servers; put a local proxy in front of an https one"
    )]
    Scheme,
    #[error(
        "a user name or password in the URL is not sent; take it out (a printer server's key goes \
         into a key file, which `upstream.api_key_file` names)"
    )]
    UserInfo,
    #[error("the URL needs a host and may not have a query or fragment")]
    Shape,
}

impl UpstreamAddress {
    /// The address a URL names.
    pub fn from_url(url: &Url) -> Result<Self, UpstreamUrlError> {
        if url.scheme() != "http" {
            return Err(UpstreamUrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UpstreamUrlError::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UpstreamUrlError::Shape);
        }
        let host = url.host_str().ok_or(UpstreamUrlError::Shape)?;
        let port = url.port_or_known_default().unwrap_or(80);
        let authority = format!("{host}:{port}").parse();
        Ok(Self {
            authority: authority.map_err(|_| UpstreamUrlError::Shape)?,
            base_path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Host and port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Prefix of every path, without its last slash.
    pub fn base_path(&self) -> &str {
        &self.base_path
    }
}

/// What the host proves itself with towards the upstream; never shown or logged.
#[derive(Clone)]
pub struct Credential(HeaderValue);

impl Credential {
    /// A key as it stands in a file; blanks around it are cut. `None` for text that
    /// cannot stand in a field.
    pub fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        let mut value = HeaderValue::from_str(key).ok()?;
        value.set_sensitive(true);
        (!key.is_empty()).then_some(Self(value))
    }

    pub(crate) fn value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// Who decides whether a caller may use the printer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityMode {
    /// The host: it knows users, keys and app connections, and adds its own credential.
    Host,
    /// The upstream: whatever callers bring is passed on untouched.
    Upstream,
}

/// A camera server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webcam {
    /// Starts and ends with a slash, and is cut off before asking the camera.
    pub path: String,
    /// Where the camera listens.
    pub address: UpstreamAddress,
}

/// Whether the upstream learns the caller's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAddress {
    /// Forwarded if the upstream trusts loopback callers, hidden if it does not.
    Auto,
    /// Never told: every caller looks like the host itself.
    Hide,
    /// Always told.
    Forward,
}

/// The relay a host dials.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of the configuration, each by itself"
)]
pub struct Relay {
    /// The relay's web origin.
    pub url: Url,
    /// A certificate authority believed beside the public ones (PEM).
    pub ca_file: Option<PathBuf>,
    /// Accept that a proxy in front of the relay ends TLS.
    pub allow_unbound: bool,
    /// How many connections to it are kept, 1 to 4.
    pub connections: u8,
    /// Whether the relay may have app keys made for apps that somebody lets in there.
    pub app_keys: bool,
    /// Whether the relay hears what the printer does, and may look at its camera.
    pub printing: bool,
    /// Whether answers take fewer bytes on the way to a relay that can undo it.
    pub compression: bool,
}

/// How long the upstream may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// From the last byte of the request to the head of the answer.
    pub first_byte: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_an_http_address() {
        let address = |text: &str| UpstreamAddress::from_url(&text.parse().unwrap());
        let plain = address("http://127.0.0.1").unwrap();
        assert_eq!(plain.authority().to_string(), "127.0.0.1:80");
        assert_eq!(plain.base_path(), "");
        let deep = address("http://Cam.local:8080/cam/").unwrap();
        assert_eq!(deep.authority().to_string(), "cam.local:8080");
        assert_eq!(deep.base_path(), "/cam");
        assert_eq!(address("https://a"), Err(UpstreamUrlError::Scheme));
        assert_eq!(address("http://u:p@a"), Err(UpstreamUrlError::UserInfo));
        assert_eq!(address("http://a/?q"), Err(UpstreamUrlError::Shape));
    }

    #[test]
    fn reserved_paths_are_whole_segments_in_any_letter_case() {
        for path in [
            "/latchkey/",
            "/Latchkey/cam/",
            "/octoeverywhere-command-api/status",
            "/OctoEverywhere-command-API/",
        ] {
            assert!(is_reserved(path), "{path}");
        }
        for path in [
            "/latchkey-cam/",
            "/octoeverywhere-command-api",
            "/octoeverywhere/",
            "/webcam/latchkey/",
            "/\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}x",
        ] {
            assert!(!is_reserved(path), "{path}");
        }
    }

    #[test]
    fn the_hosts_own_key_is_lent_to_octoprint_only() {
        let mut config = crate::sessions::tests::config();
        for (authority, kind, has_key, offers) in [
            (AuthorityMode::Host, UpstreamKind::Moonraker, false, true),
            (AuthorityMode::Upstream, UpstreamKind::OctoPrint, true, true),
            (
                AuthorityMode::Upstream,
                UpstreamKind::OctoPrint,
                false,
                false,
            ),
            (
                AuthorityMode::Upstream,
                UpstreamKind::Moonraker,
                true,
                false,
            ),
            (AuthorityMode::Upstream, UpstreamKind::Generic, true, false),
        ] {
            config.authority = authority;
            config.upstream.kind = kind;
            config.upstream.credential = has_key.then(|| Credential::new("key").unwrap());
            assert_eq!(
                config.offers_session_keys(),
                offers,
                "{authority:?} {kind:?}"
            );
        }
    }

    #[test]
    fn a_credential_is_never_printed() {
        let credential = Credential::new(" planted-secret\n").unwrap();
        assert_eq!(credential.value(), "planted-secret");
        assert!(!format!("{credential:?}{:?}", credential.value()).contains("planted"));
        assert!(Credential::new("  ").is_none());
    }
}
