//! An authority as RFC 8555 has it: an account, an order, a record for each name, a certificate.

use std::time::Duration;

use futures_util::future::BoxFuture;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeHandle, ChallengeType, Error, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use latchkey_net::egress::{Egress, EgressRules};
use zeroize::Zeroizing;

use super::courier::Courier;
use super::hook::{Act, Hook, Record, one_line};
use super::kept::Kept;
use super::{AcmeError, Authority, Given};
use crate::config;

/// How long an authority may take to look for the records, and to sign.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_mins(5));

const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

pub(super) struct Directory {
    contact: Option<String>,
    egress: Egress,
    hook: Hook,
    kept: Kept,
}

impl Authority for Directory {
    fn certificate<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Result<Given, AcmeError>> {
        Box::pin(self.ask(names))
    }
}

impl Directory {
    pub(super) fn open(settings: &config::Acme, kept: Kept) -> Result<Self, AcmeError> {
        let no_program = || AcmeError::NoProgram(settings.hook.clone());
        let hook = Hook::new(&settings.hook).ok_or_else(no_program)?;
        let egress = Egress::new(EgressRules::anywhere(), settings.ca.as_deref());
        let contact = settings.email.as_ref();
        Ok(Self {
            contact: contact.map(|email| format!("mailto:{}", email.as_str())),
            egress: egress.map_err(AcmeError::Ca)?,
            hook,
            kept,
        })
    }

    async fn ask(&self, names: &[String]) -> Result<Given, AcmeError> {
        let mut order = self.order(names).await?;
        let mut records = Vec::new();
        let proved = self.prove(&mut order, names, &mut records).await;
        // Also those of which a program said that it failed: it may have got half way.
        for record in &records {
            if let Err(error) = self.hook.call(Act::Cleanup, record).await {
                tracing::warn!(
                    dns.name = %record.name,
                    %error,
                    "a record of the DNS was not removed"
                );
            }
        }
        proved?;
        let key = order.finalize().await.map_err(|error| refused(&error))?;
        let key = Zeroizing::new(key);
        let chain = order.poll_certificate(&PATIENCE).await;
        let chain = chain.map_err(|error| refused(&error))?;
        Ok(Given {
            chain: Zeroizing::new(chain),
            key,
        })
    }

    /// An order for these names, by the account that is kept or a new one.
    async fn order(&self, names: &[String]) -> Result<Order, AcmeError> {
        let identifiers: Vec<_> = names.iter().cloned().map(Identifier::Dns).collect();
        let wanted = NewOrder::new(&identifiers);
        if let Some(credentials) = self.kept.account() {
            let account = Account::builder_with_http(Box::new(Courier(self.egress.clone())));
            let account = account.from_credentials(credentials).await;
            let account = account.map_err(|error| refused(&error))?;
            match account.new_order(&wanted).await {
                Err(error) if is_unknown_account(&error) => {
                    tracing::warn!("the authority does not know the account; a new one is made");
                }
                ordered => return ordered.map_err(|error| refused(&error)),
            }
        }
        let account = self.new_account().await?;
        let ordered = account.new_order(&wanted).await;
        ordered.map_err(|error| refused(&error))
    }

    async fn new_account(&self) -> Result<Account, AcmeError> {
        let contact: Vec<_> = self.contact.as_deref().into_iter().collect();
        let wanted = NewAccount {
            contact: &contact,
            // Who names an authority in the configuration agrees: see its reference.
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let builder = Account::builder_with_http(Box::new(Courier(self.egress.clone())));
        let directory = self.kept.directory().to_owned();
        let made = builder.create(&wanted, directory, None).await;
        let (account, credentials) = made.map_err(|error| refused(&error))?;
        self.kept.keep_account(credentials)?;
        tracing::info!("an account was made at the authority");
        Ok(account)
    }

    /// Sets a record for each name that is not proved yet, and lets the authority look at them.
    /// What was set, or may have been, stands in `records` afterwards.
    async fn prove(
        &self,
        order: &mut Order,
        names: &[String],
        records: &mut Vec<Record>,
    ) -> Result<(), AcmeError> {
        let mut open = order.authorizations();
        while let Some(authorization) = open.next().await {
            let mut authorization = authorization.map_err(|error| refused(&error))?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                status => {
                    let message = format!("the authority calls a name {status:?}");
                    return Err(AcmeError::Authority(message));
                }
            }
            let challenge = authorization.challenge(ChallengeType::Dns01);
            let record = record(&challenge.ok_or_else(no_challenge)?, names)?;
            records.push(record.clone());
            self.hook.call(Act::Present, &record).await?;
            tracing::info!(dns.name = %record.name, "a record of the DNS was set");
        }
        // All at once, after all stand: two of them may have the same name.
        let mut open = order.authorizations();
        while let Some(authorization) = open.next().await {
            let mut authorization = authorization.map_err(|error| refused(&error))?;
            if authorization.status == AuthorizationStatus::Pending {
                let challenge = authorization.challenge(ChallengeType::Dns01);
                let mut challenge = challenge.ok_or_else(no_challenge)?;
                let told = challenge.set_ready().await;
                told.map_err(|error| refused(&error))?;
            }
        }
        let error = match order.poll_ready(&PATIENCE).await {
            Ok(OrderStatus::Ready) => return Ok(()),
            Ok(_) => AcmeError::Authority("the authority was not convinced".to_owned()),
            Err(error) => refused(&error),
        };
        Err(why(order).await.unwrap_or(error))
    }
}

/// The record that proves a name, if it is one of ours: the program is told no other.
fn record(challenge: &ChallengeHandle<'_>, names: &[String]) -> Result<Record, AcmeError> {
    let identifier = challenge.identifier();
    match identifier.identifier {
        Identifier::Dns(name) if names.contains(&identifier.to_string()) => Ok(Record {
            name: format!("_acme-challenge.{name}"),
            value: challenge.key_authorization().dns_value(),
        }),
        _ => Err(AcmeError::Authority(
            "the authority wants another name proved".to_owned(),
        )),
    }
}

/// What the authority says about the first record that it did not like.
async fn why(order: &mut Order) -> Option<AcmeError> {
    let mut all = order.authorizations();
    while let Some(authorization) = all.next().await {
        let mut authorization = authorization.ok()?;
        let state = authorization.refresh().await.ok()?;
        let mut problems = state.challenges.iter().filter_map(|one| one.error.as_ref());
        if let Some(problem) = problems.next() {
            let text = format!("{}: {problem}", state.identifier());
            return Some(AcmeError::Authority(one_line(&text)));
        }
    }
    None
}

fn no_challenge() -> AcmeError {
    AcmeError::Authority("the authority takes no records of the DNS as proof".to_owned())
}

fn is_unknown_account(error: &Error) -> bool {
    matches!(error, Error::Api(problem) if problem.r#type.as_deref() == Some(UNKNOWN_ACCOUNT))
}

fn refused(error: &Error) -> AcmeError {
    AcmeError::Authority(one_line(&error.to_string()))
}
