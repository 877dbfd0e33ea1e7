//! What is announced, as rules without a network: which services, under which names, saying what.

use std::net::{IpAddr, SocketAddr};

use data_encoding::HEXLOWER;
use mdns_sd::ServiceInfo;
use sha2::{Digest, Sha256};

use super::others::Other;
use crate::authority::opening::API_VERSION;
use crate::config::{Config, PAGES, UpstreamKind};

const LATCHKEY: &str = "_latchkey._tcp.local.";
const OCTOPRINT: &str = "_octoprint._tcp.local.";

/// The version of `OctoPrint`'s API, which it announces and has never changed.
const OCTOPRINT_API: &str = "0.1";

/// The longest label of a DNS name, and so of an instance's name (RFC 6763, 4.1.1).
const LONGEST_LABEL: usize = 63;

/// More hosts of one name than a household has; whoever claims all of these means no good.
const MOST_NAMES: u32 = 10;

/// Why a host is not announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unannounced {
    #[error("it is switched off (`announce: false`)")]
    SwitchedOff,
    #[error("it listens on this machine alone (`listen`)")]
    Loopback,
}

/// What a host says of itself to everybody in the local network.
///
/// Where it is, and what it is called: whatever else stood here would be told to strangers.
#[derive(Debug)]
pub(crate) struct Announcement {
    name: String,
    hostname: String,
    listen: SocketAddr,
    services: Vec<Service>,
}

#[derive(Debug)]
struct Service {
    kind: &'static str,
    texts: Vec<(&'static str, String)>,
}

impl Announcement {
    /// Of the host with this key, whose LAN door is at `listen`.
    pub(crate) fn of(
        config: &Config,
        listen: SocketAddr,
        public_key: &[u8; 32],
    ) -> Result<Self, Unannounced> {
        if !config.announce {
            return Err(Unannounced::SwitchedOff);
        }
        if listen.ip().to_canonical().is_loopback() {
            return Err(Unannounced::Loopback);
        }
        let mut services = vec![Service::latchkey()];
        if config.upstream.kind == UpstreamKind::OctoPrint {
            services.push(Service::octoprint(public_key));
        }
        Ok(Self {
            name: config.name.clone(),
            hostname: format!("latchkey-{}.local.", &uuid(public_key)[..8]),
            listen,
            services,
        })
    }

    /// The address of the LAN door.
    pub(super) fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The name with a number, as it is for the first host that has it, or the second, and so on.
    ///
    /// The library hears neither questions about a name with a dot or a backslash in it nor that
    /// somebody else has it (mdns-sd 0.21.7): it writes `\.` where what it hears has `.`. Dots that
    /// are not U+002E look the same to people.
    pub(super) fn name(&self, number: u32) -> String {
        let suffix = match number {
            0 | 1 => String::new(),
            _ => format!(" ({number})"),
        };
        let name = self.name.trim().replace('.', "\u{2024}").replace('\\', "/");
        let end = name.floor_char_boundary(LONGEST_LABEL - suffix.len());
        format!("{}{suffix}", name[..end].trim_end())
    }

    /// The kinds of services.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.services.iter().map(|service| service.kind)
    }

    /// The number of the first name that nobody else has, for none of the services.
    pub(super) fn first_free(&self, others: &[Other]) -> Option<u32> {
        let is_free = |number: &u32| {
            let name = self.name(*number);
            self.kinds().all(|kind| {
                let fullname = format!("{name}.{kind}").to_lowercase();
                let has_it = |other: &Other| {
                    other.fullname.to_lowercase() == fullname
                        && !other.hostname.eq_ignore_ascii_case(&self.hostname)
                };
                !others.iter().any(has_it)
            })
        };
        (1..=MOST_NAMES).find(is_free)
    }

    /// The services, as the library takes them. Their addresses are those of the interfaces that
    /// the library is told to use, whichever these are at the time.
    pub(super) fn services(&self, name: &str) -> mdns_sd::Result<Vec<ServiceInfo>> {
        let with_library = |service: &Service| {
            let none: &[IpAddr] = &[];
            let texts = service.texts.as_slice();
            let port = self.listen.port();
            ServiceInfo::new(service.kind, name, &self.hostname, none, port, texts)
                .map(ServiceInfo::enable_addr_auto)
        };
        self.services.iter().map(with_library).collect()
    }
}

impl Service {
    fn latchkey() -> Self {
        Self {
            kind: LATCHKEY,
            texts: vec![("path", PAGES.to_owned())],
        }
    }

    /// Home Assistant takes no service without `path` and `uuid` for a printer, and remembers by the
    /// latter which it has seen.
    fn octoprint(public_key: &[u8; 32]) -> Self {
        Self {
            kind: OCTOPRINT,
            texts: vec![
                ("path", "/".to_owned()),
                ("version", API_VERSION.to_owned()),
                ("api", OCTOPRINT_API.to_owned()),
                ("uuid", uuid(public_key)),
            ],
        }
    }
}

