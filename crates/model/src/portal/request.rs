//! What an app asks for when it sends a person to the portal.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::code::{CodeChallenge, CodeWish};
use super::target::{ReturnTarget, TargetError};
use crate::app::{AppId, AppName, NameError};
use crate::app_connection::AccessMode;

/// Longest request in our own words. It is carried in addresses of ours, once within another.
const LONGEST: usize = 2048;
/// Longest state of an app's.
const LONGEST_STATE: usize = 512;
/// Longest printer id that is looked up.
const LONGEST_PRINTER: usize = 64;
/// Fewest characters of a key's name.
const LEAST_KEY_NAME: usize = 2;
/// Most characters of a key's name.
const MOST_KEY_NAME: usize = 60;

/// What cannot stand for itself as a value in a query of ours.
pub const QUERY_VALUE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What an app asks for, read and bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalRequest {
    /// Which app says it asks.
    pub app: AppId,
    /// Whether it asks for a connection without credentials.
    pub hostname_only: bool,
    /// Where it wants the person back; our own last page if it does not say.
    pub target: Option<ReturnTarget>,
    /// The printer it means, in its own words: most likely an id, maybe of another relay.
    pub printer: Option<String>,
    /// Under what name it asks for a key at the host, too.
    pub key_name: Option<AppName>,
    /// Whether it speaks to Moonraker.
    pub moonraker: bool,
    /// Whether it wants a code in place of the values.
    pub code: Option<CodeWish>,
}

/// Why the portal does not begin with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It does not say which app asks.
    #[error("the address does not say which app asks (appId)")]
    NoApp,
    /// What it says is no app's id.
    #[error("the app's id cannot be used: {0}")]
    App(NameError),
    /// Where it wants the person back is no place the portal leads to.
    #[error("the return address cannot be used: {0}")]
    Target(TargetError),
    /// It asks for a code without all that belongs to it.
    #[error("a code needs codeChallenge (SHA-256, base64url) and codeChallengeMethod=S256")]
    Code,
    /// There is too much of it.
    #[error("the address is too long")]
    TooLong,
}

impl PortalRequest {
    /// Reads the query of the address an app opened.
    ///
    /// Names are compared without case, the first of several counts, empty is as good as absent,
    /// and unknown ones are ignored.
    pub fn parse(query: &str) -> Result<Self, RequestError> {
        let get = |name| value(query, name);
        let app = get("appid").ok_or(RequestError::NoApp)?;
        let target = raw_value(query, "returnurl").map(|text| {
            let text = percent_decode_str(text)
                .decode_utf8()
                .map_err(|_| TargetError::Unreadable)?;
            ReturnTarget::parse(&text)
        });
        let request = Self {
            app: AppId::from_anybody(&app).map_err(RequestError::App)?,
            hostname_only: AccessMode::from_auth_type(get("authtype").as_deref(), true)
                == AccessMode::None,
            target: target.transpose().map_err(RequestError::Target)?,
            printer: get("printerid").map(printer),
            key_name: get("octoprintapikeyappname").and_then(|name| key_name(&name)),
            moonraker: get("moonraker").is_some_and(|word| word.eq_ignore_ascii_case("true")),
            code: code(query)?,
        };
        let with_code = request.code.is_some();
        let target = request.target.as_ref();
        if target.is_some_and(|target| target.has_names_of(with_code)) {
            return Err(RequestError::Target(TargetError::Reserved));
        }
        if request.to_query().len() > LONGEST {
            return Err(RequestError::TooLong);
        }
        Ok(request)
    }

