//! Secrets: the plain text shown once, and the hash that is kept.
//!
//! [`Secret<K>`] holds plain text: it can be exposed and hashed, not compared and not printed.
//! [`SecretHash<K>`] holds its SHA-256: it can be kept, looked up and compared in constant time.
//! Plain SHA-256 is enough because every kind carries at least 128 random bits, or is good for
//! minutes only; what a person chooses is not a `Secret` but a [`PasswordHash`].

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::chance::{Chance, letters};
use crate::text::{BASE36_LOWER, BASE62, BASE64_URL, HEX_UPPER};

/// What kind of secret a [`Secret`] is; decides its shape.
pub trait Kind: Send + Sync + 'static {
    /// Its name, for `Debug`.
    const NAME: &'static str;
    /// How its text looks.
    const SHAPE: Shape;
}

/// How the text of a secret looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One of our own tokens: the prefix names the kind, 43 base62 characters (256 bits)
    /// follow, then 4 characters of checksum, by which a scanner tells a leaked token from
    /// a look-alike.
    Token {
        /// What the text starts with.
        prefix: &'static str,
    },
    /// The connection label: `app-` and 32 characters `[a-z0-9]` (165 bits), one DNS label.
    /// Read in any case, since DNS does not tell them apart.
    Label,
    /// Characters of URL-safe base64, `length` of them in what we make. Read at 16 to 128, since
    /// keys of other makers are taken over.
    UrlSafe {
        /// How many characters.
        length: usize,
    },
    /// `length` hexadecimal digits in upper case, and in no other.
    UpperHex {
        /// How many characters.
        length: usize,
    },
    /// `length` ASCII letters and digits: some apps put the Basic pair into the user-info
    /// part of a URL without encoding it.
    Alphanumeric {
        /// How many characters.
        length: usize,
    },
    /// `length` letters that a person types: no vowels, so no words, and none that is read as
    /// another (RFC 8628 section 6.1). Read in any case, with blanks and hyphens anywhere. Few bits
    /// for each: such a secret is good for minutes, and tries are counted.
    Typed {
        /// How many letters.
        length: usize,
    },
}

/// The letters of what a person types.
const TYPED: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";

const BODY: usize = 43;
const CHECKSUM: usize = 4;
const LABEL_PREFIX: &str = "app-";
const LABEL_BODY: usize = 32;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $secret:ident, $hash:ident, $shape:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $kind {}

        impl Kind for $kind {
            const NAME: &'static str = stringify!($secret);
            const SHAPE: Shape = $shape;
        }

        $(#[$doc])*
        ///
        /// The plain text.
        pub type $secret = Secret<$kind>;

        $(#[$doc])*
        ///
        /// The hash.
        pub type $hash = SecretHash<$kind>;
    )*};
}

