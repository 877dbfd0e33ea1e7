//! The hello: who is at the other end of a fresh tunnel, proved for this connection only.
//!
//! The host signs with its key what no other connection shares: the TLS exporter, the
//! relay's nonce and the relay's name. A recorded answer is worthless on the next
//! connection, and one obtained by a relay in the middle names the wrong relay or
//! carries the wrong exporter.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::identity::HostIdentity;
use crate::tls::Exporter;

/// The protocol's newest version that this program speaks.
pub const PROTOCOL: u16 = 1;
/// The oldest version that it still speaks.
pub const OLDEST_PROTOCOL: u16 = 1;

const DOMAIN: &[u8] = b"latchkey tunnel hello v1";
const MAX_TEXT: usize = 128;
const MAX_FEATURES: usize = 64;

/// What ties a hello to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// The TLS exporter: both ends are ends of one TLS connection.
    TlsExporter,
    /// Only nonce and relay name: TLS ended at a proxy before the relay, or there is none.
    None,
}

/// What a host said about itself; the key is proved, the rest is its own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostHello {
    /// The host's Ed25519 public key.
    pub host_key: [u8; 32],
    /// Sixteen bytes that differ for each run of the host.
    pub instance: [u8; 16],
    /// Which of the host's connections to this relay this is, from 0.
    pub connection: u8,
    /// The host's name for people.
    pub name: String,
    /// The host's program version.
    pub version: String,
    /// What the host can do beyond the protocol's version; unknown ones are ignored.
    pub features: Vec<String>,
    /// The version of the protocol in use.
    pub protocol: u16,
    /// What the proof is tied to.
    pub binding: Binding,
}

/// The relay's half on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RelayHello {
    pub(super) protocol: u16,
    pub(super) oldest_protocol: u16,
    pub(super) relay: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) features: Vec<String>,
    pub(super) nonce: String,
    pub(super) binding: Binding,
}

/// The host's half on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HostAnswer {
    pub(super) protocol: u16,
    pub(super) host_key: String,
    pub(super) instance: String,
    pub(super) connection: u8,
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) features: Vec<String>,
    pub(super) signature: String,
}

/// Why a host does not answer a relay's hello.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistrust {
    /// The hello is not one.
    #[error("the relay's hello is malformed ({0}); is it a Latchkey relay of this generation?")]
    Malformed(String),
    /// No version in common.
    #[error(
        "the relay speaks tunnel protocol {oldest} to {newest}, this host {OLDEST_PROTOCOL} to \
         {PROTOCOL}; update the older of the two"
    )]
    Protocol {
        /// The relay's oldest.
        oldest: u16,
        /// The relay's newest.
        newest: u16,
    },
    /// The relay calls itself differently.
    #[error(
        "this host dialled {dialled}, but the relay calls itself {claimed}; set the host's relay \
         URL to the relay's public URL"
    )]
    Name {
        /// As in the host's configuration.
        dialled: String,
        /// As in the hello, made printable.
        claimed: String,
    },
    /// The relay does not see the TLS connection of the host.
    #[error(
        "TLS ends before the relay, so it cannot prove that nobody listens in between; if you \
         trust the proxy in front of it, set allow_unbound: true"
    )]
    Unbound,
    /// The relay claims a TLS connection that is not the host's.
    #[error("the relay says the connection has TLS, but this host dialled it without")]
    BoundWithoutTls,
}

impl Mistrust {
    /// The stable word for it on the wire.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Protocol { .. } => "protocol",
            Self::Name { .. } => "relay_name",
            Self::Unbound => "unbound",
            Self::BoundWithoutTls => "binding",
        }
    }
}

/// Why a host's answer proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The answer is not one.
    #[error("the host's answer to the hello is malformed: {0}")]
    Malformed(&'static str),
    /// The host chose a version that was not offered.
    #[error("the host chose protocol {0}, which was not offered")]
    Protocol(u16),
    /// The signature is not by that key, or not over this connection's hello.
    #[error("the host's signature does not fit its key and this connection")]
    Signature,
}

/// What a host brings to its half of the hello.
pub(super) struct HostSide<'a> {
    pub(super) identity: &'a HostIdentity,
    pub(super) connection: u8,
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) features: &'a [String],
    /// The authority that was dialled.
    pub(super) relay_name: &'a str,
    pub(super) exporter: Option<&'a Exporter>,
    /// Do without a binding: configured, or the relay is on this machine.
    pub(super) allow_unbound: bool,
}