    /// The same request in one spelling, to be carried along.
    pub fn to_query(&self) -> String {
        let mut query = String::new();
        let mut add = |name: &str, value: &str| {
            let sign = if query.is_empty() { "" } else { "&" };
            query.push_str(sign);
            query.push_str(name);
            query.push('=');
            query.extend(utf8_percent_encode(value, QUERY_VALUE));
        };
        add("appId", self.app.as_str());
        if self.hostname_only {
            add("authType", "none");
        }
        if let Some(target) = &self.target {
            add("returnUrl", target.as_str());
        }
        if let Some(printer) = &self.printer {
            add("printerId", printer);
        }
        if let Some(name) = &self.key_name {
            add("octoPrintApiKeyAppName", name.as_str());
        }
        if self.moonraker {
            add("moonraker", "true");
        }
        if let Some(code) = &self.code {
            add("responseMode", "code");
            add("codeChallenge", &code.challenge.text());
            add("codeChallengeMethod", "S256");
            if let Some(state) = &code.state {
                add("state", state);
            }
        }
        query
    }

    /// What comes back with a code.
    pub fn state(&self) -> Option<&str> {
        self.code.as_ref()?.state.as_deref()
    }
}

/// The first value of this name that is not empty, as it is written.
fn raw_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.find(|(written, _)| {
        percent_decode_str(written)
            .decode_utf8_lossy()
            .eq_ignore_ascii_case(name)
    })?;
    (!value.is_empty()).then_some(value)
}

