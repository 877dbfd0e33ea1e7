//! The facts of the portal's pages.

use axum::response::Response;
use http::header::{REFERRER_POLICY, REFRESH};
use http::{HeaderValue, StatusCode};
use latchkey_model::access::KeyScope;
use latchkey_model::app::{AppName, RegisteredApp, Website};
use latchkey_model::portal::{PortalRequest, Refused, RequestError, ReturnTarget, TargetKind};
use latchkey_model::printer::Printer;

use super::{Asked, KeyOutcome, NotAsked, Outcome};
use crate::apps::http::logo_path;
use crate::pages::paths;
use crate::pages::views::{
    AllowProblem, AppStanding, ChooseProblem, EndedWhy, PortalAdd, PortalAllow, PortalApp,
    PortalChoose, PortalDone, PortalEnded, PortalFault, PortalKey, PortalPrinter, PortalTarget,
    PortalWelcome, TargetPlace,
};
use crate::pages::visit::Visit;

pub(super) fn app(asked: &Asked) -> PortalApp {
    let registered = asked.registered.as_ref();
    PortalApp {
        name: asked.name().to_owned(),
        standing: match registered {
            Some(app) if app.is_brand() => AppStanding::Verified,
            Some(_) => AppStanding::Trial,
            None => AppStanding::Unverified,
        },
        logo: logo(registered),
        developer: registered.and_then(|app| Some(app.developer.as_ref()?.as_str().to_owned())),
        website: registered
            .and_then(|app| app.website.as_ref())
            .map(|website: &Website| website.host().to_owned()),
        imitates: asked.imitates.as_ref().map(|name| name.as_str().to_owned()),
        key_name: asked.request.key_name.as_ref().map(AppName::to_string),
    }
}

/// The picture that was uploaded for a registered app. One that an app brings along in its
/// request is never fetched: the browser would tell a stranger of the visit.
pub(super) fn logo(registered: Option<&RegisteredApp>) -> Option<String> {
    let app = registered.filter(|app| app.has_logo)?;
    Some(logo_path(&app.id))
}

fn target(request: &PortalRequest) -> PortalTarget {
    PortalTarget {
        shown: request.target.as_ref().map(ReturnTarget::shown),
        place: match request.target.as_ref().map(ReturnTarget::kind) {
            None => TargetPlace::Here,
            Some(TargetKind::App) => TargetPlace::App,
            Some(TargetKind::Web) => TargetPlace::Web,
            Some(TargetKind::Loopback) => TargetPlace::Device,
            Some(TargetKind::Neighbour) => TargetPlace::Neighbour,
        },
    }
}

pub(super) fn welcome(visit: &Visit, asked: &Asked) -> PortalWelcome {
    let site = visit.site();
    PortalWelcome {
        shell: site.door(),
        site,
        app: app(asked),
        target: target(&asked.request),
        request: asked.request.to_query(),
        signed_in: visit.maybe_account().is_some(),
    }
}

/// Where a printer is added, to come back to the portal afterwards.
fn adding(back: &str) -> String {
    paths::with("/pair", "then", back)
}

pub(super) fn choose(
    visit: &Visit,
    asked: &Asked,
    printers: &[Printer],
    problem: Option<ChooseProblem>,
) -> PortalChoose {
    let site = visit.site();
    let only = printers.len() == 1;
    let own = visit.maybe_account().map(|account| &account.id);
    let wanted = asked.request.printer.as_deref();
    let row = |printer: &Printer| {
        let is_wanted = wanted == Some(printer.id.as_str());
        PortalPrinter {
            id: printer.id.to_string(),
            name: printer.name.as_str().to_owned(),
            online: is_online(visit, printer),
            last_seen: printer.seen.last_seen.map(|at| visit.moment(at)),
            shared: own != Some(&printer.account),
            wanted: is_wanted,
            chosen: is_wanted || only,
        }
    };
    let mut rows: Vec<_> = printers.iter().map(row).collect();
    // By name they are already; what is most likely meant comes first.
    rows.sort_by_key(|row| (!row.wanted, !row.online));
    PortalChoose {
        shell: site.door(),
        site,
        app: app(asked),
        request: asked.request.to_query(),
        printers: rows,
        add: adding(&asked.path("/printer")),
        problem,
    }
}

fn is_online(visit: &Visit, printer: &Printer) -> bool {
    let host = printer
        .host
        .as_ref()
        .map(latchkey_model::printer::HostKey::id);
    host.is_some_and(|host| visit.state.tunnels.find(&host).is_some())
}

/// `has_others`: whether the account has printers, and only not the one the app means.
pub(super) fn add(visit: &Visit, asked: &Asked, has_others: bool) -> PortalAdd {
    let site = visit.site();
    // A printer that is paired gets an id of its own: whichever the app means stays away.
    let mut any = asked.clone();
    any.request.printer = None;
    let back = any.path("/printer");
    PortalAdd {
        shell: site.door(),
        site,
        address: visit.state.config.public_url.to_string(),
        app: app(asked),
        request: asked.request.to_query(),
        add: adding(&back),
        choose: has_others.then(|| any.path("/printer")),
        moonraker: asked.request.moonraker,
    }
}

