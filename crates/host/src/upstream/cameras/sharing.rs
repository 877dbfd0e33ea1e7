//! What of a caller's request may be answered by the name of a picture that others see too.

use http::header::{
    AUTHORIZATION, COOKIE, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Uri};
use latchkey_model::access::Access;
use latchkey_net::body::{self, Body};
use latchkey_net::proxy::failure::HostFailure;
use latchkey_net::proxy::shared_camera::Shows;
use latchkey_net::tunnel::SharesCamera;

use super::super::credentials::{self, X_API_KEY};
use super::super::crowds;
use super::super::headers::{X_FORWARDED_FOR, X_REAL_IP};
use super::super::routes::{Route, Target};
use super::super::{Answer, Upstream};
use super::{Sharing, addresses, name_of};
use crate::authority::Admission;
use crate::neighbours::SOMEBODY_FAR_AWAY;
use crate::service::Inbound;

/// What a camera would be asked on behalf of nobody.
pub(in super::super) struct Wish {
    /// The question, and whether it is less than what the caller asked.
    parts: Parts,
    is_less: bool,
    shows: Shows,
    /// What lets the caller in can end here.
    held: bool,
}

impl Upstream {
    /// Whether a request that is let in can be answered by a picture's name.
    pub(in super::super) fn wish(
        &self,
        request: &Request<Body>,
        inbound: &Inbound,
        route: &Route<'_>,
        admission: &Admission,
    ) -> Option<Wish> {
        request.extensions().get::<SharesCamera>()?;
        let (headers, uri) = (request.headers(), request.uri());
        let asks_plainly = request.method() == Method::GET
            && !inbound.websocket
            && hyper::body::Body::is_end_stream(request.body())
            && !headers.contains_key(RANGE);
        let may_be = match admission {
            // Somebody signs in at the camera itself.
            Admission::Untouched => !headers.contains_key(AUTHORIZATION),
            Admission::Upto(..) => {
                self.needed(request.method(), uri, route, inbound.websocket) <= Access::View
            }
        };
        if !asks_plainly || !may_be {
            return None;
        }
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.uri = uri.clone();
        parts.headers.clone_from(headers);
        let mut parts = self.prepare(parts, inbound, route, admission).ok()?;
        let at_camera = route.target == Target::Webcam;
        let (shows, plain) = if addresses::looks_running(uri.path(), uri.query(), at_camera) {
            (
                Shows::Stream,
                addresses::plain(&self.without_key(&parts.uri)?)?,
            )
        } else {
            let asked = self.without_key(&parts.uri)?;
            (Shows::Picture, addresses::running_of(&asked)?)
        };
        let is_less = self.bring_nothing(&mut parts.headers) || plain != parts.uri;
        parts.uri = plain;
        Some(Wish {
            parts,
            is_less,
            shows,
            held: matches!(admission, Admission::Upto(_, Some(_))),
        })
    }

    /// Answers by a picture's name, or as the camera answers to the same question; nothing if the
    /// caller's own question is to be asked.
    pub(in super::super) async fn share(
        &self,
        wish: Wish,
        inbound: &Inbound,
        route: &Route<'_>,
        admission: &Admission,
    ) -> Result<Option<Answer>, HostFailure> {
        let Wish {
            parts,
            is_less,
            shows,
            held,
        } = wish;
        let cameras = &self.shared.cameras;
        let uri = parts.uri.clone();
        if let Some(shown) = cameras.show(&name_of(&uri), shows, held) {
            return Ok(Some(Answer::Plain(shown)));
        }
        if shows == Shows::Picture {
            return Ok(None);
        }
        let turn = self.shared.crowds.enter(route.target, inbound).await?;
        let response = self.send(parts, body::empty()).await?;
        Ok(match cameras.begin(uri, response, held) {
            // It takes no place of this caller's: it is nobody's, and there are few.
            Sharing::Shared(shown) => Some(Answer::Plain(shown)),
            Sharing::Own(response) if !is_less => {
                let answer = self.returned(response, inbound, route, admission);
                Some(crowds::keep(answer, turn)?)
            }
            Sharing::Own(_) | Sharing::Neither => None,
        })
    }

    fn without_key(&self, uri: &Uri) -> Option<Uri> {
        let target = uri.path_and_query()?.as_str();
        let target = credentials::remove_from_target(self.kind(), target);
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(target.parse().ok()?);
        Uri::from_parts(parts).ok()
    }

    /// Takes out all by which a server could know somebody. Says whether there was anything.
    fn bring_nothing(&self, headers: &mut HeaderMap) -> bool {
        const THEIRS: [HeaderName; 5] = [
            AUTHORIZATION,
            COOKIE,
            X_API_KEY,
            IF_NONE_MATCH,
            IF_MODIFIED_SINCE,
        ];
        let mut is_less = false;
        for name in THEIRS {
            is_less |= headers.remove(name).is_some();
        }
        if self.forwards_address() {
            come_from_outside(headers);
            is_less = true;
        }
        is_less
    }
}

/// Says of a question that it comes from outside: a server that trusts addresses at home is not to
/// show for those what it would not show to the callers.
pub(super) fn come_from_outside(headers: &mut HeaderMap) {
    let address = HeaderValue::try_from(SOMEBODY_FAR_AWAY.to_string());
    let address = address.expect("addresses are ASCII");
    headers.insert(X_FORWARDED_FOR, address.clone());
    headers.insert(X_REAL_IP, address);
}
