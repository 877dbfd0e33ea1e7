//! Where the portal may lead back to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::percent_decode_str;
use url::{Host, Position, Url};

use super::completion::{is_ours, is_ours_in};

#[cfg(test)]
mod tests;

/// Longest address an app may name. It is carried along through the whole flow.
const LONGEST: usize = 1024;
/// Longest host (RFC 1035 section 2.3.4). A person reads it whole, since its end says whose it is.
const LONGEST_HOST: usize = 253;
/// Most of an app's own address that a person is shown, after its scheme.
const MOST_SHOWN: usize = 64;

/// Schemes that are no app's: they run or read something in the browser, or are another thing to
/// it than an app that opens.
const NO_APPS: [&str; 23] = [
    "about",
    "blob",
    "chrome",
    "chrome-extension",
    "content",
    "data",
    "edge",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "jar",
    "javascript",
    "localhost",
    "mailto",
    "moz-extension",
    "resource",
    "sms",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// Names that only a network at home gives (as for hosts, which take them for their own).
const AT_HOME: [&str; 5] = [".local", ".lan", ".home", ".home.arpa", ".internal"];

/// An address that the portal may lead back to, as the app wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTarget {
    text: String,
    url: Url,
    kind: TargetKind,
}

/// What kind of place a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// A website.
    Web,
    /// A program on the person's own device.
    Loopback,
    /// A device in the person's own network, without encryption.
    Neighbour,
    /// An app that opens by a scheme of its own.
    App,
}

/// Why the portal does not lead to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It has more than 1024 characters.
    #[error("it is too long")]
    TooLong,
    /// It is no address, or one that two programs may read in two ways.
    #[error("it is no address, or can be read in more than one way")]
    Unreadable,
    /// Its scheme is not one that leads to an app or a website.
    #[error("its scheme does not lead to an app or a website")]
    Scheme,
    /// It has a user name in it.
    #[error("it has a user name in it")]
    UserInfo,
    /// It is plain HTTP to somewhere that is not at home.
    #[error("it is not encrypted, and not at home")]
    Plain,
    /// Its query has a name that only the portal may send.
    #[error("its query has a name in it that only the portal sends")]
    Reserved,
}

impl ReturnTarget {
    /// Reads an address as an app wrote it.
    ///
    /// What one parser takes for another address than a person or the next program does is
    /// refused rather than repaired: nothing but ASCII that needs no encoding, and a host that is
    /// written as it is read.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if text.len() > LONGEST {
            return Err(TargetError::TooLong);
        }
        if !text.bytes().all(is_plain) {
            return Err(TargetError::Unreadable);
        }
        let url = Url::parse(text).map_err(|_| TargetError::Unreadable)?;
        let kind = match url.scheme() {
            "https" | "http" => web(text, &url)?,
            scheme => app(text, &url, scheme)?,
        };
        if url.query().is_some_and(|query| has(query, is_ours)) {
            return Err(TargetError::Reserved);
        }
        let text = text.to_owned();
        Ok(Self { text, url, kind })
    }

    /// The address, byte for byte as the app wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What kind of place it is.
    pub const fn kind(&self) -> TargetKind {
        self.kind
    }

    /// What a person is shown of it: scheme, host and port, or the beginning of an app's own
    /// address.
    pub fn shown(&self) -> String {
        if self.kind != TargetKind::App {
            return format!("{}://{}", self.url.scheme(), self.host());
        }
        let address = self.text.split(['?', '#']).next().unwrap_or_default();
        let most = self.url.scheme().len() + 1 + MOST_SHOWN;
        match address.get(..most) {
            Some(start) if start.len() < address.len() => format!("{start}…"),
            _ => address.to_owned(),
        }
    }

    /// The host with its port; nothing in an app's own address that means one.
    pub fn host(&self) -> &str {
        match self.kind {
            TargetKind::App => "",
            _ => &self.url[Position::BeforeHost..Position::AfterPort],
        }
    }

    /// Whether its query has a name in it that the portal sends, with a code or with the values.
    pub(super) fn has_names_of(&self, with_code: bool) -> bool {
        let query = self.url.query();
        query.is_some_and(|query| has(query, |name| is_ours_in(name, with_code)))
    }
}

impl fmt::Display for ReturnTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Printable ASCII that stands for itself wherever an address is written.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'\\' | b'"' | b'<' | b'>' | b'`' | b'^' | b'{' | b'|' | b'}'
        )
}

fn has(query: &str, is_meant: impl Fn(&str) -> bool) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        is_meant(&percent_decode_str(name).decode_utf8_lossy())
    })
}

/// What is written between the scheme's `//` and the path, query or fragment.
fn authority<'a>(text: &'a str, url: &Url) -> Option<&'a str> {
    let rest = text.get(url.scheme().len()..)?.strip_prefix("://")?;
    rest.split(['/', '?', '#']).next()
}

