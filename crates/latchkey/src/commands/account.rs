//! `latchkey account …`: people known to the relay. Works beside a running relay, which notices
//! what changed and cuts what may no longer be open.

use anyhow::{Context as _, anyhow, bail};
use latchkey_model::account::{Account, Email, Suspension};
use latchkey_model::account_notice::{Notice, NoticeKind};
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::id::AccountId;
use latchkey_model::limit::Month;
use latchkey_model::plan::PlanName;
use latchkey_relay::audit::{Act, Actor, Audit, Entry};
use latchkey_relay::config::Config;
use latchkey_relay::{Relay, check_password};
use latchkey_store::{RelayStore, StoreError};
use serde_json::json;

use super::password;
use crate::app_side::UsageError;
use crate::cli::PasswordArgs;
use crate::cli::account::{AccountAction, RelayConfigArgs, SecondFactorAction};
use crate::config::{self, Checking, ConfigError};
use crate::output;

/// Accounts read at a time.
const PAGE: u32 = 500;

pub(crate) async fn run(action: AccountAction) -> anyhow::Result<()> {
    match action {
        AccountAction::Add {
            email,
            plan,
            admin,
            password,
            config,
        } => {
            let relay = Known::open(&config).await?;
            relay.add(&email, plan.as_deref(), admin, &password).await
        }
        AccountAction::List { json, config } => Known::open(&config).await?.list(json).await,
        AccountAction::Plan {
            email,
            plan,
            config,
        } => Known::open(&config).await?.plan(&email, &plan).await,
        AccountAction::Suspend {
            email,
            reason,
            config,
        } => Known::open(&config).await?.suspend(&email, &reason).await,
        AccountAction::Unsuspend { email, config } => {
            Known::open(&config).await?.unsuspend(&email).await
        }
        AccountAction::Passwd {
            email,
            password,
            config,
        } => Known::open(&config).await?.passwd(&email, &password).await,
        AccountAction::SecondFactor(SecondFactorAction::Remove { email, config }) => {
            let relay = Known::open(&config).await?;
            relay.remove_second_factor(&email).await
        }
        AccountAction::Remove { email, config } => Known::open(&config).await?.remove(&email).await,
    }
}

/// The relay that a command works on.
pub(super) struct Known {
    config: Config,
    pub(super) store: RelayStore,
    pub(super) audit: Audit,
}

impl Known {
    pub(super) async fn open(args: &RelayConfigArgs) -> anyhow::Result<Self> {
        let file = Checking::with_environment(&args.config);
        let read = config::relay::read(&file);
        let config = if let Err(ConfigError::Read { .. }) = &read {
            let hint = "this command needs the relay's configuration; name it with --config";
            read.context(hint)?.config
        } else {
            read?.config
        };
        let path = Relay::database(&config.data);
        let store = RelayStore::open(&path)
            .await
            .with_context(|| format!("cannot open the relay's database {}", path.display()))?;
        let audit = Audit::of_files(&config, &store)?;
        Ok(Self {
            config,
            store,
            audit,
        })
    }

    async fn find(&self, email: &str) -> anyhow::Result<Account> {
        let address = Email::parse(email).map_err(|_| anyhow!(missing(email)))?;
        let found = self.store.accounts().find_by_email(&address).await?;
        found.ok_or_else(|| anyhow!(missing(email)))
    }

    fn known_plan(&self, name: &str) -> anyhow::Result<PlanName> {
        let known = name.parse().ok();
        let known = known.filter(|name| self.config.plans.find(name).is_some());
        known.ok_or_else(|| {
            let plans: Vec<_> = self
                .config
                .plans
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            let plans = plans.join(", ");
            UsageError(format!(
                "there is no plan {name:?}; the configuration has {plans}"
            ))
            .into()
        })
    }

