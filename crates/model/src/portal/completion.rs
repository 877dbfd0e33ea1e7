//! What the portal hands over, and the address by which it does.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::app_connection::ConnectionCredentials;
use crate::id::AppConnectionId;
use crate::secret::PortalCode;

/// RFC 3986, unreserved: the rest is encoded, a space as `%20`, since some apps do not read `+`.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Names that an app believes when it comes back. A return address that brings one of its own
/// could put somebody else's printer into an app that reads the first of two.
const OURS: [&str; 6] = [
    "success",
    "appapitoken",
    "authbasichttpuser",
    "authbasichttppassword",
    "authbearertoken",
    "octoprintapikey",
];
/// The same, of a completion with a code.
const OURS_WITH_CODE: [&str; 2] = ["code", "state"];
/// The same, of one with the values themselves.
const OURS_WITH_VALUES: [&str; 1] = ["url"];

/// Whether a parameter's name is one that only the portal may send, whatever it sends.
pub(super) fn is_ours(name: &str) -> bool {
    is_one_of(&OURS, name)
}

/// Whether a parameter's name is one that the portal sends beside those, with a code or without.
pub(super) fn is_ours_in(name: &str, with_code: bool) -> bool {
    if with_code {
        is_one_of(&OURS_WITH_CODE, name)
    } else {
        is_one_of(&OURS_WITH_VALUES, name)
    }
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

/// What an app is given, beside its credentials.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The app connection.
    pub id: &'a AppConnectionId,
    /// Its root, without a slash at its end.
    pub url: &'a str,
    /// What its owner calls the printer.
    pub printer_name: &'a str,
    /// Where a person watches the printer.
    pub printer_page: &'a str,
    /// Where the host was last found at home.
    pub local_ip: Option<&'a str>,
    /// The key at the host, if one was made.
    pub key: Option<&'a str>,
}

/// Why an app is given nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The person went back before they decided.
    Cancelled,
    /// The person said no.
    Denied,
    /// The person's plan has no app connections.
    NotEntitled,
    /// The person has as many app connections as the plan allows.
    LimitReached,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Cancelled,
        Self::Denied,
        Self::NotEntitled,
        Self::LimitReached,
    ];

    /// The word that programs read.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::NotEntitled => "not_entitled",
            Self::LimitReached => "limit_reached",
        }
    }

    /// The sentence that apps may show.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Cancelled => "Nothing was decided: the request was cancelled.",
            Self::Denied => "The request was denied.",
            Self::NotEntitled => "This account has no app connections.",
            Self::LimitReached => "This account has as many app connections as its plan allows.",
        }
    }
}

/// What goes back to an app: names and values in order. The names are fixed and each stands
/// there once.
pub struct Completion(Vec<(&'static str, Zeroizing<String>)>);

impl Completion {
    /// An app connection and all that it needs.
    ///
    /// Every name is there whatever the access mode: apps look for all and give up when one is
    /// missing. The Basic pair comes in both spellings that apps look for.
    pub fn given(given: &Given<'_>, credentials: &ConnectionCredentials) -> Self {
        let (user, password) = (credentials.user(), credentials.password());
        let mut pairs = vec![
            ("success", "true"),
            ("id", given.id.as_str()),
            ("url", given.url),
            ("appApiToken", credentials.app_token.expose()),
            ("authbasichttpuser", user),
            ("authbasichttppassword", password),
            ("authBearerToken", credentials.bearer()),
            ("printername", given.printer_name),
            ("userPrinterAccessUrl", given.printer_page),
        ];
        pairs.extend(given.local_ip.map(|ip| ("printerLastKnownLocalIp", ip)));
        pairs.extend(given.key.map(|key| ("octoPrintApiKey", key)));
        pairs.push(("authBasicHttpUser", user));
        pairs.push(("authBasicHttpPassword", password));
        Self::of(pairs)
    }

    /// A code that stands for what was given.
    pub fn code(code: &PortalCode, state: Option<&str>) -> Self {
        let mut pairs = vec![("success", "true"), ("code", code.expose())];
        pairs.extend(state.map(|state| ("state", state)));
        Self::of(pairs)
    }

    /// Nothing, and why. The state is for apps that asked for a code.
    pub fn refused(why: Refused, state: Option<&str>) -> Self {
        let mut pairs = vec![("success", "false"), ("error", why.code())];
        pairs.push(("errorDescription", why.description()));
        pairs.extend(state.map(|state| ("state", state)));
        Self::of(pairs)
    }

    fn of(pairs: Vec<(&'static str, &str)>) -> Self {
        let owned = |(name, value): (_, &str)| (name, Zeroizing::new(value.to_owned()));
        Self(pairs.into_iter().map(owned).collect())
    }

    /// Names and values, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The address that hands it over: `base` byte for byte, with this in its query.
    pub fn address(&self, base: &str) -> Zeroizing<String> {
        let (before, fragment) = match base.split_once('#') {
            Some((before, fragment)) => (before, Some(fragment)),
            None => (base, None),
        };
        let mut address = Zeroizing::new(String::with_capacity(base.len() + 1024));
        address.push_str(before);
        let mut sign = match before.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some((_, query)) if query.ends_with('&') => "",
            Some(_) => "&",
        };
        for (name, value) in self.pairs() {
            address.push_str(sign);
            address.push_str(name);
            address.push('=');
            address.extend(utf8_percent_encode(value, VALUE));
            sign = "&";
        }
        if let Some(fragment) = fragment {
            address.push('#');
            address.push_str(fragment);
        }
        address
    }
}

/// Prints the names only.
impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| *name);
        f.debug_tuple("Completion")
            .field(&names.collect::<Vec<_>>())
            .finish()
    }
}