fn web(text: &str, url: &Url) -> Result<TargetKind, TargetError> {
    let written = authority(text, url).ok_or(TargetError::Unreadable)?;
    if written.contains('@') {
        return Err(TargetError::UserInfo);
    }
    let read = &url[Position::BeforeHost..Position::AfterPort];
    let usual = if url.scheme() == "https" {
        ":443"
    } else {
        ":80"
    };
    let written = written.to_ascii_lowercase();
    let as_read = written == read || written.strip_suffix(usual) == Some(read);
    let fits = url
        .host_str()
        .is_some_and(|host| host.len() <= LONGEST_HOST);
    if !as_read || !fits || url.port() == Some(0) {
        return Err(TargetError::Unreadable);
    }
    let host = url.host().ok_or(TargetError::Unreadable)?;
    match (url.scheme(), place(&host)) {
        ("https", _) => Ok(TargetKind::Web),
        (_, Some(kind)) => Ok(kind),
        (_, None) => Err(TargetError::Plain),
    }
}

fn app(text: &str, url: &Url, scheme: &str) -> Result<TargetKind, TargetError> {
    if !is_app_scheme(scheme) {
        return Err(TargetError::Scheme);
    }
    let user = authority(text, url).is_some_and(|written| written.contains('@'));
    if user || !url.username().is_empty() || url.password().is_some() {
        return Err(TargetError::UserInfo);
    }
    Ok(TargetKind::App)
}

/// Whether a scheme, in lower case, can be an app's own. One letter is a drive, and one with a
/// dot that ends like a host is most likely an address whose scheme was forgotten, but
/// `com.example.app` looks just like it.
fn is_app_scheme(scheme: &str) -> bool {
    (2..=64).contains(&scheme.len())
        && scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
        && !matches!(scheme, "http" | "https")
        && !NO_APPS.contains(&scheme)
}

/// Whether a host is this device or a neighbour of it.
fn place(host: &Host<&str>) -> Option<TargetKind> {
    let address: IpAddr = match host {
        Host::Ipv4(address) => (*address).into(),
        Host::Ipv6(address) => (*address).into(),
        Host::Domain(name) => {
            let loopback = *name == "localhost" || name.ends_with(".localhost");
            // A name of one label is a neighbour's: no name of the internet is one.
            let home = !name.contains('.')
                || AT_HOME
                    .iter()
                    .any(|ending| name.len() > ending.len() && name.ends_with(ending));
            return match (loopback, home) {
                (true, _) => Some(TargetKind::Loopback),
                (_, true) => Some(TargetKind::Neighbour),
                _ => None,
            };
        }
    };
    if address.is_loopback() {
        return Some(TargetKind::Loopback);
    }
    let near = match address {
        IpAddr::V4(address) => is_near_v4(address),
        IpAddr::V6(address) => is_near_v6(address),
    };
    near.then_some(TargetKind::Neighbour)
}

const fn is_near_v4(address: Ipv4Addr) -> bool {
    address.is_private() || address.is_link_local() || is_behind_carrier(address)
}

/// RFC 6598: what carriers have, and private networks over the internet take for themselves.
const fn is_behind_carrier(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && second & 0xc0 == 64
}

const fn is_near_v6(address: Ipv6Addr) -> bool {
    address.is_unique_local() || address.is_unicast_link_local()
}

/// Where a registered app may be led back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetRule {
    /// Wherever the portal leads at all: for apps that are there to try things out.
    Anything,
    /// Every address of one scheme of its own, written `scheme:`.
    Scheme(String),
    /// One address; on the person's own device with any port, since programs take a free one
    /// (RFC 8252 section 7.3).
    Address(ReturnTarget),
}

/// A text says nothing about where an app may be led back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a target is an address, an app's scheme as in `octopod:`, or `*`: {0}")]
pub struct RuleError(#[from] TargetError);

impl TargetRule {
    /// Reads a rule as an operator writes it.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        if text == "*" {
            return Ok(Self::Anything);
        }
        if let Some(scheme) = text.strip_suffix(':') {
            let scheme = scheme.to_ascii_lowercase();
            return if is_app_scheme(&scheme) {
                Ok(Self::Scheme(scheme))
            } else {
                Err(RuleError(TargetError::Scheme))
            };
        }
        Ok(Self::Address(ReturnTarget::parse(text)?))
    }

    /// Whether a target is one of those meant.
    pub fn matches(&self, target: &ReturnTarget) -> bool {
        match self {
            Self::Anything => true,
            Self::Scheme(scheme) => target.kind == TargetKind::App && target.url.scheme() == scheme,
            Self::Address(known) if known.kind == TargetKind::Loopback => {
                target.kind == TargetKind::Loopback
                    && without_port(&known.url) == without_port(&target.url)
            }
            Self::Address(known) => known.url.as_str() == target.url.as_str(),
        }
    }
}

fn without_port(url: &Url) -> (&str, Option<&str>, &str) {
    (url.scheme(), url.host_str(), &url[Position::BeforePath..])
}

impl fmt::Display for TargetRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("*"),
            Self::Scheme(scheme) => write!(f, "{scheme}:"),
            Self::Address(target) => f.write_str(target.as_str()),
        }
    }
}