kinds! {
    /// The hostname label of an app connection.
    LabelKind, ConnectionLabel, LabelHash, Shape::Label;
    /// The user name of an app connection's Basic pair.
    BasicUserKind, BasicUser, BasicUserHash, Shape::Alphanumeric { length: 10 };
    /// The password of an app connection's Basic pair.
    BasicPasswordKind, BasicPassword, BasicPasswordHash, Shape::Alphanumeric { length: 32 };
    /// The bearer token of an app connection.
    BearerKind, BearerToken, BearerHash, Shape::Token { prefix: "lk_conn_" };
    /// What an app presents to the App API.
    AppTokenKind, AppToken, AppTokenHash, Shape::Token { prefix: "lk_app_" };
    /// A browser's sign-in.
    SessionKind, SessionToken, SessionHash, Shape::Token { prefix: "lk_sess_" };
    /// What keeps a browser signed in at a host beyond its session.
    RememberKind, RememberToken, RememberHash, Shape::Token { prefix: "lk_keep_" };
    /// A session as it is named to the push socket; worth nothing elsewhere.
    PushHandleKind, PushHandle, PushHandleHash, Shape::UrlSafe { length: 43 };
    /// One app's key at a host, in the form that apps expect of `OctoPrint`.
    AppKeyKind, AppKeyText, AppKeyHash, Shape::UrlSafe { length: 43 };
    /// The key of an app that signed for it, in the form of `OctoPrint`'s App Session Keys.
    SessionKeyKind, SessionKeyText, SessionKeyHash, Shape::UpperHex { length: 32 };
    /// By what an app asks after its key request.
    RequestTokenKind, RequestToken, RequestTokenHash, Shape::UrlSafe { length: 43 };
    /// By what a person's decision names a key request.
    DecisionTokenKind, DecisionToken, DecisionTokenHash, Shape::UrlSafe { length: 43 };
    /// What makes a link good for whoever has it.
    LinkKind, LinkSecret, LinkHash, Shape::Token { prefix: "lk_link_" };
    /// What makes a live link good for whoever has it: 130 bits, without signs at which programs
    /// break an address off.
    LiveLinkKind, LiveLinkSecret, LiveLinkHash, Shape::Alphanumeric { length: 26 };
    /// By what a host asks how its pairing went.
    PairingPollKind, PairingPoll, PairingPollHash, Shape::Token { prefix: "lk_pair_" };
    /// What a person types to attach a host to their account.
    PairingCodeKind, PairingCode, PairingCodeHash, Shape::Typed { length: 8 };
    /// A one-time code that a portal hands to an app in place of the credentials.
    PortalCodeKind, PortalCode, PortalCodeHash, Shape::Token { prefix: "lk_code_" };
    /// By which the receiver of a webhook knows that a call is the relay's.
    WebhookSecretKind, WebhookSecret, WebhookSecretHash, Shape::Token { prefix: "lk_hook_" };
    /// What a link to one picture is good by.
    SnapshotKind, SnapshotSecret, SnapshotHash, Shape::UrlSafe { length: 43 };
    /// By what a sign-in that takes several steps goes on.
    StepKind, StepToken, StepHash, Shape::Token { prefix: "lk_step_" };
    /// What a person types in place of a second factor that is lost. Good for long, so its hash is
    /// made with a key that is not in the database: the letters alone carry 69 bits.
    RecoveryCodeKind, RecoveryCode, RecoveryCodeHash, Shape::Typed { length: 16 };
    /// A browser's way to one printer's own hostname.
    OwnCookieKind, OwnCookie, OwnCookieHash, Shape::Token { prefix: "lk_own_" };
    /// What a page of the web origin hands over to a printer's own hostname, once.
    OwnCodeKind, OwnCode, OwnCodeHash, Shape::Token { prefix: "lk_open_" };
}

/// A text is not a secret of the wanted kind. Says no more: the text may be a mistyped secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a valid {kind}")]
pub struct ParseSecretError {
    /// The wanted kind.
    pub kind: &'static str,
}

/// The plain text of a secret. Wiped from memory when dropped.
///
/// It cannot be printed, and two of them cannot be compared:
///
/// ```compile_fail
/// # use latchkey_model::secret::AppToken;
/// fn same(a: AppToken, b: AppToken) -> bool { a == b }
/// ```
pub struct Secret<K> {
    text: Zeroizing<String>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Secret<K> {
    /// Makes a new one.
    pub fn generate(chance: &dyn Chance) -> Self {
        Self::new(match K::SHAPE {
            Shape::Token { prefix } => {
                let body = Zeroizing::new(letters(chance, BASE62, BODY));
                let mut text = String::with_capacity(prefix.len() + BODY + CHECKSUM);
                text.push_str(prefix);
                text.push_str(&body);
                let checksum = checksum(&text);
                text.push_str(&checksum);
                text
            }
            Shape::Label => {
                let body = letters(chance, BASE36_LOWER, LABEL_BODY);
                format!("{LABEL_PREFIX}{body}")
            }
            Shape::UpperHex { length } => letters(chance, HEX_UPPER, length),
            Shape::Typed { length } => letters(chance, TYPED, length),
            Shape::Alphanumeric { length } => letters(chance, BASE62, length),
            Shape::UrlSafe { length } => letters(chance, BASE64_URL, length),
        })
    }

    /// Reads one that somebody presents or pastes.
    pub fn parse(text: &str) -> Result<Self, ParseSecretError> {
        let valid = match K::SHAPE {
            Shape::Typed { length } => {
                let plain = typed(text);
                // What is longer is no slip of a finger.
                text.len() <= 4 * length
                    && plain.len() == length
                    && plain.bytes().all(|b| TYPED.contains(&b))
            }
            Shape::Token { prefix } => is_token(text, prefix),
            Shape::Label => is_label(text),
            Shape::UrlSafe { .. } => {
                (16..=128).contains(&text.len()) && text.bytes().all(|b| BASE64_URL.contains(&b))
            }
            Shape::UpperHex { length } => {
                text.len() == length && text.bytes().all(|b| HEX_UPPER.contains(&b))
            }
            Shape::Alphanumeric { length } => {
                text.len() == length && text.bytes().all(|b| b.is_ascii_alphanumeric())
            }
        };
        if !valid {
            return Err(ParseSecretError { kind: K::NAME });
        }
        Ok(Self::new(match K::SHAPE {
            Shape::Label => text.to_ascii_lowercase(),
            Shape::Typed { .. } => typed(text),
            _ => text.to_owned(),
        }))
    }

    /// The text itself, to be shown or sent; never to be logged or kept.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash<K> {
        SecretHash::of(&self.text)
    }

