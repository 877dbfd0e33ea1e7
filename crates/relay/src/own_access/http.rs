//! `/printers/{id}/open` and `/open/{label}`: the page that leads to a printer's own hostname.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use latchkey_model::access::KeyScope;
use latchkey_model::id::PrinterId;
use latchkey_model::own_access::OwnLabel;
use latchkey_model::printer::HostKey;
use latchkey_web::security_headers;

use super::{ENTER, Handover};
use crate::pages::ids::Id;
use crate::pages::views::{OpenPrinter, Opening};
use crate::pages::visit::{Answered, Visit};
use crate::people;
use crate::state::State;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/printers/{id}/open", get(open))
        .route("/open/{name}", get(by_label))
}

/// The page with the form that goes to the hostname. Its code is made anew each time.
async fn open(visit: Visit, Id(id): Id<PrinterId>) -> Answered {
    let account = visit.account()?;
    let found = people::used(&visit, account, &id).await?;
    let Some(session) = visit.session() else {
        return Err(visit.problem(StatusCode::NOT_FOUND));
    };
    let own = &visit.state.own_access;
    let begun = own.begin(&session.id, &account.id, &id).await;
    let begun = begun.map_err(|failure| visit.failed(&failure))?;
    let host = found.printer.host.as_ref().map(HostKey::id);
    let online = host.is_some_and(|host| visit.state.tunnels.find(&host).is_some());
    let address = begun
        .as_ref()
        .map(|begun| visit.state.config.connection_url(begun.label.as_str()));
    let opening = match begun {
        None => Opening::Rests,
        Some(_) if !online => {
            Opening::Offline(found.printer.seen.last_seen.map(|at| visit.moment(at)))
        }
        Some(Handover { code, label }) => Opening::Ready {
            enter: format!(
                "{}{ENTER}",
                visit.state.config.connection_url(label.as_str())
            ),
            code: code.expose().to_owned(),
            by_itself: comes_from_us(&visit),
        },
    };
    let site = visit.site();
    let page = OpenPrinter {
        shell: site.door(),
        site,
        email: account.email.as_str().to_owned(),
        id: id.to_string(),
        printer: found.printer.name.to_string(),
        watch_only: found.level == KeyScope::View,
        opening,
    };
    Ok(leading_to(visit.page(&page), address.as_deref()))
}

/// Whether the person came from a page of ours or typed the address: then the page goes on by
/// itself. Who was led here from elsewhere, the printer's hostname included, decides.
fn comes_from_us(visit: &Visit) -> bool {
    let site = visit.headers.get(SEC_FETCH_SITE);
    site.is_some_and(|site| site == "same-origin" || site == "none")
}

/// Lets the page's form go to the hostname, and say that it comes from here: with `same-origin`
/// browsers send `Origin: null` to another origin, and the hostname takes codes from us alone.
fn leading_to(mut answer: Response, address: Option<&str>) -> Response {
    let Some(address) = address else {
        return answer;
    };
    let policy = security_headers::CONTENT_SECURITY_POLICY.replace(
        "form-action 'self'",
        &format!("form-action 'self' {address}"),
    );
    let policy = HeaderValue::try_from(policy).expect("a hostname is plain ASCII");
    let fields = answer.headers_mut();
    fields.insert(CONTENT_SECURITY_POLICY, policy);
    fields.insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    answer
}

/// Where the hostname sends whoever is not signed in there. To anybody but its person it is not
/// there.
async fn by_label(visit: Visit, Path(label): Path<String>) -> Answered {
    let account = visit.account()?;
    let nobodys = || visit.problem(StatusCode::NOT_FOUND);
    let label: OwnLabel = label.parse().map_err(|_| nobodys())?;
    let store = visit.state.store.own_access();
    let printer = store.printer_of(&account.id, &label).await;
    let printer = printer.map_err(|failure| visit.failed(&failure))?;
    let printer = printer.ok_or_else(nobodys)?;
    Ok(visit.go_on(&format!("/printers/{printer}/open")))
}