/// What was chosen so far on the page of the decision.
pub(super) struct Choice<'a> {
    pub(super) printer: &'a Printer,
    /// How far the person goes there.
    pub(super) level: KeyScope,
    pub(super) scope: KeyScope,
    pub(super) with_key: bool,
    pub(super) problem: Option<AllowProblem>,
    pub(super) once: String,
}

pub(super) fn allow(visit: &Visit, asked: &Asked, choice: Choice<'_>) -> PortalAllow {
    let site = visit.site();
    PortalAllow {
        shell: site.door(),
        site,
        app: app(asked),
        target: target(&asked.request),
        request: asked.request.to_query(),
        once: choice.once,
        printer_id: choice.printer.id.to_string(),
        printer: choice.printer.name.as_str().to_owned(),
        only_watching: choice.level == KeyScope::View,
        scope: match choice.level {
            KeyScope::Full => choice.scope,
            KeyScope::View => KeyScope::View,
        },
        with_key: choice.with_key,
        hostname_only: asked.request.hostname_only && visit.state.config.allow_hostname_only,
        problem: choice.problem,
        choose: asked.path("/printer"),
    }
}

/// The last page after a yes: the browser goes on by itself, and tells nobody where from.
pub(super) fn done(visit: &Visit, outcome: &Outcome) -> Response {
    let site = visit.site();
    let page = PortalDone {
        shell: site.door(),
        site,
        app: app(&outcome.asked),
        printer: outcome.printer.name.as_str().to_owned(),
        manage: format!("/printers/{}", outcome.printer.id),
        address: outcome.address.to_string(),
        key: match outcome.key {
            KeyOutcome::NotAsked | KeyOutcome::Declined => PortalKey::None,
            KeyOutcome::Made => PortalKey::Made,
            KeyOutcome::Failed => PortalKey::Failed,
        },
    };
    going_on(visit.page(&page), &outcome.address)
}

/// The last page when nothing came of it. `leads_on`: whether it goes on by itself.
pub(super) fn ended(visit: &Visit, asked: &Asked, why: Refused, leads_on: bool) -> Response {
    let said = match why {
        Refused::Cancelled => EndedWhy::Cancelled,
        Refused::Denied => EndedWhy::Denied,
        Refused::NotEntitled => EndedWhy::NoPlan,
        Refused::LimitReached => EndedWhy::Full,
    };
    let address = visit.state.portal.refusal(&asked.request, why);
    let mut answer = visit.page(&ended_page(visit, asked, said, &address));
    if leads_on {
        answer = going_on(answer, &address);
    }
    unreferred(answer)
}

/// The relay is at fault. Who goes back to the app instead of trying again tells it so.
pub(super) fn trouble(visit: &Visit, asked: &Asked, status: StatusCode) -> Response {
    let address = visit
        .state
        .portal
        .refusal(&asked.request, Refused::Cancelled);
    let page = ended_page(visit, asked, EndedWhy::Trouble, &address);
    unreferred(visit.page_with(status, &page))
}

fn ended_page(visit: &Visit, asked: &Asked, why: EndedWhy, address: &str) -> PortalEnded {
    let site = visit.site();
    PortalEnded {
        shell: site.door(),
        site,
        app: app(asked),
        address: address.to_owned(),
        why,
        signed_in: visit.maybe_account().is_some(),
    }
}

/// Goes on at once (HTML standard, "shared declarative refresh steps"): a redirect after a form
/// would be held back by `form-action`.
fn going_on(mut answer: Response, address: &str) -> Response {
    let mut value = HeaderValue::try_from(format!("0; url={address}"))
        .expect("a return address and encoded values are plain ASCII");
    value.set_sensitive(true);
    answer.headers_mut().insert(REFRESH, value);
    unreferred(answer)
}

pub(super) fn unreferred(mut answer: Response) -> Response {
    let policy = HeaderValue::from_static("no-referrer");
    answer.headers_mut().insert(REFERRER_POLICY, policy);
    answer
}

/// Why a request is put to nobody, for its page; nothing if it is not the request's fault.
pub(super) fn fault(error: &NotAsked) -> Option<PortalFault> {
    Some(match error {
        NotAsked::Request(RequestError::NoApp) => PortalFault::NoApp,
        NotAsked::Request(RequestError::App(_)) => PortalFault::App,
        NotAsked::Request(RequestError::Target(cause)) => PortalFault::Target(cause.to_string()),
        NotAsked::Request(RequestError::Code) => PortalFault::Code,
        NotAsked::Request(RequestError::TooLong) => PortalFault::TooLong,
        NotAsked::OtherTarget => PortalFault::OtherTarget,
        NotAsked::Unregistered => PortalFault::Unregistered,
        NotAsked::Store(_) => return None,
    })
}
