//! The task that sends letters.

use std::sync::Arc;
use std::time::Duration;

use latchkey_model::account::Email;
use latchkey_model::chance::{Chance, letters};
use latchkey_model::clock::Clock;
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::secret::LinkSecret;
use latchkey_store::{RelayStore, StoreError};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{Job, Letter, Mail};
use crate::config::{Config, Smtp, SmtpTls};

/// How long one attempt may take, from connecting to the last answer.
const ATTEMPT: Duration = Duration::from_secs(30);

/// How long after a failed attempt the next one is made; after the last the letter is given up.
const AGAIN: [Duration; 4] = [
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
];

/// Letters that wait for another attempt.
const WAITING: usize = 256;

/// What is still sent when the relay stops.
const GOODBYE: Duration = Duration::from_secs(5);

type Smtps = AsyncSmtpTransport<Tokio1Executor>;

/// What a [`Post`] works with.
pub(crate) struct Making<'a> {
    pub(crate) config: &'a Arc<Config>,
    pub(crate) store: &'a RelayStore,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) chance: &'a Arc<dyn Chance>,
}

/// Sends letters, one after the other.
pub(crate) struct Post {
    queue: mpsc::Receiver<Job>,
    waiting: Vec<Waiting>,
    again: [Duration; 4],
    transport: Smtps,
    from: Mailbox,
    /// The relay's name, and its address.
    relay: String,
    base: String,
    /// The domain in the letters' own names.
    host: String,
    store: RelayStore,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
}

/// A letter that could not be sent yet.
struct Waiting {
    message: Message,
    due: Instant,
    /// Attempts that failed.
    failed: usize,
}

/// How an attempt went wrong, without what the mail server said.
struct Failure {
    /// Whether it is the same the next time.
    permanent: bool,
    kind: &'static str,
    code: Option<String>,
}

impl Post {
    /// The queue, and the task for it; without a mail server a queue that takes nothing.
    pub(crate) fn open(
        making: &Making<'_>,
    ) -> Result<(Mail, Option<Self>), lettre::transport::smtp::Error> {
        let Some(smtp) = &making.config.smtp else {
            return Ok((Mail::off(), None));
        };
        let public = &making.config.public_url;
        let host = public.authority().host().to_owned();
        let (mail, queue) = Mail::queue();
        let post = Self {
            queue,
            waiting: Vec::new(),
            again: AGAIN,
            transport: transport(smtp, &host)?,
            from: smtp.from.mailbox().clone(),
            relay: public.authority().to_string(),
            base: public.to_string(),
            host,
            store: making.store.clone(),
            clock: Arc::clone(making.clock),
            chance: Arc::clone(making.chance),
        };
        Ok((mail, Some(post)))
    }

    /// Tries again sooner.
    #[cfg(test)]
    pub(crate) fn hurry(&mut self) {
        self.again = [Duration::from_millis(5); 4];
    }