impl serde::Serialize for Completion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.pairs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::KeyScope;
    use crate::app::{AppId, AppName};
    use crate::app_connection::{AccessMode, NewAppConnection};
    use crate::chance::SeededChance;
    use crate::clock::{FixedClock, Timestamp};
    use crate::id::{AccountId, PrinterId};

    fn given(access: AccessMode, name: &str) -> Completion {
        let chance = SeededChance::new(7);
        let wanted = NewAppConnection {
            account: AccountId::generate(&chance),
            printer: PrinterId::generate(&chance),
            app: AppId::parse("octopod").unwrap(),
            app_name: AppName::parse("OctoPod").unwrap(),
            access,
            scope: KeyScope::Full,
        };
        let (connection, credentials) =
            wanted.generate(&chance, &FixedClock::new(Timestamp::from_millis(1)));
        let given = Given {
            id: &connection.id,
            url: "https://app-x.printers.example",
            printer_name: name,
            printer_page: "https://relay.example/view/MK4%20left",
            local_ip: Some("192.168.1.5"),
            key: Some("KEY"),
        };
        Completion::given(&given, &credentials)
    }

    #[test]
    fn all_names_are_there_once_whatever_the_access_mode() {
        for access in AccessMode::ALL {
            let names: Vec<_> = given(access, "MK4").pairs().map(|(name, _)| name).collect();
            assert_eq!(
                names,
                [
                    "success",
                    "id",
                    "url",
                    "appApiToken",
                    "authbasichttpuser",
                    "authbasichttppassword",
                    "authBearerToken",
                    "printername",
                    "userPrinterAccessUrl",
                    "printerLastKnownLocalIp",
                    "octoPrintApiKey",
                    "authBasicHttpUser",
                    "authBasicHttpPassword",
                ]
            );
        }
    }

    #[test]
    fn the_two_spellings_agree_and_hostname_only_has_empty_values() {
        let completion = given(AccessMode::Enhanced, "MK4");
        let get = |completion: &Completion, wanted: &str| {
            completion
                .pairs()
                .find(|(name, _)| *name == wanted)
                .unwrap()
                .1
                .to_owned()
        };
        assert_eq!(get(&completion, "authbasichttpuser").len(), 10);
        assert_eq!(
            get(&completion, "authbasichttpuser"),
            get(&completion, "authBasicHttpUser")
        );
        assert_eq!(
            get(&completion, "authbasichttppassword"),
            get(&completion, "authBasicHttpPassword")
        );
        let bare = given(AccessMode::None, "MK4");
        for name in [
            "authbasichttpuser",
            "authbasichttppassword",
            "authBearerToken",
            "authBasicHttpUser",
        ] {
            assert_eq!(get(&bare, name), "");
        }
        assert!(!get(&bare, "appApiToken").is_empty());
    }

    #[test]
    fn addresses_keep_the_base_and_put_the_fragment_last() {
        let refused = Completion(vec![
            ("success", Zeroizing::new("false".into())),
            ("error", Zeroizing::new("a b".into())),
        ]);
        for (base, address) in [
            (
                "octopod://octoeverywhere",
                "octopod://octoeverywhere?success=false&error=a%20b",
            ),
            ("octopod:", "octopod:?success=false&error=a%20b"),
            (
                "http://192.168.1.9:1234/token/complete",
                "http://192.168.1.9:1234/token/complete?success=false&error=a%20b",
            ),
            (
                "https://a.example/?x=1",
                "https://a.example/?x=1&success=false&error=a%20b",
            ),
            (
                "https://a.example/?",
                "https://a.example/?success=false&error=a%20b",
            ),
            (
                "https://a.example/?x=1&",
                "https://a.example/?x=1&success=false&error=a%20b",
            ),
            (
                "https://a.example#f?g",
                "https://a.example?success=false&error=a%20b#f?g",
            ),
            (
                "https://A.example/%7e?x#",
                "https://A.example/%7e?x&success=false&error=a%20b#",
            ),
        ] {
            assert_eq!(*refused.address(base), address);
        }
    }

    #[test]
    fn values_are_encoded_for_every_parser() {
        let address = given(AccessMode::Enhanced, "Büro + 50% &c=d#e").address("a:");
        assert!(
            address.contains("&printername=B%C3%BCro%20%2B%2050%25%20%26c%3Dd%23e&"),
            "{}",
            *address
        );
        assert!(address.contains("&url=https%3A%2F%2Fapp-x.printers.example&"));
        assert!(!address.contains('+') && !address.contains(' ') && address.is_ascii());
    }

    #[test]
    fn code_and_refusals_carry_the_state_and_no_more() {
        let code = PortalCode::generate(&SeededChance::new(1));
        let text = code.expose();
        assert_eq!(
            *Completion::code(&code, Some("s 1")).address("a:"),
            format!("a:?success=true&code={text}&state=s%201")
        );
        assert_eq!(
            *Completion::code(&code, None).address("a:"),
            format!("a:?success=true&code={text}")
        );
        for why in Refused::ALL {
            let names: Vec<_> = Completion::refused(why, Some("s"))
                .pairs()
                .map(|(name, _)| name)
                .collect();
            assert_eq!(names, ["success", "error", "errorDescription", "state"]);
        }
    }

    #[test]
    fn nothing_secret_is_printed_and_json_has_the_same_members() {
        let completion = given(AccessMode::Enhanced, "MK4");
        let printed = format!("{completion:?}");
        let json = serde_json::to_value(&completion).unwrap();
        for (name, value) in completion.pairs() {
            assert_eq!(json[name], value);
            assert!(value.len() < 5 || !printed.contains(value), "{name}");
        }
        assert_eq!(json["success"], "true");
    }
}
