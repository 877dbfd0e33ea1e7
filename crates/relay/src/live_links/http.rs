//! `/live/{secret}`: for anybody who has the link. No cookie is read or set here.

use askama::Template;
use axum::Json;
use axum::Router;
use axum::extract::{Extension, Path, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CONTENT_TYPE, LOCATION, REFERRER_POLICY};
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use latchkey_model::live_link::Shows;
use latchkey_store::StoreError;
use latchkey_store::relay::ListedLink;
use latchkey_web::moment::Moment;
use latchkey_web::problem::Problem;
use latchkey_web::shell::Place as At;

use super::viewer;
use crate::camera::{CameraError, wanted};
use crate::dashboard::http::{no_picture_for, picture_or, running};
use crate::dashboard::now_of;
use crate::dashboard::wire::Shown;
use crate::pages::views::{LiveEnds, LiveGone, LiveOver, LivePage, Now};
use crate::pages::visit::{Arrival, retry_after};
use crate::state::State;
use crate::watching::MOST_BY_LINK;

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/live/{secret}", get(page))
        .route("/live/{secret}/state", get(told))
        .route("/live/{secret}/snapshot", get(snapshot))
        .route("/live/{secret}/camera", get(camera))
        .route("/l/{secret}", get(short))
}

/// Somebody with a link, or with what may be one.
struct Guest {
    state: State,
    arrival: Arrival,
    secret: String,
}

type Asking = (Shared<State>, Extension<Arrival>, Path<String>);

impl Guest {
    fn new((Shared(state), Extension(arrival), Path(secret)): Asking) -> Self {
        Self {
            state,
            arrival,
            secret,
        }
    }

    /// The link, while it shows anything.
    async fn find(&self) -> Result<ListedLink, Response> {
        let links = &self.state.live_links;
        let address = self.arrival.address;
        links.may_look(address).map_err(|too_many| {
            retry_after(self.problem(StatusCode::TOO_MANY_REQUESTS), too_many)
        })?;
        let found = links.find(&self.secret).await;
        let found = found.map_err(|failure| self.failed(&failure))?;
        if let Some(found) = found {
            return Ok(found);
        }
        Err(match links.missed(address) {
            Ok(()) => self.gone(),
            Err(too_many) => retry_after(self.problem(StatusCode::TOO_MANY_REQUESTS), too_many),
        })
    }

    /// The link, while it shows the printer.
    async fn watch(&self) -> Result<ListedLink, Response> {
        let found = self.find().await?;
        let now = self.state.clock.now();
        if found.link.shows(now) == Shows::Printer {
            Ok(found)
        } else {
            Err(self.gone())
        }
    }

    fn now_of(&self, found: &ListedLink) -> Now {
        now_of(&self.state, &found.link.printer, found.host.as_ref())
    }

    fn relay(&self) -> String {
        self.state.config.public_url.authority().to_string()
    }

    fn gone(&self) -> Response {
        let page = LiveGone {
            shell: LivePage::bar(&self.relay()),
        };
        page_with(StatusCode::NOT_FOUND, &page)
    }

    fn problem(&self, status: StatusCode) -> Response {
        let problem = Problem::from_status(status).request_id(&self.arrival.request_id);
        let page = problem.page(&At::relay(self.relay()), "/");
        private(page.map(axum::body::Body::from))
    }

    fn failed(&self, failure: &StoreError) -> Response {
        tracing::error!(error = %failure, "the relay's database failed");
        self.problem(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The address is a secret: no page that is opened from here learns it, and no search finds it.
fn page_with(status: StatusCode, page: &impl Template) -> Response {
    let html = page.render().expect("templates write to memory");
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    private((status, [(CONTENT_TYPE, kind)], html).into_response())
}

fn private(mut answer: Response) -> Response {
    let fields = answer.headers_mut();
    fields.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    fields.insert(
        HeaderName::from_static("x-robots-tag"),
        HeaderValue::from_static("noindex, nofollow, noimageindex, noarchive"),
    );
    answer
}

async fn page(asking: Asking) -> Result<Response, Response> {
    let guest = Guest::new(asking);
    let found = guest.find().await?;
    let now = guest.state.clock.now();
    let printer = found.printer.to_string();
    let shell = LivePage::bar(&guest.relay());
    let end = match found.link.shows(now) {
        Shows::Nothing => return Err(guest.gone()),
        Shows::End(end) => end,
        Shows::Printer => {
            let page = LivePage {
                shell,
                path: format!("/live/{}", guest.secret),
                printer,
                now: guest.now_of(&found),
                has_place: guest.state.live_links.viewers(&found.link) < MOST_BY_LINK,
                ends: {
                    let at = found.link.expires;
                    let latest = Moment { at, now };
                    let with_print = found.link.print.is_some();
                    (if with_print {
                        LiveEnds::WithPrint
                    } else {
                        LiveEnds::At
                    })(latest)
                },
            };
            return Ok(page_with(StatusCode::OK, &page));
        }
    };
    let page = LiveOver {
        shell,
        printer,
        file: end.file.clone(),
        complete: end.complete,
        at: Moment { at: end.at, now },
        seconds: end.seconds,
    };
    Ok(page_with(StatusCode::OK, &page))
}

async fn told(asking: Asking) -> Result<Response, Response> {
    let guest = Guest::new(asking);
    let found = guest.watch().await?;
    let now = guest.now_of(&found);
    let shown = [Shown::new("live", &now, false)];
    Ok(private(Json(shown).into_response()))
}

async fn snapshot(asking: Asking) -> Result<Response, Response> {
    let guest = Guest::new(asking);
    let found = guest.watch().await?;
    let picture = match &found.host {
        Some(host) => {
            let watching = &guest.state.watching;
            watching.snapshot(&found.link.printer, host).await
        }
        None => Err(CameraError::NotConnected),
    };
    // It may have ended while the picture was taken.
    guest.watch().await?;
    Ok(private(picture_or(picture)))
}

async fn camera(uri: Uri, asking: Asking) -> Result<Response, Response> {
    let guest = Guest::new(asking);
    let found = guest.watch().await?;
    let link = &found.link;
    let Ok(place) = guest.state.watching.enter(viewer(&link.printer, &link.id)) else {
        // Single pictures cost the same for all who look.
        let path = format!("/live/{}/snapshot", guest.secret);
        return Ok(private(lead(StatusCode::SEE_OTHER, &path)));
    };
    // What ended before there was a place is seen now; of what ends later the place hears.
    let found = guest.watch().await?;
    let Some(host) = &found.host else {
        return Ok(private(no_picture_for(CameraError::NotConnected)));
    };
    Ok(private(match place.stream(host, wanted(&uri)).await {
        Ok(stream) => running(stream),
        Err(error) => no_picture_for(error),
    }))
}

/// The shorter address leads to the same page, for whatever stands in it: nothing is told here.
async fn short(Path(secret): Path<String>) -> Response {
    let plain = secret.bytes().all(|b| b.is_ascii_alphanumeric()) && secret.len() <= 64;
    let secret = if plain { secret.as_str() } else { "unknown" };
    private(lead(StatusCode::FOUND, &format!("/live/{secret}")))
}

fn lead(status: StatusCode, path: &str) -> Response {
    let location = HeaderValue::try_from(path).expect("letters and digits");
    (status, [(LOCATION, location)]).into_response()
}
