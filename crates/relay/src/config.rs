//! What a relay is told at its start, checked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use latchkey_model::account::Email;
use latchkey_model::plan::{PlanName, Plans};
use latchkey_net::authority::Authority;
use latchkey_net::client_addr::Scheme;
use latchkey_net::egress::EgressRules;
use latchkey_net::tls::Files;
use lettre::message::Mailbox;
use url::Url;
use zeroize::Zeroizing;

/// A relay's configuration. Every value has been checked; reading files and words is
/// the command line's business.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where callers and hosts connect.
    pub listen: SocketAddr,
    /// Health, readiness and metrics; `None` switches them off.
    pub status_listen: Option<SocketAddr>,
    /// The web origin.
    pub public_url: PublicUrl,
    /// The domain under which every app connection has its hostname.
    pub connection_domain: Authority,
    /// Certificate and key; `None` is plain HTTP, on loopback or behind a proxy.
    pub tls: Option<Files>,
    /// Who is asked for the certificate of `tls`; without, somebody else keeps the files current.
    pub acme: Option<Acme>,
    /// A listener for hosts alone, beside `listen`.
    pub hosts: Option<Hosts>,
    /// Proxies whose forwarded fields are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// State.
    pub data: PathBuf,
    /// Who may make an account.
    pub registration: Registration,
    /// Which apps the portal lets ask although nobody registered them.
    pub unregistered_apps: UnregisteredApps,
    /// Whether an app that asks for it gets an app connection without credentials.
    pub allow_hostname_only: bool,
    /// The plan of a new account, one of `plans`.
    pub default_plan: PlanName,
    /// What accounts may do.
    pub plans: Plans,
    /// When administrators need a second factor for what they change.
    pub administrators_factor: AdministratorsFactor,
    /// By which server letters are sent; without one there are none.
    pub smtp: Option<Smtp>,
    /// Whom webhooks may reach, and what goes with them.
    pub webhooks: Webhooks,
    /// Whether hosts may compress answers for the way through the tunnel.
    pub compression: bool,
    /// How much is kept of answers, so that they need not come through the tunnel again.
    pub cache: CacheBounds,
    /// How many requests may be on their way at once.
    pub admission: Admission,
    /// How long a host may take to begin an answer, after its own limit has passed.
    pub first_byte: Duration,
    /// How long running requests may go on after the first stop signal.
    pub drain: Duration,
}

/// A listener for hosts alone. TLS ends there, whatever is in front of the other one.
#[derive(Debug, Clone)]
pub struct Hosts {
    /// Where hosts connect.
    pub listen: SocketAddr,
    /// Certificate and key: its own, or those of the relay's `tls`.
    pub tls: Files,
}

/// Who is asked for a certificate, and how it is proved that the names are ours (ACME, DNS-01).
#[derive(Debug, Clone)]
pub struct Acme {
    /// The authority's directory.
    pub directory: Url,
    /// Whom the authority may write to.
    pub email: Option<Email>,
    /// Certificates that the authority's own server is believed with, beside the public ones.
    pub ca: Option<PathBuf>,
    /// The program that sets and removes records in the DNS.
    pub hook: PathBuf,
}

impl Acme {
    /// Where a relay with this data directory keeps what it was given: chain and key in one file.
    pub fn files(data: &Path) -> Files {
        let file = data.join("certificate.pem");
        Files {
            cert: file.clone(),
            key: file,
        }
    }
}

/// How many requests to printers may be on their way at once. What goes on for more than a few
/// seconds does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// In all.
    pub max_concurrent: usize,
    /// Of one account.
    pub max_concurrent_per_account: usize,
    /// To one printer.
    pub max_concurrent_per_printer: usize,
    /// Streams of one printer's host that one caller may have, short and long ones.
    pub max_streams_per_caller: usize,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            max_concurrent: 2048,
            max_concurrent_per_account: 512,
            // Two pages over HTTP/2 at full width, and less than a tunnel carries.
            max_concurrent_per_printer: 192,
            // Three quarters of what one connection of a host carries.
            max_streams_per_caller: 192,
        }
    }
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Everybody.
    Open,
    /// Whoever has an invitation.
    Invite,
    /// The operator alone, by command or invitation.
    Closed,
}

/// When administrators need a second factor for what they change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdministratorsFactor {
    /// Always.
    Required,
    /// When they have one.
    IfSet,
}

/// Which apps the portal lets ask although nobody registered them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnregisteredApps {
    /// All, called unverified.
    Allow,
    /// Programs on the person's own device: the portal leads them back to a loopback address.
    Loopback,
    /// None.
    Refuse,
}

/// How much is kept of answers. Zero of either is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheBounds {
    /// Bytes of all printers together.
    pub max_bytes: u64,
    /// Bytes of each printer.
    pub max_bytes_per_printer: u64,
}

impl Default for CacheBounds {
    fn default() -> Self {
        Self {
            max_bytes: 256 * 1024 * 1024,
            max_bytes_per_printer: 8 * 1024 * 1024,
        }
    }
}

