//! Traffic on app-connection hostnames: who is calling, may they, and through which
//! tunnel. Bodies stream; nothing here holds one whole.

mod credential;
mod forward;
mod headers;
mod origin;
mod own;

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, Version};
use latchkey_model::access::KeyScope;
use latchkey_model::app_connection::{AdmittedBy, Refusal, refuse_unknown};
use latchkey_model::id::{AppConnectionId, HostId, PrinterId};
use latchkey_model::own_access::OwnLabel;
use latchkey_model::relay_status::RelayStatus;
use latchkey_model::secret::ConnectionLabel;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::Call;
use latchkey_net::proxy::endings::Hold;
use latchkey_store::relay::FoundAppConnection;
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::browser;
use latchkey_web::error_page::{self, RelayProblem};
use latchkey_web::metrics::{Class, Metrics};
use latchkey_web::problem::Problem;
use latchkey_web::request_id::RequestIds;
use latchkey_web::request_log::{RequestLine, Side};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::credential::Credential;
use crate::app_connections::usage::{Running, Usage};
use crate::config::Config;
use crate::guesses::Guesses;
use crate::issued::Issued;
use crate::life::Endings;
use crate::own_access::{OwnAccess, cookie};
use crate::tunnels::Tunnels;

/// The relay's entry for traffic on app-connection hostnames.
#[derive(Clone)]
pub(crate) struct Edge {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) store: RelayStore,
    pub(crate) tunnels: Tunnels,
    /// What is open, and ends with its app connection.
    pub(crate) endings: Endings,
    /// People's own access, at hostnames of their own.
    pub(crate) own: OwnAccess,
    pub(crate) usage: Usage,
    pub(crate) guesses: Guesses,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) ids: RequestIds,
    pub(crate) issued: Issued,
    /// Spliced sockets live here, so that a drain waits for them.
    pub(crate) tracker: TaskTracker,
    /// Ends what does not end by itself: sockets and camera streams.
    pub(crate) stopping: CancellationToken,
}

/// A call that was let in, and where it goes.
struct Admission {
    /// Through which app connection, if it is not a person's own access.
    app_connection: Option<AppConnectionId>,
    host: Option<HostId>,
    scope: KeyScope,
}

/// An app's call that was let in.
struct Admitted {
    app_connection: AppConnectionId,
    printer: PrinterId,
    by: AdmittedBy,
    admission: Admission,
}

/// What a call holds for as long as anything of it is open.
struct Open {
    app_connection: Option<AppConnectionId>,
    hold: Hold,
    running: Option<Running>,
}