/// What stays the same of this host and tells nothing else about it; a UUID of version 8 (RFC 9562).
fn uuid(public_key: &[u8; 32]) -> String {
    let digest = Sha256::new()
        .chain_update(b"latchkey-announced-uuid-1:")
        .chain_update(public_key)
        .finalize();
    let mut bytes: [u8; 16] = std::array::from_fn(|at| digest[at]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = HEXLOWER.encode(&bytes);
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::tests::config;

    const KEY: [u8; 32] = [7; 32];

    fn host(name: &str, kind: UpstreamKind) -> Config {
        let mut config = config();
        config.name = name.to_owned();
        config.announce = true;
        config.upstream.kind = kind;
        config
    }

    fn announced(config: &Config, listen: &str) -> Result<Announcement, Unannounced> {
        Announcement::of(config, listen.parse().unwrap(), &KEY)
    }

    /// The texts of a service, or `None` if it is not announced.
    fn texts(announcement: &Announcement, kind: &str) -> Option<Vec<String>> {
        let services = announcement.services("x").unwrap();
        let service = services.iter().find(|one| one.get_type() == kind)?;
        let texts = service.get_properties().iter();
        Some(
            texts
                .map(|text| format!("{}={}", text.key(), text.val_str()))
                .collect(),
        )
    }

    #[test]
    fn a_printer_behind_octoprint_is_announced_as_latchkey_and_as_octoprint() {
        let host = host("Garage Voron", UpstreamKind::OctoPrint);
        let announcement = announced(&host, "0.0.0.0:5010").unwrap();
        assert_eq!(announcement.name(1), "Garage Voron");
        let latchkey = texts(&announcement, LATCHKEY).unwrap();
        assert_eq!(latchkey, ["path=/latchkey/"]);
        let octoprint = texts(&announcement, OCTOPRINT).unwrap();
        let uuid = "uuid=32003bc2-50bb-8abd-b320-ec432fa0bfd6";
        assert_eq!(octoprint, ["path=/", "version=1.11.8", "api=0.1", uuid]);
        for service in announcement.services("Garage Voron").unwrap() {
            let name = service.get_fullname();
            assert_eq!(name, format!("Garage Voron.{}", service.get_type()));
            assert_eq!(service.get_port(), 5010);
            assert!(service.is_addr_auto());
            assert_eq!(service.get_hostname(), "latchkey-32003bc2.local.");
        }
    }

    #[test]
    fn other_printer_servers_are_no_octoprint() {
        for kind in [
            UpstreamKind::Moonraker,
            UpstreamKind::PrusaLink,
            UpstreamKind::Generic,
        ] {
            let announcement = announced(&host("x", kind), "192.168.1.20:5010").unwrap();
            assert_eq!(texts(&announcement, OCTOPRINT), None, "{kind:?}");
            assert!(texts(&announcement, LATCHKEY).is_some());
        }
    }

    #[test]
    fn what_only_this_machine_reaches_is_not_announced() {
        let mut host = host("x", UpstreamKind::OctoPrint);
        for listen in [
            "127.0.0.1:5010",
            "127.9.9.9:1",
            "[::1]:5010",
            "[::ffff:127.0.0.1]:1",
        ] {
            let refusal = announced(&host, listen).unwrap_err();
            assert_eq!(refusal, Unannounced::Loopback, "{listen}");
        }
        host.announce = false;
        let refusal = announced(&host, "0.0.0.0:5010").unwrap_err();
        assert_eq!(refusal, Unannounced::SwitchedOff);
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_leaves_room_for_a_number() {
        let cases = [
            ("a".repeat(70), 1, "a".repeat(63)),
            ("a".repeat(70), 2, "a".repeat(59) + " (2)"),
            ("a".repeat(70), 10, "a".repeat(58) + " (10)"),
            // Three bytes each: 21 fill a label, and with a number 19 are left.
            ("\u{20ac}".repeat(40), 1, "\u{20ac}".repeat(21)),
            ("\u{20ac}".repeat(40), 2, "\u{20ac}".repeat(19) + " (2)"),
            ("b".repeat(62) + " c", 1, "b".repeat(62)),
            (" MK3.5 ".to_owned(), 3, "MK3\u{2024}5 (3)".to_owned()),
            (r"A\B".to_owned(), 1, "A/B".to_owned()),
        ];
        for (name, number, expected) in cases {
            let announcement = announced(&host(&name, UpstreamKind::Generic), "0.0.0.0:1");
            let found = announcement.unwrap().name(number);
            assert_eq!(found, expected);
            assert!(found.len() <= LONGEST_LABEL);
        }
    }

    #[test]
    fn a_name_that_somebody_else_has_gets_a_number() {
        let host = host("MK3", UpstreamKind::OctoPrint);
        let announcement = announced(&host, "0.0.0.0:1").unwrap();
        let own = announcement.hostname.clone();
        let of = |name: &str, kind: &str, hostname: &str| Other {
            fullname: format!("{name}.{kind}"),
            hostname: hostname.to_owned(),
        };
        let first = || of("mk3", OCTOPRINT, "octopi.local.");
        let second = || of("MK3 (2)", LATCHKEY, "latchkey-x.local.");
        assert_eq!(announcement.first_free(&[]), Some(1));
        let elsewhere = of("MK3", "_http._tcp.local.", "x.local.");
        let itself = of("MK3", LATCHKEY, &own.to_ascii_uppercase());
        assert_eq!(announcement.first_free(&[elsewhere, itself]), Some(1));
        assert_eq!(announcement.first_free(&[first()]), Some(2));
        assert_eq!(announcement.first_free(&[second()]), Some(1));
        assert_eq!(announcement.first_free(&[first(), second()]), Some(3));
        let all: Vec<_> = (1..=MOST_NAMES)
            .map(|number| of(&announcement.name(number), LATCHKEY, "x.local."))
            .collect();
        assert_eq!(announcement.first_free(&all), None);
    }

    #[test]
    fn the_uuid_is_of_one_host_and_not_its_id() {
        assert_eq!(uuid(&KEY), uuid(&KEY));
        assert_ne!(uuid(&KEY), uuid(&[8; 32]));
        let plain = HEXLOWER.encode(&Sha256::digest(KEY));
        assert!(!plain.starts_with(&uuid(&KEY)[..8]));
    }
}