/// The same, read as forms write values. A return address is not: some apps write it without
/// encoding anything, and no space can be in it.
fn value(query: &str, name: &str) -> Option<String> {
    let spaced = raw_value(query, name)?.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// What is no id of ours leads to the page for printers that are not there, whatever it is.
fn printer(text: String) -> String {
    let plain = text.len() <= LONGEST_PRINTER
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain { text } else { "-".to_owned() }
}

/// A name that does not fit gets no key; the rest goes on.
fn key_name(text: &str) -> Option<AppName> {
    let name = AppName::cleaned(text).ok()?;
    let count = name.as_str().chars().count();
    (LEAST_KEY_NAME..=MOST_KEY_NAME)
        .contains(&count)
        .then_some(name)
}

fn code(query: &str) -> Result<Option<CodeWish>, RequestError> {
    let mode = value(query, "responsemode");
    let challenge = value(query, "codechallenge");
    let wants_code = mode.is_some_and(|mode| mode.eq_ignore_ascii_case("code"));
    match (wants_code, challenge) {
        (false, None) => Ok(None),
        // Whoever can prove that they asked does not want secrets in an address.
        (false, Some(_)) | (true, None) => Err(RequestError::Code),
        (true, Some(challenge)) => {
            let challenge = CodeChallenge::parse(&challenge).map_err(|_| RequestError::Code)?;
            let state = value(query, "state");
            let fits = |state: &String| {
                state.len() <= LONGEST_STATE && !state.chars().any(char::is_control)
            };
            let is_s256 = value(query, "codechallengemethod").as_deref() == Some("S256");
            if !is_s256 || !state.as_ref().is_none_or(fits) {
                return Err(RequestError::Code);
            }
            Ok(Some(CodeWish { challenge, state }))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn parse(query: &str) -> PortalRequest {
        PortalRequest::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    #[test]
    fn real_apps_are_understood() {
        let octopod = parse(
            "appid=octopod&authType=enhanced&returnUrl=octopod://octoeverywhere&OctoPrintApiKeyAppName=OctoPod&printerId=",
        );
        assert_eq!(octopod.app.as_str(), "octopod");
        assert_eq!(octopod.target.unwrap().as_str(), "octopod://octoeverywhere");
        assert_eq!(octopod.key_name.unwrap().as_str(), "OctoPod");
        assert_eq!((octopod.printer, octopod.hostname_only), (None, false));
        let mobileraker = parse(
            "appid=mobileraker&returnUrl=mobileraker%3A%2F%2Focto&moonraker=true&appLogoUrl=x&formatVersion=1",
        );
        assert!(mobileraker.moonraker);
        assert_eq!(mobileraker.target.unwrap().as_str(), "mobileraker://octo");
    }

    #[test]
    fn names_have_any_case_the_first_counts_and_empty_is_absent() {
        for query in [
            "appId=a",
            "APPID=a",
            "appid=A",
            "appid=a&appid=b",
            "x&appId=a&y=",
            "%61ppid=a",
            "a=b&&appid=a",
        ] {
            assert_eq!(parse(query).app.as_str(), "a", "{query}");
        }
        assert_eq!(PortalRequest::parse(""), Err(RequestError::NoApp));
        assert_eq!(PortalRequest::parse("appId="), Err(RequestError::NoApp));
        assert_eq!(
            PortalRequest::parse("appId=&appId=b"),
            Err(RequestError::NoApp)
        );
        let bare = parse(
            "appId=a&returnUrl=&printerId=&authType=&octoPrintApiKeyAppName=&moonraker=&responseMode=&state=",
        );
        assert_eq!(bare, parse("appId=a"));
    }

    #[test]
    fn bounds_hold() {
        for id in [
            "a b".to_owned(),
            "a".repeat(65),
            "%E2%80%AEx".to_owned(),
            "octo%E2%80%8Bpod".to_owned(),
            "%00".to_owned(),
            "a".repeat(10_000),
        ] {
            assert!(
                matches!(
                    PortalRequest::parse(&format!("appId={id}")),
                    Err(RequestError::App(_))
                ),
                "{id}"
            );
        }
        for (name, kept) in [
            ("x", None),
            ("xy", Some("xy")),
            ("My+App", Some("My App")),
            ("%20a%20b%20", Some("a b")),
        ] {
            let request = parse(&format!("appId=a&octoPrintApiKeyAppName={name}"));
            assert_eq!(request.key_name.as_ref().map(AppName::as_str), kept);
        }
        assert!(
            parse(&format!(
                "appId=a&octoPrintApiKeyAppName={}",
                "x".repeat(61)
            ))
            .key_name
            .is_none()
        );
        assert!(
            parse(&format!(
                "appId=a&octoPrintApiKeyAppName={}",
                "x".repeat(10_000)
            ))
            .key_name
            .is_none()
        );
        for printer in [
            "x".repeat(65),
            "%3Cscript%3E".to_owned(),
            "%C3%A4".to_owned(),
            "a+b".to_owned(),
        ] {
            assert_eq!(
                parse(&format!("appId=a&printerId={printer}"))
                    .printer
                    .as_deref(),
                Some("-")
            );
        }
        let long = format!(
            "appId=a&returnUrl=https://a.example/{}&responseMode=code&codeChallenge={CHALLENGE}&codeChallengeMethod=S256&state={}",
            "%25".repeat(900),
            "x".repeat(500)
        );
        assert_eq!(PortalRequest::parse(&long), Err(RequestError::TooLong));
    }

    #[test]
    fn only_the_two_words_ask_for_a_connection_without_credentials() {
        for (word, hostname_only) in [
            ("none", true),
            ("Simple", true),
            ("basic", false),
            ("bearer", false),
            ("enhanced", false),
            ("x", false),
        ] {
            assert_eq!(
                parse(&format!("appId=a&authType={word}")).hostname_only,
                hostname_only,
                "{word}"
            );
        }
    }

    #[test]
    fn return_addresses_are_read_as_they_are_meant() {
        for (written, read) in [
            ("octopod://octoeverywhere", "octopod://octoeverywhere"),
            (
                "http%3A%2F%2F192.168.1.9%3A1234%2Ftoken%2Fcomplete",
                "http://192.168.1.9:1234/token/complete",
            ),
            ("x-a+b:c+d", "x-a+b:c+d"),
            ("https://a.example/?b=c", "https://a.example/?b=c"),
            ("https://a.example/%2520", "https://a.example/%20"),
        ] {
            assert_eq!(
                parse(&format!("appId=a&returnUrl={written}"))
                    .target
                    .unwrap()
                    .as_str(),
                read
            );
        }
        for written in [
            "javascript:alert(1)",
            "%FF",
            "https://a.example/%0d%0a",
            "//a.example",
        ] {
            assert!(matches!(
                PortalRequest::parse(&format!("appId=a&returnUrl={written}")),
                Err(RequestError::Target(_))
            ));
        }
    }

    #[test]
    fn codes_need_all_that_belongs_to_them() {
        let with = |rest: &str| PortalRequest::parse(&format!("appId=a&{rest}"));
        let whole = with(&format!(
            "responseMode=code&codeChallenge={CHALLENGE}&codeChallengeMethod=S256&state=s%201"
        ))
        .unwrap();
        assert_eq!(whole.state(), Some("s 1"));
        let bare = with(&format!(
            "RESPONSEMODE=Code&CODECHALLENGE={CHALLENGE}&codechallengemethod=S256"
        ))
        .unwrap();
        assert_eq!((bare.code.is_some(), bare.state()), (true, None));
        for rest in [
            "responseMode=code".to_owned(),
            format!("codeChallenge={CHALLENGE}"),
            format!("codeChallenge={CHALLENGE}&codeChallengeMethod=S256"),
            format!("responseMode=code&codeChallenge={CHALLENGE}"),
            format!("responseMode=code&codeChallenge={CHALLENGE}&codeChallengeMethod=plain"),
            "responseMode=code&codeChallenge=short&codeChallengeMethod=S256".to_owned(),
            format!(
                "responseMode=code&codeChallenge={CHALLENGE}&codeChallengeMethod=S256&state=%0A"
            ),
            format!(
                "responseMode=code&codeChallenge={CHALLENGE}&codeChallengeMethod=S256&state={}",
                "x".repeat(513)
            ),
        ] {
            assert_eq!(with(&rest), Err(RequestError::Code), "{rest}");
        }
        assert_eq!(with("responseMode=query&state=x").unwrap().code, None);
    }

    #[test]
    fn return_addresses_bring_nothing_that_is_sent_to_them() {
        let with = |target: &str, rest: &str| {
            PortalRequest::parse(&format!("appId=a&returnUrl={target}{rest}"))
        };
        let code = format!("&responseMode=code&codeChallenge={CHALLENGE}&codeChallengeMethod=S256");
        let reserved = Err(RequestError::Target(TargetError::Reserved));
        for (target, query, in_code) in [
            ("https://a.example/?code=1", true, false),
            ("https://a.example/?CODE", true, false),
            ("https://a.example/?st%61te=1", true, false),
            ("https://a.example/?url=x", false, true),
            ("https://a.example/?success=x", false, false),
            ("https://a.example/?authBearerToken=x", false, false),
            ("https://a.example/?octoPrintApiKey=x", false, false),
            ("https://a.example/?id=x", true, true),
        ] {
            let encoded = target.replace('%', "%25").replace('&', "%26");
            let plain = with(&encoded, "");
            assert_eq!(plain != reserved, query, "{target}: {plain:?}");
            let coded = with(&encoded, &code);
            assert_eq!(coded != reserved, in_code, "{target}: {coded:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_carried_along_stays_what_it_was(query in "(appId=[a-zA-Z<>'\"é%+.-]{1,20})(&(returnUrl=octopod:[a-z+%25/?&]{0,9}|printerId=[A-Z-]{0,9}|octoPrintApiKeyAppName=[a-z+<&%25é]{0,9}|authType=none|moonraker=true)){0,5}") {
            if let Ok(request) = PortalRequest::parse(&query) {
                let carried = request.to_query();
                prop_assert!(carried.is_ascii());
                prop_assert_eq!(PortalRequest::parse(&carried), Ok(request));
            }
        }

        #[test]
        fn nothing_breaks_the_reader(query in ".{0,200}") {
            if let Ok(request) = PortalRequest::parse(&query) {
                prop_assert_eq!(PortalRequest::parse(&request.to_query()), Ok(request));
            }
        }
    }
}