/// Why a call got no answer from the printer's side.
#[derive(Clone, Copy)]
enum Trouble {
    /// One of the contract's codes, and for the log which side it is about.
    Status(RelayStatus, Option<(Side, &'static str)>),
    /// The app connection may only look, and the host is too old to see to it: a doubt, not an end.
    HostTooOld,
    /// A page of another origin is behind it.
    Forged,
    /// The caller was too slow with its own request.
    CallerTooSlow,
}

/// What of a request is needed to tell its sender of a problem.
struct Asker {
    method: Method,
    version: Version,
    about: HeaderMap,
}

impl Edge {
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Begins the log line of a request at this relay.
    pub(crate) fn line(&self, request: &Request<Body>, call: &Call, class: Class) -> RequestLine {
        RequestLine::new(&self.shared.ids.next(), request.method(), class)
            .metrics(Arc::clone(&self.shared.metrics))
            .caller(call.caller.address)
    }

    /// Answers one request on the hostname `label`.
    pub(crate) async fn answer(
        &self,
        label: &str,
        mut request: Request<Body>,
        call: Call,
    ) -> Response<Body> {
        if let Ok(label) = label.parse::<OwnLabel>() {
            return self.answer_own(label, request, call).await;
        }
        let mut line = self.line(&request, &call, Class::Edge);
        let asker = Asker {
            method: request.method().clone(),
            version: request.version(),
            about: browser::about_the_asker(request.headers()),
        };
        let credential = Credential::take(request.headers_mut());
        let (admitted, hold) = match self.enter(label, &credential).await {
            Ok(entered) => entered,
            Err(trouble) => {
                if let Trouble::Status(status, None) = trouble {
                    let address = call.caller.address;
                    self.shared.guesses.slow_down(status, address).await;
                }
                return self.tell(trouble, line, &asker);
            }
        };
        cookie::strip(request.headers_mut());
        line.set_printer(&admitted.printer);
        line.set_app_connection(&admitted.app_connection);
        let forged = origin::is_forged(
            request.method(),
            request.headers(),
            &call.authority,
            call.websocket,
            admitted.by,
        );
        if forged {
            return self.tell(Trouble::Forged, line, &asker);
        }
        let (received, sent) = (line.received(), line.sent());
        let running = self.shared.usage.begin(&admitted.app_connection, move || {
            received.get() + sent.get()
        });
        let open = Open {
            app_connection: Some(admitted.app_connection),
            hold,
            running: Some(running),
        };
        let outcome = tokio::select! {
            biased;
            () = open.hold.clone().until_ended() => Err(self.why_ended(label, &credential).await),
            outcome = self.forward(request, &call, &admitted.admission, &line, &open.hold) => outcome,
        };
        drop(credential);
        match outcome {
            Ok(forwarded) => self.hand_over(forwarded, line, &asker, open),
            Err(trouble) => self.tell(trouble, line, &asker),
        }
    }

    /// Lets a call in, and joins it to what ends with its app connection.
    async fn enter(
        &self,
        label: &str,
        credential: &Credential,
    ) -> Result<(Admitted, Hold), Trouble> {
        let endings = &self.shared.endings;
        let before = endings.count();
        let mut admitted = self.admit(label, credential).await?;
        let hold = endings.hold(admitted.app_connection.clone());
        if endings.count() != before {
            // What ended between the two is seen now; of what ends later the hold hears.
            admitted = self.admit(label, credential).await?;
        }
        Ok((admitted, hold))
    }

    /// What a call is told whose app connection ended while it waited: the same as the next one.
    async fn why_ended(&self, label: &str, credential: &Credential) -> Trouble {
        match self.admit(label, credential).await {
            Err(trouble) => trouble,
            // It is back already.
            Ok(_) => Trouble::Status(RelayStatus::Unknown, Some((Side::Us, "ended"))),
        }
    }

    /// Decides by what is stored. Only what is certain is final: apps delete their
    /// connection on 603 to 606, so every doubt is 600.
    async fn admit(&self, label: &str, credential: &Credential) -> Result<Admitted, Trouble> {
        let found = match ConnectionLabel::parse(label) {
            Ok(label) => self.find(&label).await?,
            // Not a label of ours: there is nothing to look for.
            Err(_) => None,
        };
        let Some(found) = found else {
            self.check_issued().await?;
            return Err(refused(refuse_unknown(credential.presented())));
        };
        let plans = &self.shared.config.plans;
        let standing = found
            .owner_standing(|plan| plans.find(plan).map(|rights| rights.app_connections))
            .ok_or_else(unknown_plan)?;
        let admitted = found
            .connection
            .admit(credential.presented(), standing)
            .map_err(refused)?;
        Ok(Admitted {
            app_connection: found.connection.id.clone(),
            printer: admitted.connection.printer.clone(),
            by: admitted.by,
            admission: Admission {
                app_connection: Some(found.connection.id.clone()),
                host: found.holder.as_ref().and_then(|holder| holder.host.clone()),
                scope: admitted.connection.scope,
            },
        })
    }

    /// Tells whether an unknown label is certainly nobody's.
    async fn check_issued(&self) -> Result<(), Trouble> {
        let checked = self.shared.issued.check(&self.shared.store).await;
        if checked.map_err(|error| doubt(&error))? {
            return Ok(());
        }
        Err(Trouble::Status(
            RelayStatus::Unknown,
            Some((Side::Us, "store")),
        ))
    }

    async fn find(&self, label: &ConnectionLabel) -> Result<Option<FoundAppConnection>, Trouble> {
        let store = self.shared.store.app_connections();
        let found = store.find_by_label_hash(&label.hash()).await;
        found.map_err(|error| doubt(&error))
    }

    fn tell(&self, trouble: Trouble, mut line: RequestLine, asker: &Asker) -> Response<Body> {
        let response = match trouble {
            Trouble::Status(status, failure) => {
                if let Some((side, reason)) = failure {
                    line.set_failure(side, reason);
                }
                let relay_url = self.config().public_url.to_string();
                let problem = RelayProblem::new(status, &relay_url, line.request_id());
                error_page::respond(&problem, &asker.about, &asker.method)
            }
            Trouble::HostTooOld => {
                line.set_failure(Side::Tunnel, "host_too_old");
                let relay_url = self.config().public_url.to_string();
                let problem = RelayProblem {
                    sentence: Some(HOST_TOO_OLD),
                    ..RelayProblem::new(RelayStatus::Unknown, &relay_url, line.request_id())
                };
                error_page::respond(&problem, &asker.about, &asker.method)
            }
            Trouble::Forged => {
                line.set_failure(Side::Caller, "foreign_origin");
                foreign_origin().request_id(line.request_id()).json()
            }
            Trouble::CallerTooSlow => {
                line.set_failure(Side::Caller, "too_slow");
                Problem::from_status(http::StatusCode::REQUEST_TIMEOUT)
                    .request_id(line.request_id())
                    .json()
            }
        };
        line.follow(response.map(body::full)).map(body::boxed)
    }
}

const HOST_TOO_OLD: &str = "Here one may only look at the printer, and the printer's host is too old to see to that. Update the host.";

fn foreign_origin() -> Problem {
    Problem::new(
        http::StatusCode::FORBIDDEN,
        "foreign_origin",
        "A page of another address may not use this printer with what the browser remembers.",
    )
}

fn doubt(error: &StoreError) -> Trouble {
    tracing::error!(%error, "cannot look up an app connection");
    Trouble::Status(RelayStatus::Unknown, Some((Side::Us, "store")))
}

/// The account's plan was taken out of the configuration. That is the operator's slip;
/// nobody's app connection may end over it.
fn unknown_plan() -> Trouble {
    tracing::error!("an account's plan is not in the configuration");
    Trouble::Status(RelayStatus::Unknown, Some((Side::Us, "plan")))
}

fn refused(refusal: Refusal) -> Trouble {
    Trouble::Status(refusal.status(), None)
}