    fn new(text: String) -> Self {
        Self {
            text: Zeroizing::new(text),
            kind: PhantomData,
        }
    }
}

impl Secret<PairingCodeKind> {
    /// As it is shown: two groups of four letters.
    pub fn shown(&self) -> String {
        let (first, second) = self.text.split_at(self.text.len() / 2);
        format!("{first}-{second}")
    }
}

impl Secret<RecoveryCodeKind> {
    /// As it is shown: four groups of four letters.
    pub fn shown(&self) -> Zeroizing<String> {
        let mut shown = Zeroizing::new(String::with_capacity(self.text.len() + 3));
        for (index, letter) in self.text.chars().enumerate() {
            if index > 0 && index % 4 == 0 {
                shown.push('-');
            }
            shown.push(letter);
        }
        shown
    }
}

impl<K> Clone for Secret<K> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            kind: PhantomData,
        }
    }
}

impl<K: Kind> fmt::Debug for Secret<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(…)", K::NAME)
    }
}

/// The SHA-256 of a secret: what is kept, looked up and compared.
///
/// Equality takes the same time wherever two hashes differ.
pub struct SecretHash<K> {
    bytes: [u8; 32],
    kind: PhantomData<fn() -> K>,
}

impl<K> SecretHash<K> {
    /// The hash of a presented text, whether or not it has the right shape.
    pub fn of(text: &str) -> Self {
        Self::from_bytes(Sha256::digest(text.as_bytes()).into())
    }

    /// The hash as it was kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self {
            bytes,
            kind: PhantomData,
        }
    }

    /// The bytes to keep.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Whether `text` is the secret, in constant time.
    pub fn matches(&self, text: &str) -> bool {
        *self == Self::of(text)
    }
}

impl<K> ConstantTimeEq for SecretHash<K> {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.bytes.ct_eq(&other.bytes)
    }
}

impl<K> PartialEq for SecretHash<K> {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl<K> Eq for SecretHash<K> {}

impl<K> Hash for SecretHash<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl<K> Clone for SecretHash<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for SecretHash<K> {}

impl<K: Kind> fmt::Debug for SecretHash<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretHash<{}>(…)", K::NAME)
    }
}

/// A password's hash as PHC text, made and checked by the role; opaque here.
#[derive(Clone)]
pub struct PasswordHash(Zeroizing<String>);

impl PasswordHash {
    /// Takes the PHC text.
    pub fn new(phc: String) -> Self {
        Self(Zeroizing::new(phc))
    }

    /// The PHC text, to be checked against or kept.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

fn is_token(text: &str, prefix: &str) -> bool {
    let Some(rest) = text.strip_prefix(prefix) else {
        return false;
    };
    if rest.len() != BODY + CHECKSUM || !rest.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return false;
    }
    let (covered, presented) = text.split_at(text.len() - CHECKSUM);
    // Not a secret comparison: the checksum follows from the rest.
    checksum(covered) == presented
}

/// What was typed, without what people put between letters.
fn typed(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && !"-\u{2010}\u{2011}\u{2013}\u{2014}".contains(*c))
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

fn is_label(text: &str) -> bool {
    text.len() == LABEL_PREFIX.len() + LABEL_BODY
        && text.is_ascii()
        && text[..LABEL_PREFIX.len()].eq_ignore_ascii_case(LABEL_PREFIX)
        && text[LABEL_PREFIX.len()..]
            .bytes()
            .all(|b| b.is_ascii_alphanumeric())
}

