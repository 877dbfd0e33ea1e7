//! Passkeys (Web Authentication): public keys of people's devices, by which they sign in without
//! a name and without a password. The device saw to it that it was them, so one counts for both
//! factors.

pub(crate) mod http;
#[cfg(test)]
mod tests;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use latchkey_model::account::Account;
use latchkey_model::app_key::network_of;
use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_model::id::{AccountId, PasskeyId, SessionId};
use latchkey_model::sealed::{MasterKey, SigningKey};
use latchkey_model::secret::{StepHash, StepToken};
use latchkey_store::relay::{KeptPasskey, SignIn};
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::limits::{Limits, TooMany, Window, household};
use url::Url;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, RequestChallengeResponse, Uuid, Webauthn, WebauthnBuilder,
};

use crate::config::Config;
use crate::second_factors::waiting::Waiting;

/// How many one account has.
pub(crate) const MOST: u32 = 20;

/// Most characters of a name.
const LONGEST_NAME: usize = 40;

/// How long a device may take, and how many do so at once: of too many who sign in, the oldest of
/// the network with the most.
const LASTS: Duration = Duration::from_mins(5);
const MOST_WAITING: usize = 1000;

/// Sign-ins that one network begins, successful or not.
const BEGINNINGS: [Window; 1] = [Window::new(60, Duration::from_mins(10))];

/// Why a passkey was not added, or led to no account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasskeyError {
    /// The address of this relay is none that passkeys can be for.
    #[error("this relay cannot have passkeys")]
    Impossible,
    /// The device took too long, or the answer is one to another question.
    #[error("nobody was asked for this")]
    NotAsked,
    /// It does not fit, or nobody has it.
    #[error("the passkey is not good here")]
    Unfit,
    #[error("there are too many passkeys")]
    Full,
    #[error("too many begin to sign in from this network")]
    TooMany(TooMany),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who came by a passkey.
pub(crate) struct Came {
    /// What has to hold still when the session begins.
    pub(crate) proved: SignIn,
    pub(crate) passkey: PasskeyId,
}

/// The passkeys of this relay's accounts.
pub(crate) struct Passkeys {
    webauthn: Option<Webauthn>,
    store: RelayStore,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    /// Makes what devices know accounts by.
    handles: SigningKey,
    adding: Waiting<SessionId, PasskeyRegistration>,
    entering: Waiting<StepHash, DiscoverableAuthentication>,
    beginnings: Limits<IpAddr>,
}

impl Passkeys {
    pub(crate) fn new(
        config: &Config,
        store: &RelayStore,
        clock: &Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
        key: &MasterKey,
    ) -> Self {
        Self {
            webauthn: relying_party(config),
            store: store.clone(),
            clock: Arc::clone(clock),
            chance: Arc::clone(chance),
            handles: key.signing("relay handles of passkeys"),
            adding: Waiting::new(LASTS, MOST_WAITING),
            entering: Waiting::new(LASTS, MOST_WAITING),
            beginnings: Limits::new(&BEGINNINGS),
        }
    }

    /// Whether there can be any: not where the relay is known by a bare address.
    pub(crate) const fn are_possible(&self) -> bool {
        self.webauthn.is_some()
    }

    fn webauthn(&self) -> Result<&Webauthn, PasskeyError> {
        self.webauthn.as_ref().ok_or(PasskeyError::Impossible)
    }

    /// What a device knows an account by. It says nothing of the account.
    fn handle(&self, account: &AccountId) -> Uuid {
        let mac = self.handles.sign(account.as_str());
        let (handle, _) = mac.split_first_chunk().expect("a MAC has 32 bytes");
        Uuid::from_bytes(*handle)
    }

    /// Asks a device for a new passkey.
    pub(crate) async fn begin_adding(
        &self,
        account: &Account,
        session: &SessionId,
    ) -> Result<serde_json::Value, PasskeyError> {
        let webauthn = self.webauthn()?;
        let kept = self.store.passkeys().list_of(&account.id).await?;
        if kept.len() >= MOST as usize {
            return Err(PasskeyError::Full);
        }
        let known = kept.iter().map(|kept| kept.credential_id.clone());
        let email = account.email.as_str();
        let handle = self.handle(&account.id);
        let known = Some(known.collect());
        let begun = webauthn.start_passkey_registration(handle, email, email, known);
        let (asked, state) = begun.map_err(|error| unfit(&error))?;
        let mut asked = serde_json::to_value(asked).expect("a question is plain data");
        let selection = &mut asked["publicKey"]["authenticatorSelection"];
        // By one that the device does not list nobody could sign in without a name.
        selection["residentKey"] = "required".into();
        selection["requireResidentKey"] = true.into();
        self.adding.put(session.clone(), state, self.clock.now());
        Ok(asked)
    }