    /// Writes down what the command did to an account.
    async fn note(&self, act: Act, account: &AccountId, detail: &str) {
        let entry = Entry {
            account: Some(account.clone()),
            detail: detail.to_owned(),
            ..Entry::new(Actor::CommandLine, act)
        };
        self.audit.note(entry).await;
    }

    async fn done(self, note: &str) -> anyhow::Result<()> {
        self.store.close().await;
        output::note(note);
        Ok(())
    }

    async fn add(
        self,
        email: &str,
        plan: Option<&str>,
        admin: bool,
        args: &PasswordArgs,
    ) -> anyhow::Result<()> {
        let email = Email::parse(email).map_err(|error| UsageError(error.to_string()))?;
        let plan = match plan {
            Some(plan) => self.known_plan(plan)?,
            None => self.config.default_plan.clone(),
        };
        let accounts = self.store.accounts();
        if accounts.find_by_email(&email).await?.is_some() {
            bail!(taken(&email));
        }
        let hash = password::ask(args, check_password).await?;
        let id = AccountId::generate(&SystemChance);
        let account = Account {
            administrator: admin,
            ..Account::new(id, email, SystemClock.now(), plan)
        };
        match accounts.create(&account, Some(&hash)).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => bail!(taken(&account.email)),
            Err(error) => return Err(error.into()),
        }
        let plan = account.plan.as_str();
        self.note(Act::AccountMade, &account.id, plan).await;
        if admin {
            self.note(Act::AdministratorMade, &account.id, "").await;
        }
        let what = if admin { ", an administrator" } else { "" };
        let note = format!(
            "Added {}{what}, on the plan {}.",
            account.email.as_str(),
            account.plan
        );
        self.done(&note).await
    }

    async fn list(self, as_json: bool) -> anyhow::Result<()> {
        let mut accounts = Vec::new();
        let month = Month::of(SystemClock.now());
        loop {
            let after = accounts.last().map(|(account, ..): &Listed| &account.email);
            let page = self.store.accounts().list(after, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for account in page {
                let printers = self.store.printers().list_by_account(&account.id).await?;
                let used = self.store.account_usage().load(&account.id, month).await?;
                accounts.push((account, printers.len(), used.bytes));
            }
        }
        self.store.close().await;
        if as_json {
            let accounts: Vec<_> = accounts.iter().map(as_value).collect();
            output::result(&serde_json::to_string(&accounts)?);
            return Ok(());
        }
        if accounts.is_empty() {
            output::note(
                "There are no accounts yet. `latchkey account add EMAIL --admin` adds the first.",
            );
        }
        let width = accounts
            .iter()
            .map(|(account, ..)| account.email.as_str().chars().count());
        let width = width.max().unwrap_or_default();
        for (account, printers, _) in &accounts {
            let (email, plan) = (account.email.as_str(), account.plan.as_str());
            let role = if account.administrator {
                ", administrator"
            } else {
                ""
            };
            let state = match &account.suspended {
                Some(suspension) => format!(", suspended: {}", printable(&suspension.reason)),
                None => String::new(),
            };
            output::result(&format!(
                "{email:width$}  {plan:10}  {printers} printers{role}{state}"
            ));
        }
        Ok(())
    }

    async fn plan(self, email: &str, plan: &str) -> anyhow::Result<()> {
        let plan = self.known_plan(plan)?;
        let account = self.find(email).await?;
        if !self.store.accounts().set_plan(&account.id, &plan).await? {
            bail!(missing(email));
        }
        self.note(Act::PlanChanged, &account.id, plan.as_str())
            .await;
        let has_them = self.config.plans.find(&plan);
        let note = if has_them.is_some_and(|plan| plan.app_connections) {
            format!("{} is on the plan {plan} now.", account.email.as_str())
        } else {
            format!(
                "{} is on the plan {plan} now, without app connections.",
                account.email.as_str()
            )
        };
        self.done(&note).await
    }

    async fn suspend(self, email: &str, reason: &str) -> anyhow::Result<()> {
        let account = self.find(email).await?;
        let suspension = Suspension {
            at: SystemClock.now(),
            reason: reason.to_owned(),
        };
        if !self
            .store
            .accounts()
            .suspend(&account.id, &suspension)
            .await?
        {
            bail!("{} is suspended already", account.email.as_str());
        }
        self.note(Act::AccountSuspended, &account.id, "").await;
        self.done(&format!("Suspended {}.", account.email.as_str()))
            .await
    }

    async fn unsuspend(self, email: &str) -> anyhow::Result<()> {
        let account = self.find(email).await?;
        if !self.store.accounts().unsuspend(&account.id).await? {
            bail!("{} is not suspended", account.email.as_str());
        }
        self.note(Act::SuspensionEnded, &account.id, "").await;
        self.done(&format!(
            "{} is no longer suspended.",
            account.email.as_str()
        ))
        .await
    }

    async fn passwd(self, email: &str, args: &PasswordArgs) -> anyhow::Result<()> {
        let account = self.find(email).await?;
        let hash = password::ask(args, check_password).await?;
        if !self
            .store
            .accounts()
            .set_password_hash(&account.id, &hash)
            .await?
        {
            bail!(missing(email));
        }
        let ended = self.store.sessions().end_others(&account.id, None).await?;
        self.store.links().drop_letters(&account.id).await?;
        self.note(Act::PasswordChanged, &account.id, "").await;
        let note = format!(
            "Changed the password of {}. Ended: {ended} sessions.",
            account.email.as_str()
        );
        self.done(&note).await
    }

    async fn remove_second_factor(self, email: &str) -> anyhow::Result<()> {
        let account = self.find(email).await?;
        if !self.store.second_factors().remove_all(&account.id).await? {
            bail!("{} has no second factor", account.email.as_str());
        }
        let ended = self.store.sessions().end_others(&account.id, None).await?;
        self.note(Act::SecondFactorTakenAway, &account.id, "").await;
        let notice = Notice {
            at: SystemClock.now(),
            kind: NoticeKind::FactorsReset,
            detail: String::new(),
            device: String::new(),
            network: String::new(),
        };
        self.store.notices().add(&account.id, &notice).await?;
        let note = format!(
            "Took codes and passkeys away from {}. Ended: {ended} sessions.",
            account.email.as_str()
        );
        self.done(&note).await
    }

    async fn remove(self, email: &str) -> anyhow::Result<()> {
        let account = self.find(email).await?;
        let deleted = self
            .store
            .accounts()
            .delete(&account.id, SystemClock.now())
            .await?;
        let Some(deleted) = deleted else {
            bail!(missing(email));
        };
        self.note(Act::AccountRemoved, &account.id, "").await;
        if account.administrator && !self.store.accounts().has_administrator().await? {
            output::note("No account administers this relay now.");
        }
        let (printers, connections) = (deleted.printers.len(), deleted.app_connections.len());
        let note = format!(
            "Removed {} with {printers} printers. Ended: {connections} app connections.",
            account.email.as_str()
        );
        self.done(&note).await
    }
}

/// An account, how many printers it has, and the bytes of this month.
type Listed = (Account, usize, u64);

fn as_value((account, printers, bytes): &Listed) -> serde_json::Value {
    let suspended = account.suspended.as_ref();
    json!({
        "email": account.email.as_str(),
        "plan": account.plan.as_str(),
        "administrator": account.administrator,
        "suspended": suspended.map(|suspension| suspension.reason.as_str()),
        "created_ms": account.created.millis(),
        "printers": printers,
        "bytes_this_month": bytes,
    })
}

/// A reason is what somebody typed once, perhaps elsewhere; it must not drive the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn taken(email: &Email) -> String {
    let email = email.as_str();
    format!(
        "there is an account {email} already; `latchkey account passwd {email}` sets its password"
    )
}

fn missing(email: &str) -> String {
    format!("there is no account {email:?}; `latchkey account list` shows which there are")
}