/// Four base62 characters from the first eight bytes of SHA-256 of what they cover.
fn checksum(covered: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(covered.as_bytes()).into();
    let mut number = digest[..8]
        .iter()
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let mut text = String::with_capacity(CHECKSUM);
    for _ in 0..CHECKSUM {
        let index = usize::try_from(number % 62).expect("less than 62");
        text.push(char::from(BASE62[index]));
        number /= 62;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chance::SeededChance;

    fn shapes() -> [(&'static str, String, usize, &'static str); 7] {
        let chance = SeededChance::new(1);
        [
            ("label", plain::<LabelKind>(&chance), 36, "app-"),
            ("user", plain::<BasicUserKind>(&chance), 10, ""),
            ("password", plain::<BasicPasswordKind>(&chance), 32, ""),
            ("bearer", plain::<BearerKind>(&chance), 55, "lk_conn_"),
            ("app token", plain::<AppTokenKind>(&chance), 54, "lk_app_"),
            ("session", plain::<SessionKind>(&chance), 55, "lk_sess_"),
            ("code", plain::<PortalCodeKind>(&chance), 55, "lk_code_"),
        ]
    }

    fn plain<K: Kind>(chance: &dyn Chance) -> String {
        Secret::<K>::generate(chance).expose().to_owned()
    }

    #[test]
    fn each_kind_has_its_shape() {
        for (kind, text, length, prefix) in shapes() {
            assert_eq!(text.len(), length, "{kind}");
            assert!(text.starts_with(prefix), "{kind}");
            let url_safe = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            assert!(text.bytes().all(url_safe), "{kind}: {text}");
        }
    }

    #[test]
    fn label_is_lower_case_and_one_dns_label() {
        let text = plain::<LabelKind>(&SeededChance::new(2));
        assert!(text.len() <= 63);
        assert!(!text.bytes().any(|b| b.is_ascii_uppercase() || b == b'_'));
    }

    #[test]
    fn label_is_read_in_any_case() {
        let label = ConnectionLabel::generate(&SeededChance::new(3));
        let shouted = ConnectionLabel::parse(&label.expose().to_ascii_uppercase()).unwrap();
        assert_eq!(shouted.hash(), label.hash());
        assert_eq!(shouted.expose(), label.expose());
    }

    #[test]
    fn what_is_no_label_is_refused() {
        let good = "app-0123456789abcdefghijklmnopqrstuv";
        assert!(ConnectionLabel::parse(good).is_ok());
        let bad = [
            "",
            "app-",
            "www",
            "app-0123456789abcdefghijklmnopqrstu",
            "app-0123456789abcdefghijklmnopqrstuvw",
            "app_0123456789abcdefghijklmnopqrstuv",
            "shared-6789abcdefghijklmnopqrstuv000",
            "app-0123456789abcdefghijklmnopqrst-v",
            "app-0123456789abcdefghijklmnopqrst.v",
            "app-0123456789abcdefghijklmnopqrsté",
            "äpp-123456789abcdefghijklmnopqrstuv",
        ];
        for text in bad {
            assert!(ConnectionLabel::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn published_tokens_keep_their_checksum() {
        // Scanners outside this program compute the same: four base62 digits, least significant
        // first, of the first eight bytes of SHA-256, read big-endian.
        assert_eq!(
            checksum("lk_app_0000000000000000000000000000000000000000000"),
            KNOWN_CHECKSUM
        );
        let text = format!("lk_app_0000000000000000000000000000000000000000000{KNOWN_CHECKSUM}");
        assert!(AppToken::parse(&text).is_ok());
    }

    const KNOWN_CHECKSUM: &str = "aHYL";

    #[test]
    fn token_of_one_kind_is_no_token_of_another() {
        let bearer = plain::<BearerKind>(&SeededChance::new(4));
        assert!(BearerToken::parse(&bearer).is_ok());
        assert!(AppToken::parse(&bearer).is_err());
        assert!(SessionToken::parse(&bearer).is_err());
        let renamed = bearer.replace("lk_conn_", "lk_sess_");
        assert!(
            SessionToken::parse(&renamed).is_err(),
            "the checksum covers the prefix"
        );
    }

    #[test]
    fn a_pairing_code_is_read_as_people_type_it() {
        let code = PairingCode::generate(&SeededChance::new(6));
        let shown = code.shown();
        assert_eq!((shown.len(), &shown[4..5]), (9, "-"));
        for typed in [
            shown.clone(),
            shown.to_ascii_lowercase(),
            shown.replace('-', ""),
            shown.replace('-', " \u{2013} "),
            format!(" {shown}\n"),
        ] {
            let read = PairingCode::parse(&typed).unwrap();
            assert_eq!(read.hash(), code.hash(), "{typed}");
        }
        for wrong in [
            "",
            "BCDF-GHJ",
            "BCDF-GHJKL",
            "BCDF-GHJA",
            "BCDF-GH1K",
            "\u{e9}CDF-GHJK",
        ] {
            assert!(PairingCode::parse(wrong).is_err(), "{wrong}");
        }
        assert!(PairingCode::parse(&format!("BCDFGHJK{}", "-".repeat(99))).is_err());
    }

    #[test]
    fn a_recovery_code_is_shown_in_groups_and_read_back() {
        let code = RecoveryCode::generate(&SeededChance::new(7));
        let shown = code.shown();
        let groups: Vec<_> = shown.split('-').map(str::len).collect();
        assert_eq!(groups, [4, 4, 4, 4]);
        let typed = shown.to_ascii_lowercase().replace('-', " ");
        assert_eq!(RecoveryCode::parse(&typed).unwrap().expose(), code.expose());
        assert!(RecoveryCode::parse("123456").is_err());
    }

    #[test]
    fn nothing_prints_a_secret() {
        let chance = SeededChance::new(5);
        let token = AppToken::generate(&chance);
        let shown = format!("{token:?} {:?}", token.hash());
        assert_eq!(shown, "AppToken(…) SecretHash<AppToken>(…)");
        let password = PasswordHash::new("$argon2id$v=19$secret".to_owned());
        assert_eq!(format!("{password:?}"), "PasswordHash(…)");
        let error = AppToken::parse("lk_app_mistyped").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("mistyped"));
    }

    #[test]
    fn hash_is_sha_256_of_the_text() {
        let hash = AppTokenHash::of("abc");
        assert_eq!(
            data_encoding::HEXLOWER.encode(hash.as_bytes()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(hash.matches("abc"));
        assert!(!hash.matches("abd"));
        assert_eq!(hash, AppTokenHash::from_bytes(*hash.as_bytes()));
    }

    #[test]
    fn hashes_differ_at_any_byte() {
        let hash = AppTokenHash::of("x");
        for index in 0..32 {
            let mut bytes = *hash.as_bytes();
            bytes[index] ^= 1;
            assert_ne!(hash, AppTokenHash::from_bytes(bytes), "byte {index}");
        }
    }

    proptest! {
        #[test]
        fn what_is_generated_parses_back(seed: u64) {
            let chance = SeededChance::new(seed);
            let token = BearerToken::generate(&chance);
            prop_assert_eq!(BearerToken::parse(token.expose()).unwrap().hash(), token.hash());
            let label = ConnectionLabel::generate(&chance);
            prop_assert_eq!(ConnectionLabel::parse(label.expose()).unwrap().hash(), label.hash());
            let user = BasicUser::generate(&chance);
            prop_assert_eq!(BasicUser::parse(user.expose()).unwrap().hash(), user.hash());
        }

        #[test]
        fn one_changed_character_breaks_the_checksum(seed: u64, at in 0_usize..54, to in 0_usize..62) {
            let text = plain::<AppTokenKind>(&SeededChance::new(seed));
            let mut bytes = text.clone().into_bytes();
            bytes[at] = BASE62[to];
            let changed = String::from_utf8(bytes).unwrap();
            // A changed body may have the same checksum once in 62⁴ = 14.8 million.
            prop_assert_eq!(AppToken::parse(&changed).is_ok(), changed == text);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "\\PC{0,60}") {
            let _ = AppToken::parse(&text).is_ok();
            let _ = BasicUser::parse(&text).is_ok();
            let _ = ConnectionLabel::parse(&text).is_ok();
        }
    }
}
