//! Code mode: an app fetches what it was given with a proof that it is the one who asked
//! (RFC 7636).

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 of what only the asking app knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeChallenge([u8; 32]);

/// A text is not a code challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code challenge is the SHA-256 of the verifier in base64url, 43 characters")]
pub struct ParseChallengeError;

impl CodeChallenge {
    /// Reads a challenge as an app sent it.
    pub fn parse(text: &str) -> Result<Self, ParseChallengeError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
        let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(ParseChallengeError)
    }

    /// Whether a verifier is the one it was made of.
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let shaped = (43..=128).contains(&verifier.len())
            && verifier
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        let digest: [u8; 32] = Sha256::digest(verifier.as_bytes()).into();
        shaped && bool::from(digest.ct_eq(&self.0))
    }

    /// As an app sends it.
    pub fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

/// That an app wants a code in place of what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeWish {
    /// What whoever brings the code must know the verifier of.
    pub challenge: CodeChallenge,
    /// What comes back with the code, for the app to know its own request by.
    pub state: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_standard_holds() {
        let challenge = CodeChallenge::parse(CHALLENGE).unwrap();
        assert!(challenge.is_met_by(VERIFIER));
        assert_eq!(challenge.text(), CHALLENGE);
        for wrong in [
            "",
            CHALLENGE,
            &VERIFIER[1..],
            &format!("{VERIFIER}x"),
            &"a".repeat(129),
        ] {
            assert!(!challenge.is_met_by(wrong), "{wrong}");
        }
    }

    #[test]
    fn challenges_have_one_form() {
        for wrong in [
            "",
            "x",
            &CHALLENGE[1..],
            &format!("{CHALLENGE}="),
            &CHALLENGE.replace('-', "+"),
            &"A".repeat(44),
        ] {
            assert!(CodeChallenge::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn verifiers_that_are_too_short_meet_nothing() {
        let short = "abc";
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(short));
        assert!(!CodeChallenge::parse(&challenge).unwrap().is_met_by(short));
    }
}
