//! Pairing, as host and relay say it: who asks is proved with the host's key, so that nobody gets
//! a code for somebody else's host.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::identity::HostIdentity;

const DOMAIN: &[u8] = b"latchkey pairing v1";
/// How far the clocks of host and relay may differ.
const SKEW: Duration = Duration::from_mins(10);
/// Most bytes of a host's name, as in the tunnel's hello.
const MAX_NAME: usize = 128;

/// A host's wish to be paired, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairingStart {
    /// The host's public key, base64url.
    pub host_key: String,
    /// What the host calls itself.
    pub name: String,
    /// The host's time, in seconds since 1970.
    pub time: i64,
    /// 32 random bytes, base64url.
    pub nonce: String,
    /// By the host's key over the relay's name and all the above, base64url.
    pub signature: String,
}

/// Why a wish proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A member has not the form it should have.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The host's clock is wrong, or it is an old wish of somebody who listened.
    #[error("the host's clock and the relay's differ by more than ten minutes")]
    Time,
    /// The signature is not by that key, or not for this relay.
    #[error("the signature does not fit the host's key and this relay")]
    Signature,
}

/// What a relay answers to a host's wish.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairingStarted {
    /// What a person types, as it is shown.
    pub code: String,
    /// The page for it, with the code in it.
    pub link: String,
    /// The page for it, where the code is typed.
    pub page: String,
    /// By what the host asks how it went; secret.
    pub poll: String,
    /// For how long the code is good, in seconds.
    pub expires_in: u64,
    /// How long to wait between two questions, in seconds.
    pub interval: u64,
}

impl std::fmt::Debug for PairingStarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PairingStarted").finish_non_exhaustive()
    }
}

/// How a pairing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairingState {
    /// Nobody has decided.
    Pending,
    /// Somebody has taken the host for theirs.
    Confirmed,
    /// Somebody has said that the host is not theirs.
    Refused,
    /// The code is no longer good, or never was.
    Expired,
}

/// What a relay answers when a host asks how it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairingAnswer {
    /// How it stands.
    pub state: PairingState,
    /// What the host's printer is called there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printer_name: Option<String>,
    /// The printer's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printer_id: Option<String>,
    /// Whose it is now, in a form that its owner knows and that tells others little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// How a relay declines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingProblem {
    /// For programs.
    pub code: String,
    /// For people.
    #[serde(rename = "error", default)]
    pub sentence: String,
}

impl PairingStart {
    /// The wish of the host with this identity to be paired at the relay of this name.
    pub fn sign(
        identity: &HostIdentity,
        relay_name: &str,
        name: &str,
        time: i64,
        nonce: &[u8; 32],
    ) -> Self {
        let mut wish = Self {
            host_key: URL_SAFE_NO_PAD.encode(identity.public_key()),
            name: name.to_owned(),
            time,
            nonce: URL_SAFE_NO_PAD.encode(nonce),
            signature: String::new(),
        };
        let transcript = wish.transcript(relay_name, &identity.public_key(), nonce);
        wish.signature = URL_SAFE_NO_PAD.encode(identity.sign(&transcript));
        wish
    }

    /// Checks the wish at a relay of this name, whose time is `now`. The host's key and the nonce,
    /// which the relay must not take twice.
    pub fn verify(&self, relay_name: &str, now: i64) -> Result<([u8; 32], [u8; 32]), ProofError> {
        let key: [u8; 32] = decode(&self.host_key).ok_or(ProofError::Malformed("host_key"))?;
        let nonce: [u8; 32] = decode(&self.nonce).ok_or(ProofError::Malformed("nonce"))?;
        let signature: [u8; 64] =
            decode(&self.signature).ok_or(ProofError::Malformed("signature"))?;
        let fits = self.name.len() <= MAX_NAME && !self.name.chars().any(char::is_control);
        if !fits || self.name.trim().is_empty() {
            return Err(ProofError::Malformed("name"));
        }
        if now.abs_diff(self.time) > SKEW.as_secs() {
            return Err(ProofError::Time);
        }
        let verifying =
            VerifyingKey::from_bytes(&key).map_err(|_| ProofError::Malformed("host_key"))?;
        let transcript = self.transcript(relay_name, &key, &nonce);
        // Strict: refuses keys and signatures that fit more than one message.
        verifying
            .verify_strict(&transcript, &Signature::from_bytes(&signature))
            .map_err(|_| ProofError::Signature)?;
        Ok((key, nonce))
    }