    /// Sends until told to stop, then for a moment more what has been handed in.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let enough = {
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                sleep(GOODBYE).await;
            }
        };
        tokio::select! {
            () = self.serve(&stop) => {}
            () = enough => {}
        }
        let left = self.waiting.len() + self.queue.len();
        if left > 0 {
            tracing::warn!(
                letters = left,
                "the relay stops with letters that were not sent"
            );
        }
    }

    async fn serve(&mut self, stop: &CancellationToken) {
        loop {
            let due = self.waiting.iter().map(|letter| letter.due).min();
            let due = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                job = self.queue.recv() => match job {
                    Some(job) => self.take(job).await,
                    None => return,
                },
                () = due => self.try_again().await,
                () = stop.cancelled() => break,
            }
        }
        self.queue.close();
        while let Some(job) = self.queue.recv().await {
            self.take(job).await;
        }
    }

    async fn take(&mut self, job: Job) {
        let letter = match self.address(job).await {
            Ok(Some(letter)) => letter,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "a letter was not written: the database failed");
                return;
            }
        };
        let Some(message) = self.write(&letter.0, &letter.1) else {
            tracing::warn!("a letter was not written: its address is none that e-mail can carry");
            return;
        };
        self.attempt(message, 0).await;
    }

    /// To whom a letter goes, if it goes to anybody.
    async fn address(&self, job: Job) -> Result<Option<(Email, Letter)>, StoreError> {
        match job {
            Job::Send { to, letter } => Ok(Some((to, letter))),
            Job::Tell { account, letter } => {
                let found = self.store.accounts().find(&account).await?;
                let known = found.filter(|account| account.email_verified.is_some());
                Ok(known.map(|account| (account.email, letter)))
            }
            Job::Reset { email } => {
                let found = self.store.accounts().find_by_email(&email).await?;
                let Some(account) = found.filter(|account| account.suspended.is_none()) else {
                    return Ok(None);
                };
                let links = self.store.links();
                // The newest letter counts.
                links
                    .drop_all(LinkPurpose::ResetPassword, Some(&account.id))
                    .await?;
                let code = LinkSecret::generate(&*self.chance);
                let link = Link {
                    account: Some(account.id),
                    email: Some(account.email.clone()),
                    ..Link::new(LinkPurpose::ResetPassword, self.clock.now())
                };
                links.create(&code.hash(), &link).await?;
                Ok(Some((account.email, Letter::Reset { code })))
            }
        }
    }

    fn write(&self, to: &Email, letter: &Letter) -> Option<Message> {
        let address: Address = to.as_str().parse().ok()?;
        let (subject, body) = letter.write(&self.relay, &self.base);
        let id = letters(&*self.chance, b"abcdefghijklmnopqrstuvwxyz234567", 26);
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, address))
            .subject(subject)
            .message_id(Some(format!("<{id}@{}>", self.host)))
            .header(ContentType::TEXT_PLAIN)
            .body(body)
            .ok()
    }

    async fn try_again(&mut self) {
        let now = Instant::now();
        let Some(at) = self.waiting.iter().position(|letter| letter.due <= now) else {
            return;
        };
        let letter = self.waiting.swap_remove(at);
        self.attempt(letter.message, letter.failed).await;
    }

    async fn attempt(&mut self, message: Message, failed: usize) {
        let Err(failure) = self.deliver(&message).await else {
            tracing::debug!("a letter was sent");
            return;
        };
        let again = self
            .again
            .get(failed)
            .filter(|_| !failure.permanent)
            .copied();
        let room = self.waiting.len() < WAITING;
        let (kind, code) = (failure.kind, failure.code);
        match again {
            Some(wait) if room => {
                tracing::warn!(
                    smtp.failure = kind,
                    smtp.code = code,
                    "a letter has to wait"
                );
                self.waiting.push(Waiting {
                    message,
                    due: Instant::now() + wait,
                    failed: failed + 1,
                });
            }
            _ => tracing::error!(
                smtp.failure = kind,
                smtp.code = code,
                "a letter was given up"
            ),
        }
    }

    async fn deliver(&self, message: &Message) -> Result<(), Failure> {
        let sent = timeout(ATTEMPT, self.transport.send(message.clone())).await;
        let error = match sent {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => {
                return Err(Failure {
                    permanent: false,
                    kind: "timeout",
                    code: None,
                });
            }
        };
        let kind = if error.is_tls() {
            "tls"
        } else if error.is_timeout() {
            "timeout"
        } else if error.is_permanent() {
            "refused"
        } else if error.is_transient() {
            "not now"
        } else {
            "connection"
        };
        Err(Failure {
            permanent: error.is_permanent(),
            kind,
            code: error.status().map(|code| code.to_string()),
        })
    }
}

fn transport(smtp: &Smtp, host: &str) -> Result<Smtps, lettre::transport::smtp::Error> {
    let builder = match smtp.tls {
        SmtpTls::Starttls => Smtps::starttls_relay(&smtp.host)?,
        SmtpTls::Tls => Smtps::relay(&smtp.host)?,
        SmtpTls::None => Smtps::builder_dangerous(&smtp.host),
    };
    let mut builder = builder
        .port(smtp.port)
        .timeout(Some(ATTEMPT))
        .hello_name(ClientId::Domain(host.to_owned()));
    if let Some(login) = &smtp.login {
        let password = login.password.expose().to_owned();
        builder = builder.credentials(Credentials::new(login.user.clone(), password));
    }
    Ok(builder.build())
}
