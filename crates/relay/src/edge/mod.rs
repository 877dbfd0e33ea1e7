//! Traffic on app-connection hostnames: who is calling, may they, and through which
//! tunnel. Bodies stream; nothing here holds one whole.

mod activity;
mod busy;
mod camera;
mod credential;
mod forward;
mod headers;
mod lean;
mod origin;
mod own;

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, Version};
use latchkey_model::access::KeyScope;
use latchkey_model::app_connection::{AdmittedBy, Refusal, refuse_unknown};
use latchkey_model::id::{AccountId, AppConnectionId, HostId, PrinterId};
use latchkey_model::limit::Reached;
use latchkey_model::own_access::OwnLabel;
use latchkey_model::plan::{Entitlements, PlanName};
use latchkey_model::relay_status::RelayStatus;
use latchkey_model::secret::ConnectionLabel;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::Call;
use latchkey_net::proxy::coding::Tally;
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

use self::activity::mark_camera;
use self::busy::Busy;
use self::camera::Forwarding;
use self::credential::Credential;
use crate::activity::{Activity, Moving};
use crate::app_connections::origins::Origins;
use crate::app_connections::usage::{Running, Usage};
use crate::cache::Cache;
use crate::camera::Camera;
use crate::config::Config;
use crate::guesses::Guesses;
use crate::issued::Issued;
use crate::life::Endings;
use crate::limits::{Limits, NotNow, Pass, Subject, asks_for_webcam};
use crate::own_access::{OwnAccess, cookie};
use crate::shares::Shares;
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
    pub(crate) limits: Limits,
    /// What each may take of this relay.
    pub(crate) shares: Shares,
    /// Pictures that callers share.
    pub(crate) camera: Camera,
    /// What is done, for those whose printers they are.
    pub(crate) activity: Activity,
    pub(crate) origins: Origins,
    pub(crate) guesses: Guesses,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) ids: RequestIds,
    pub(crate) issued: Issued,
    /// What need not come through a tunnel again.
    pub(crate) cache: Cache,
    /// Counts what came through tunnels in fewer bytes.
    pub(crate) undone: Tally,
    /// Spliced sockets live here, so that a drain waits for them.
    pub(crate) tracker: TaskTracker,
    /// Ends what does not end by itself: sockets and camera streams.
    pub(crate) stopping: CancellationToken,
}

/// A call that was let in, and where it goes.
struct Admission {
    /// Through which app connection, if it is not a person's own access.
    app_connection: Option<AppConnectionId>,
    printer: PrinterId,
    host: Option<HostId>,
    scope: KeyScope,
    /// Against whose plan it counts: of who allowed the app, or at their own hostname of the
    /// printer's owner.
    account: AccountId,
    plan: Entitlements,
}

/// An app's call that was let in.
struct Admitted {
    app_connection: AppConnectionId,
    by: AdmittedBy,
    account: AccountId,
    app: String,
    admission: Admission,
}

/// What a call holds for as long as anything of it is open.
struct Open {
    app_connection: Option<AppConnectionId>,
    hold: Hold,
    running: Option<Running>,
    moving: Moving,
    printer: PrinterId,
}

/// An answer from the printer's side, with what lets it pass.
type Passed = (forward::Forwarded, Option<Pass>);

