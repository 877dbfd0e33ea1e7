//! A WebSocket at the borders of a hop: opened, refused, joined.
//!
//! Towards a caller an open WebSocket is 101 with HTTP/1.1 (RFC 6455) and 200 with
//! HTTP/2 (RFC 8441). Inside the tunnel any 2xx to extended CONNECT means open, so a
//! refusal travels under a status of its own with the upstream's in a field.

use http::header::{CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::{HeaderMap, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::splice::{Copied, Counts, Farewell, splice};
use crate::body::{self, Body};

/// The response field that carries the status of a refused upgrade.
const REFUSED_UPGRADE: HeaderName = HeaderName::from_static("latchkey-refused-upgrade");

/// The status of a refused upgrade inside the tunnel.
const WAS_REFUSED: u16 = 599;

/// The answer that opens a caller's WebSocket, with the upstream's fields.
pub fn open(version: Version, fields: HeaderMap) -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.headers_mut() = fields;
    let headers = response.headers_mut();
    if version == Version::HTTP_2 {
        // There was no key to accept.
        headers.remove(SEC_WEBSOCKET_ACCEPT);
        return response;
    }
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response
}

/// The answer to a caller whose WebSocket the upstream refused.
///
/// With HTTP/2 a 2xx would open it (RFC 8441 section 5), so there it becomes 502.
pub fn decline(version: Version, response: Response<Body>) -> Response<Body> {
    if version != Version::HTTP_2 || !response.status().is_success() {
        return response;
    }
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

/// Makes an upstream's ordinary answer one that the tunnel does not take for a yes.
pub fn refuse(mut response: Response<Body>) -> Response<Body> {
    let status = HeaderValue::from(response.status().as_u16());
    response.headers_mut().insert(REFUSED_UPGRADE, status);
    *response.status_mut() = StatusCode::from_u16(WAS_REFUSED).expect("three digits");
    response
}

/// The upstream's own answer again; `None` if the host did not [`refuse`].
pub fn restore(mut response: Response<Body>) -> Option<Response<Body>> {
    let status = response.headers_mut().remove(REFUSED_UPGRADE)?;
    *response.status_mut() = StatusCode::from_bytes(status.as_bytes())
        .ok()
        // Informational answers end nothing.
        .filter(|status| !status.is_informational())?;
    Some(response)
}

/// Joins the two halves as soon as both are there, until either ends or `end` does.
///
/// `None` if one of them never came.
pub async fn join(
    caller: OnUpgrade,
    printer: OnUpgrade,
    end: impl Future<Output = Farewell>,
) -> Option<Copied> {
    join_counted(caller, printer, end, &Counts::default()).await
}

/// The same, with what was copied so far to be read in between.
pub async fn join_counted(
    caller: OnUpgrade,
    printer: OnUpgrade,
    end: impl Future<Output = Farewell>,
    counts: &Counts,
) -> Option<Copied> {
    tokio::pin!(end);
    let halves = async { tokio::try_join!(caller, printer).ok() };
    let (caller, printer) = tokio::select! {
        halves = halves => halves?,
        _ = &mut end => return None,
    };
    Some(splice(TokioIo::new(caller), TokioIo::new(printer), end, counts).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> HeaderMap {
        let mut fields = HeaderMap::new();
        fields.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("x"));
        fields
    }

    #[test]
    fn each_version_opens_in_its_own_way() {
        let old = open(Version::HTTP_11, fields());
        assert_eq!(old.status(), 101);
        assert_eq!(old.headers()[UPGRADE], "websocket");
        assert!(old.headers().contains_key(SEC_WEBSOCKET_ACCEPT));
        let new = open(Version::HTTP_2, fields());
        assert_eq!(new.status(), 200);
        assert!(new.headers().is_empty());
    }

    #[test]
    fn a_refused_socket_is_never_told_as_an_open_one() {
        for (version, status, told) in [
            (Version::HTTP_11, 200, 200),
            (Version::HTTP_2, 200, 502),
            (Version::HTTP_2, 204, 502),
            (Version::HTTP_2, 403, 403),
        ] {
            let mut answer = Response::new(body::empty());
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            assert_eq!(decline(version, answer).status(), told);
        }
    }

    #[test]
    fn a_refusal_passes_the_tunnel_whatever_its_status() {
        for status in [200, 204, 403, 426, 500] {
            let mut answer = Response::new(body::empty());
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            let inside = refuse(answer);
            assert!(!inside.status().is_success());
            assert_eq!(restore(inside).unwrap().status(), status);
        }
        assert!(restore(Response::new(body::empty())).is_none());
        let mut forged = Response::new(body::empty());
        forged
            .headers_mut()
            .insert(REFUSED_UPGRADE, HeaderValue::from_static("101"));
        assert!(restore(forged).is_none());
    }
}