/// Whom webhooks may reach, and what goes with them.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// Whom they may reach beyond the open internet.
    pub rules: EgressRules,
    /// Whether pictures are kept that go with what is told.
    pub snapshots: bool,
    /// Certificates believed beside the public ones.
    pub ca: Option<PathBuf>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            rules: EgressRules::default(),
            snapshots: true,
            ca: None,
        }
    }
}

/// A mail server that takes letters of ours.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is protected.
    pub tls: SmtpTls,
    /// How we sign in there; not every server asks.
    pub login: Option<SmtpLogin>,
    /// Whom the letters are from.
    pub from: Sender,
}

/// How the way to a mail server is protected. There is no falling back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// By TLS that begins after a word in the clear.
    Starttls,
    /// By TLS from the first byte.
    Tls,
    /// Not at all: for a server on this machine.
    None,
}

/// Name and password at a mail server.
#[derive(Debug, Clone)]
pub struct SmtpLogin {
    /// The name.
    pub user: String,
    /// The password.
    pub password: SmtpPassword,
}

/// A password at a mail server. Prints nothing.
#[derive(Clone)]
pub struct SmtpPassword(Zeroizing<String>);

impl SmtpPassword {
    /// Takes the password as it stands in its file.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SmtpPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SmtpPassword(…)")
    }
}

/// Whom letters are from: an address, with a name if there is one.
#[derive(Debug, Clone)]
pub struct Sender(Mailbox);

/// A text is not `name@domain` or `Name <name@domain>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("needs the form name@domain or Name <name@domain>")]
pub struct InvalidSender;

impl Sender {
    /// Reads an address as it stands in a letter's head.
    pub fn parse(text: &str) -> Result<Self, InvalidSender> {
        let plain = !text.chars().any(char::is_control);
        let mailbox = text.parse().ok().filter(|_| plain);
        mailbox.map(Self).ok_or(InvalidSender)
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.0
    }
}

/// The relay's own web address: scheme and authority, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    scheme: Scheme,
    authority: Authority,
}

/// Why a URL cannot be a relay's public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("needs the form https://host or http://host:port, without path, query or user name")]
pub struct InvalidPublicUrl;

impl PublicUrl {
    /// Reads the address from a URL.
    pub fn from_url(url: &Url) -> Result<Self, InvalidPublicUrl> {
        let scheme = Scheme::parse(url.scheme()).ok_or(InvalidPublicUrl)?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let authority = Authority::of_url(url).filter(|_| bare);
        let authority = authority.ok_or(InvalidPublicUrl)?;
        Ok(Self { scheme, authority })
    }

    /// Host and port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The scheme callers use, for the web origin and for app connections alike.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
}

impl std::fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority)
    }
}

impl Config {
    /// Whether callers use https and TLS ends at a proxy in front.
    pub(crate) fn expects_https_in_front(&self) -> bool {
        self.public_url.scheme().is_secure() && self.tls.is_none()
    }

    /// The certificate of the listener for hosts, if it is another one than the relay's.
    pub(crate) fn own_tls_of_hosts(&self) -> Option<&Files> {
        let files = self.hosts.as_ref().map(|hosts| &hosts.tls);
        files.filter(|&files| self.tls.as_ref() != Some(files))
    }

    /// The root of an app connection's address, without a slash at its end.
    pub fn connection_url(&self, label: &str) -> String {
        format!(
            "{}://{label}.{}",
            self.public_url.scheme().as_str(),
            self.connection_domain
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{PublicUrl, Sender, SmtpPassword};

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        for good in ["relay@example.net", "Our relay <relay@example.net>"] {
            assert!(Sender::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "relay",
            "relay@",
            "a@example.net, b@example.net",
            "relay@example.net\r\nBcc: all@example.net",
            "Our\nrelay <relay@example.net>",
        ] {
            assert!(Sender::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_mail_servers_password_is_not_printed() {
        let password = SmtpPassword::new("hunter2".to_owned());
        assert!(!format!("{password:?}").contains("hunter2"));
    }

    #[test]
    fn a_public_url_is_scheme_and_authority() {
        let parse = |text: &str| PublicUrl::from_url(&text.parse().unwrap());
        for (text, shown) in [
            ("https://relay.example.com", "https://relay.example.com"),
            (
                "https://Relay.Example.com:443/",
                "https://relay.example.com",
            ),
            ("http://localhost:7010", "http://localhost:7010"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), shown);
        }
        let dialled =
            |text: &str| latchkey_net::tunnel::relay_name(&text.parse().unwrap()).unwrap();
        for text in [
            "https://Relay.Example.com:443/",
            "https://relay.example.com:8443",
        ] {
            let name = parse(text).unwrap().authority().to_string();
            assert_eq!(name, dialled(text), "hosts would not recognise this relay");
        }
        for text in [
            "ftp://a",
            "https://a/b",
            "https://a/?q",
            "https://u@a",
            "https://a/#f",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