/// Why a call got no answer from the printer's side.
#[derive(Clone, Copy)]
enum Trouble {
    /// One of the contract's codes, and for the log which side it is about.
    Status(RelayStatus, Option<(Side, &'static str)>),
    /// The app connection may only look, and the host is too old to see to it: a doubt, not an end.
    HostTooOld,
    /// A limit of the account's plan is reached.
    Limit(Reached),
    /// There is too much to do, here or at the printer's server.
    Busy(Busy),
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
                    self.note_wrong_password(status, label, &credential, address)
                        .await;
                    self.shared.guesses.slow_down(status, address).await;
                }
                return self.tell(trouble, line, &asker);
            }
        };
        cookie::strip(request.headers_mut());
        line.set_printer(&admitted.admission.printer);
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
        let (origins, address) = (&self.shared.origins, call.caller.address);
        origins.note(&admitted.app_connection, request.headers(), address);
        let (received, sent) = (line.received(), line.sent());
        let running = self.shared.usage.begin(&admitted.app_connection, move || {
            received.get() + sent.get()
        });
        let (received, sent) = (line.received(), line.sent());
        let moving = self
            .shared
            .activity
            .follow(&admitted.admission.printer, move || {
                (sent.get(), received.get())
            });
        let caller = admitted.caller();
        let asked = Activity::asked(&asker.method, request.uri().path(), call.websocket);
        let open = Open {
            app_connection: Some(admitted.app_connection),
            hold,
            running: Some(running),
            moving,
            printer: caller.printer.clone(),
        };
        let outcome = tokio::select! {
            biased;
            () = open.hold.clone().until_ended() => Err(self.why_ended(label, &credential).await),
            outcome = self.pass(request, &call, &admitted.admission, &line, &open.hold) => outcome,
        };
        drop(credential);
        match outcome {
            Ok((forwarded, pass)) => {
                self.note_done(asked, &forwarded, line.received().get(), &caller);
                mark_camera(&forwarded, &open);
                self.hand_over(forwarded, line, &asker, open, pass)
            }
            Err(trouble) => self.tell(trouble, line, &asker),
        }
    }

    /// Forwards as far as the plan allows.
    async fn pass(
        &self,
        request: Request<Body>,
        call: &Call,
        admission: &Admission,
        line: &RequestLine,
        hold: &Hold,
    ) -> Result<Passed, Trouble> {
        let subject = Subject {
            account: &admission.account,
            printer: &admission.printer,
            plan: &admission.plan,
        };
        let share = self.share(call, admission).await?;
        let of_webcam = asks_for_webcam(request.uri());
        let pass = self.shared.limits.begin(subject, of_webcam).await;
        let pass = pass.map_err(|not_now| match not_now {
            NotNow::Reached(reached) => Trouble::Limit(reached),
            NotNow::Store(error) => doubt(&error),
            NotNow::NoPlan => unknown_plan(),
        })?;
        let pass = pass.with(share);
        let with = Forwarding {
            call,
            admission,
            line,
            hold,
        };
        let method = request.method().clone();
        let request = pass.request(request).map_err(Trouble::Limit)?;
        let forwarded = tokio::select! {
            biased;
            reached = pass.stopped() => return Err(Trouble::Limit(reached)),
            forwarded = self.forward_or_show(request, with, &pass) => forwarded?,
        };
        Ok(match forwarded {
            forward::Forwarded::Plain(response) => {
                let response = pass.answer(&method, response).map_err(Trouble::Limit)?;
                (forward::Forwarded::Plain(response), None)
            }
            socket @ forward::Forwarded::WebSocket(..) => (socket, Some(pass)),
        })
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
        let holder = found.holder.as_ref().ok_or_else(unknown_plan)?;
        Ok(Admitted {
            app_connection: found.connection.id.clone(),
            by: admitted.by,
            account: admitted.connection.account.clone(),
            app: admitted.connection.app_name.as_str().to_owned(),
            admission: Admission {
                app_connection: Some(found.connection.id.clone()),
                printer: admitted.connection.printer.clone(),
                host: holder.host.clone(),
                scope: admitted.connection.scope,
                account: holder.account.clone(),
                plan: self.plan(&holder.plan)?,
            },
        })
    }

    fn plan(&self, name: &PlanName) -> Result<Entitlements, Trouble> {
        let plan = self.shared.config.plans.find(name);
        plan.copied().ok_or_else(unknown_plan)
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

    async fn find(
        &self,
        label: &ConnectionLabel,
    ) -> Result<Option<Arc<FoundAppConnection>>, Trouble> {
        let store = self.shared.store.app_connections();
        let found = store.recall_by_label_hash(&label.hash()).await;
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
            Trouble::Limit(reached) => {
                line.set_failure(Side::Caller, reached.limit.name());
                let relay_url = self.config().public_url.to_string();
                limit_reached(reached, &relay_url, line.request_id(), asker)
            }
            Trouble::Busy(busy) => {
                line.set_failure(busy.side(), busy.reason());
                busy.problem().request_id(line.request_id()).json()
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

fn limit_reached(
    reached: Reached,
    relay_url: &str,
    request_id: &str,
    asker: &Asker,
) -> Response<bytes::Bytes> {
    let status = reached.limit.status();
    let problem = RelayProblem {
        sentence: reached.limit.sentence(),
        is_limit: true,
        ..RelayProblem::new(status, relay_url, request_id)
    };
    let mut response = error_page::respond(&problem, &asker.about, &asker.method);
    if let Some(again) = reached.again {
        // Rounded up: who comes back too early is refused once more.
        let seconds = http::HeaderValue::from(again.as_secs() + 1);
        let fields = response.headers_mut();
        fields.insert(http::header::RETRY_AFTER, seconds);
    }
    response
}

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
