//! Less over a printer's uplink: answers that come in fewer bytes, and such as need not come again.
//! Callers see neither.

use http::header::{COOKIE, HeaderName};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use latchkey_model::id::{HostId, PrinterId};
use latchkey_model::relay_status::RelayStatus;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::Call;
use latchkey_net::proxy::coding;
use latchkey_net::tunnel::StreamHead;
use latchkey_web::request_log::Side;

use super::forward::trouble;
use super::{Admission, Edge, Trouble};
use crate::cache;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Edge {
    /// Whether the host may code the answer to a request.
    pub(super) fn may_code(
        &self,
        request: &Request<Body>,
        call: &Call,
        admission: &Admission,
    ) -> bool {
        self.config().compression
            && request.method() == Method::GET
            && !call.websocket
            && !may_be_chosen_elsewhere(request.headers(), admission.app_connection.is_none())
    }

    /// Asks the printer's side, and tells the answer that its server means.
    pub(super) async fn ask(
        &self,
        host: &HostId,
        mut request: Request<Body>,
        head: &StreamHead,
        printer: &PrinterId,
    ) -> Result<Response<Body>, Trouble> {
        let run = self.shared.tunnels.run_of(host);
        let asking = run.and_then(|run| self.shared.cache.look(printer, run, &request));
        let Some(asking) = asking else {
            return self.exchange(host, request, head).await;
        };
        let Some(tag) = asking.condition() else {
            let answer = self.exchange(host, request, head).await?;
            return Ok(asking.keep(answer));
        };
        let again = copy(&request);
        cache::ask_whether(&mut request, tag);
        let said = self.exchange(host, request, head).await?;
        if said.status() != StatusCode::NOT_MODIFIED {
            return Ok(asking.keep(said));
        }
        if let Some(answer) = asking.answer(&said) {
            return Ok(answer);
        }
        // The caller did not ask whether something has changed, and is not told so.
        drop(said);
        self.exchange(host, again, head).await
    }

    /// Sends, and undoes what the host did to the answer.
    async fn exchange(
        &self,
        host: &HostId,
        request: Request<Body>,
        head: &StreamHead,
    ) -> Result<Response<Body>, Trouble> {
        let answer = self.send(host, request, head).await?;
        coding::undo(answer, head.may_code, &self.shared.undone)
            .map_err(|_| trouble(RelayStatus::Unknown, Side::Tunnel, "coding"))
    }
}

/// Whether a page of another origin may have chosen what is asked for. Its author could learn what
/// else is in the answer by how well it is coded together with their words, if they see how much
/// goes through the tunnel. Browsers say from where a page asks; one that does not may be behind
/// whatever has a cookie, and lets people in `by_cookie`. What programs of people's own ask for, nobody else chooses.
fn may_be_chosen_elsewhere(fields: &HeaderMap, by_cookie: bool) -> bool {
    let mut sites = fields.get_all(SEC_FETCH_SITE).iter();
    match (sites.next(), sites.next()) {
        (None, _) => by_cookie || fields.contains_key(COOKIE),
        (Some(site), None) => site != "same-origin" && site != "none",
        (Some(_), Some(_)) => true,
    }
}

/// A copy of a request that has no body.
pub(super) fn copy(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_page_may_have_chosen_is_told_by_the_browser() {
        for (fields, chosen) in [
            (&[] as &[(&str, &str)], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (
                &[("sec-fetch-site", "same-origin"), ("cookie", "a=b")],
                false,
            ),
            (&[("cookie", "a=b")], true),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "of tomorrow")], true),
            (
                &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
                true,
            ),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                let name: HeaderName = name.parse().unwrap();
                headers.append(name, value.parse().unwrap());
            }
            let found = may_be_chosen_elsewhere(&headers, false);
            assert_eq!(found, chosen, "{fields:?}");
            let found = may_be_chosen_elsewhere(&headers, true);
            assert_eq!(found, chosen || fields.is_empty(), "{fields:?}");
        }
    }
}