impl HostSide<'_> {
    /// Checks the relay's hello and signs the answer.
    pub(super) fn answer(&self, body: &[u8]) -> Result<HostAnswer, Mistrust> {
        let hello: RelayHello =
            serde_json::from_slice(body).map_err(|error| Mistrust::Malformed(error.to_string()))?;
        let protocol = choose(hello.oldest_protocol, hello.protocol)?;
        if hello.relay != self.relay_name {
            return Err(Mistrust::Name {
                dialled: self.relay_name.to_owned(),
                claimed: hello.relay.escape_debug().take(MAX_TEXT).collect(),
            });
        }
        let nonce = decode(&hello.nonce)
            .ok_or_else(|| Mistrust::Malformed("nonce is not 32 bytes of base64url".to_owned()))?;
        let exporter = match (hello.binding, self.exporter) {
            (Binding::TlsExporter, Some(exporter)) => Some(exporter),
            (Binding::TlsExporter, None) => return Err(Mistrust::BoundWithoutTls),
            (Binding::None, _) if self.allow_unbound => None,
            (Binding::None, _) => return Err(Mistrust::Unbound),
        };
        let mut answer = HostAnswer {
            protocol,
            host_key: URL_SAFE_NO_PAD.encode(self.identity.public_key()),
            instance: URL_SAFE_NO_PAD.encode(self.identity.instance()),
            connection: self.connection,
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            features: self.features.to_vec(),
            signature: String::new(),
        };
        let transcript = Challenge {
            exporter,
            relay_name: self.relay_name,
            nonce: &nonce,
            hello_body: body,
        }
        .transcript(
            &self.identity.public_key(),
            &self.identity.instance(),
            &answer,
        );
        answer.signature = URL_SAFE_NO_PAD.encode(self.identity.sign(&transcript));
        Ok(answer)
    }
}

/// What a host signs, and a relay compares its answer with.
pub(super) struct Challenge<'a> {
    pub(super) exporter: Option<&'a Exporter>,
    pub(super) relay_name: &'a str,
    pub(super) nonce: &'a [u8; 32],
    /// The relay's hello exactly as it was sent.
    pub(super) hello_body: &'a [u8],
}

impl Challenge<'_> {
    /// Checks form and signature of a host's answer.
    pub(super) fn verify(&self, answer: HostAnswer) -> Result<HostHello, Unproven> {
        if !(OLDEST_PROTOCOL..=PROTOCOL).contains(&answer.protocol) {
            return Err(Unproven::Protocol(answer.protocol));
        }
        let host_key: [u8; 32] = decode(&answer.host_key).ok_or(Unproven::Malformed("host_key"))?;
        let instance: [u8; 16] = decode(&answer.instance).ok_or(Unproven::Malformed("instance"))?;
        let signature: [u8; 64] =
            decode(&answer.signature).ok_or(Unproven::Malformed("signature"))?;
        if !is_text(&answer.name) || !is_text(&answer.version) {
            return Err(Unproven::Malformed("name or version"));
        }
        if answer.features.len() > MAX_FEATURES || !answer.features.iter().all(|f| is_feature(f)) {
            return Err(Unproven::Malformed("features"));
        }
        let key =
            VerifyingKey::from_bytes(&host_key).map_err(|_| Unproven::Malformed("host_key"))?;
        let transcript = self.transcript(&host_key, &instance, &answer);
        // Strict: refuses keys and signatures that fit more than one message.
        key.verify_strict(&transcript, &Signature::from_bytes(&signature))
            .map_err(|_| Unproven::Signature)?;
        Ok(HostHello {
            host_key,
            instance,
            connection: answer.connection,
            name: answer.name,
            version: answer.version,
            features: answer.features,
            protocol: answer.protocol,
            binding: match self.exporter {
                Some(_) => Binding::TlsExporter,
                None => Binding::None,
            },
        })
    }

    /// The bytes that are signed: each part after its length, so that no two sets of
    /// parts give the same bytes.
    pub(super) fn transcript(
        &self,
        host_key: &[u8; 32],
        instance: &[u8; 16],
        answer: &HostAnswer,
    ) -> Vec<u8> {
        let hello_digest = Sha256::digest(self.hello_body);
        let features = answer.features.join(",");
        let parts: [&[u8]; 12] = [
            DOMAIN,
            self.exporter
                .map_or(&[0; 32], Exporter::as_bytes)
                .as_slice(),
            self.relay_name.as_bytes(),
            self.nonce,
            host_key,
            instance,
            &hello_digest,
            &answer.protocol.to_be_bytes(),
            &[answer.connection],
            answer.name.as_bytes(),
            answer.version.as_bytes(),
            features.as_bytes(),
        ];
        let mut bytes = Vec::with_capacity(512);
        for part in parts {
            // Parts are bounded by the control body, far below four gigabytes.
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// The newest version both speak.
fn choose(oldest: u16, newest: u16) -> Result<u16, Mistrust> {
    let chosen = newest.min(PROTOCOL);
    if oldest <= newest && chosen >= oldest.max(OLDEST_PROTOCOL) {
        Ok(chosen)
    } else {
        Err(Mistrust::Protocol { oldest, newest })
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

fn is_text(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
}

/// No comma, because the transcript joins features with one.
fn is_feature(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte)
        })
}