    /// Keeps what the device made.
    pub(crate) async fn finish_adding(
        &self,
        account: &Account,
        session: &SessionId,
        name: &str,
        made: &RegisterPublicKeyCredential,
    ) -> Result<KeptPasskey, PasskeyError> {
        let now = self.clock.now();
        let state = self.adding.take(session, now);
        let state = state.ok_or(PasskeyError::NotAsked)?;
        let passkey = self
            .webauthn()?
            .finish_passkey_registration(made, &state)
            .map_err(|error| unfit(&error))?;
        let kept = KeptPasskey {
            id: PasskeyId::generate(&*self.chance),
            account: account.id.clone(),
            credential_id: passkey.cred_id().as_slice().to_vec(),
            credential: written(&passkey),
            name: named(name),
            created: now,
            used: None,
        };
        match self.store.passkeys().add(&kept, MOST).await {
            Ok(true) => {}
            Ok(false) => return Err(PasskeyError::Full),
            Err(StoreError::Conflict) => return Err(PasskeyError::Unfit),
            Err(error) => return Err(error.into()),
        }
        tracing::info!(account.id = %account.id, passkey.id = %kept.id, "a passkey was added");
        Ok(kept)
    }

    /// Asks whoever is there for any passkey of this relay.
    pub(crate) fn begin_entering(
        &self,
        address: IpAddr,
    ) -> Result<(StepToken, RequestChallengeResponse), PasskeyError> {
        let webauthn = self.webauthn()?;
        let now = self.clock.now();
        let counted = self.beginnings.count(&household(address), now);
        counted.map_err(PasskeyError::TooMany)?;
        let begun = webauthn.start_discoverable_authentication();
        let (mut asked, state) = begun.map_err(|error| unfit(&error))?;
        // They pressed a button: it is not for the browser to decide when it asks.
        asked.mediation = None;
        let token = StepToken::generate(&*self.chance);
        let network = network_of(address);
        self.entering.put_of(network, token.hash(), state, now);
        Ok((token, asked))
    }

    /// Whose passkey it is.
    pub(crate) async fn finish_entering(
        &self,
        token: &str,
        shown: &PublicKeyCredential,
    ) -> Result<Came, PasskeyError> {
        let now = self.clock.now();
        let state = self.entering.take(&StepHash::of(token), now);
        let state = state.ok_or(PasskeyError::NotAsked)?;
        let webauthn = self.webauthn()?;
        let named = webauthn.identify_discoverable_authentication(shown);
        let (handle, credential_id) = named.map_err(|error| unfit(&error))?;
        let passkeys = self.store.passkeys();
        let kept = passkeys.find_by_credential(credential_id).await?;
        let kept = kept.filter(|kept| self.handle(&kept.account) == handle);
        let kept = kept.ok_or(PasskeyError::Unfit)?;
        let proved = self.standing(&kept.account).await?;
        let mut passkey: Passkey =
            serde_json::from_str(&kept.credential).map_err(|_| PasskeyError::Unfit)?;
        let result = webauthn
            .finish_discoverable_authentication_v2(shown, state, &passkey)
            .map_err(|error| unfit(&error))?;
        // Without that it would be no more than a thing that somebody has.
        if !result.user_verified() {
            return Err(PasskeyError::Unfit);
        }
        passkey.update_credential(&result);
        if !passkeys.note_used(&kept, &written(&passkey), now).await? {
            return Err(PasskeyError::Unfit);
        }
        Ok(Came {
            proved,
            passkey: kept.id,
        })
    }

    async fn standing(&self, id: &AccountId) -> Result<SignIn, PasskeyError> {
        let accounts = self.store.accounts();
        let password_hash = accounts.find_password_hash(id).await?;
        let account = accounts.find(id).await?;
        let account = account.filter(|account| account.suspended.is_none());
        Ok(SignIn {
            account: account.ok_or(PasskeyError::Unfit)?,
            password_hash,
        })
    }

    /// Removes a passkey of this account. Gives its name; nothing if there is none.
    pub(crate) async fn remove(
        &self,
        account: &AccountId,
        id: &PasskeyId,
    ) -> Result<Option<String>, StoreError> {
        let passkeys = self.store.passkeys();
        let kept = passkeys.list_of(account).await?;
        let kept = kept.into_iter().find(|kept| kept.id == *id);
        if !passkeys.remove(account, id).await? {
            return Ok(None);
        }
        tracing::info!(account.id = %account, passkey.id = %id, "a passkey was removed");
        Ok(kept.map(|kept| kept.name))
    }
}

/// Passkeys are for a host name, so a relay known by a bare address has none.
fn relying_party(config: &Config) -> Option<Webauthn> {
    let origin: Url = config.public_url.to_string().parse().ok()?;
    let name = origin.domain()?.to_owned();
    let builder = WebauthnBuilder::new(&name, &origin).ok()?;
    builder.rp_name(&name).timeout(LASTS).build().ok()
}

/// What a library says of an answer is about what a stranger sent.
fn unfit(error: &webauthn_rs::prelude::WebauthnError) -> PasskeyError {
    tracing::debug!(%error, "an answer of a passkey does not fit");
    PasskeyError::Unfit
}

fn written(passkey: &Passkey) -> String {
    serde_json::to_string(passkey).expect("a passkey is plain data")
}

/// A name as it is shown, without what cannot be.
fn named(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    let name: String = plain.take(LONGEST_NAME).collect();
    let name = name.trim();
    if name.is_empty() {
        "Passkey".to_owned()
    } else {
        name.to_owned()
    }
}