    /// What is signed: each part after its length, as in the tunnel's hello, under a name of its
    /// own, so that neither is ever taken for the other.
    fn transcript(&self, relay_name: &str, key: &[u8; 32], nonce: &[u8; 32]) -> Vec<u8> {
        let time = self.time.to_be_bytes();
        let parts: [&[u8]; 6] = [
            DOMAIN,
            relay_name.as_bytes(),
            nonce,
            key,
            &time,
            self.name.as_bytes(),
        ];
        let mut bytes = Vec::with_capacity(256);
        for part in parts {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: &str = "relay.example.com";
    const NOW: i64 = 1_760_000_000;

    fn wish(identity: &HostIdentity) -> PairingStart {
        PairingStart::sign(identity, RELAY, "Garage Voron", NOW, &[7; 32])
    }

    #[test]
    fn a_wish_proves_the_key_at_its_relay_and_time_only() {
        let identity = HostIdentity::generate().unwrap();
        let wish = wish(&identity);
        let proved = Ok((identity.public_key(), [7; 32]));
        assert_eq!(wish.verify(RELAY, NOW), proved);
        assert_eq!(wish.verify(RELAY, NOW + 600), proved);
        assert_eq!(wish.verify(RELAY, NOW + 601), Err(ProofError::Time));
        assert_eq!(wish.verify(RELAY, NOW - 601), Err(ProofError::Time));
        let elsewhere = wish.verify("evil.example.com", NOW);
        assert_eq!(elsewhere, Err(ProofError::Signature));
    }

    #[test]
    fn nothing_of_a_wish_can_be_changed() {
        let identity = HostIdentity::generate().unwrap();
        let original = wish(&identity);
        let other = HostIdentity::generate().unwrap();
        let other_nonce = PairingStart::sign(&identity, RELAY, "x", NOW, &[8; 32]).nonce;
        let changed = [
            PairingStart {
                host_key: wish(&other).host_key,
                ..original.clone()
            },
            PairingStart {
                name: "Garage Prusa".to_owned(),
                ..original.clone()
            },
            PairingStart {
                time: NOW + 1,
                ..original.clone()
            },
            PairingStart {
                nonce: other_nonce,
                ..original.clone()
            },
            PairingStart {
                signature: wish(&other).signature,
                ..original.clone()
            },
        ];
        for wish in changed {
            assert_eq!(
                wish.verify(RELAY, NOW),
                Err(ProofError::Signature),
                "{wish:?}"
            );
        }
        for (name, time) in [("", NOW), ("a\nb", NOW), (&*"x".repeat(129), NOW)] {
            let wish = PairingStart::sign(&identity, RELAY, name, time, &[7; 32]);
            let refused = Err(ProofError::Malformed("name"));
            assert_eq!(wish.verify(RELAY, NOW), refused, "{name:?}");
        }
        let far = PairingStart::sign(&identity, RELAY, "x", i64::MIN, &[7; 32]);
        assert_eq!(far.verify(RELAY, i64::MAX), Err(ProofError::Time));
    }

    #[test]
    fn the_secret_in_an_answer_is_not_printed() {
        let started = PairingStarted {
            code: "BCDF-GHJK".to_owned(),
            link: String::new(),
            page: String::new(),
            poll: "lk_pair_planted".to_owned(),
            expires_in: 900,
            interval: 5,
        };
        assert_eq!(format!("{started:?}"), "PairingStarted { .. }");
    }
}
