//! The request gate: what every request must be before anything of ours looks at it.
//!
//! It stands in front of the relay's listener, the host's LAN listener and the host's
//! end of the tunnel. hyper is the only parser; the gate refuses what hyper accepts but
//! another parser further on might understand differently, and it removes every field
//! by which a caller could pretend to be one of our hops.
//!
//! | accepted by hyper | here |
//! | --- | --- |
//! | `Content-Length` beside `Transfer-Encoding` | 400 |
//! | `Transfer-Encoding` other than exactly `chunked` | 400 |
//! | no `Host`, or two | 400 |
//! | absolute target that names another host than `Host` | 400 |
//! | `CONNECT`, `OPTIONS *`, an authority with user information | 400 |
//! | fields named by `Connection` | removed; 400 when they frame, route or authenticate |
//! | `X_Forwarded_For` and other twins of our own fields | removed |
//! | `Upgrade` to anything but a WebSocket or the tunnel | removed |
//!
//! A refusal always closes the connection: whatever follows cannot be trusted to be
//! the start of a request. Sources: RFC 9112 sections 3.2, 6.1 and 6.3, RFC 9110 section 7.6.1.

pub(crate) mod framing;

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Version};

use crate::authority::Authority;
use crate::listen::Tap;
use crate::proxy::headers;
use crate::tunnel::TUNNEL_UPGRADE;

/// Longest request target, in bytes.
pub const MAX_TARGET: usize = 8 * 1024;
/// Most fields in one request.
pub const MAX_FIELDS: usize = 100;
/// Most bytes of names and values together, each field counted with 32 bytes of
/// overhead as HTTP/2 does (RFC 9113 section 6.5.2).
pub const MAX_FIELD_BYTES: usize = 32 * 1024;

/// Why a request was refused. The text may be shown: it repeats nothing of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub enum Rejection {
    /// Content-Length and Transfer-Encoding in one request.
    ConflictingLength,
    /// The only transfer coding understood is chunked.
    TransferCoding,
    /// Exactly one Host field is needed.
    Host,
    /// The Host field is not a host with an optional port.
    HostSyntax,
    /// The target and the Host field name different hosts.
    HostMismatch,
    /// The request target must start with a slash.
    Target,
    /// This server does not open connections for others (CONNECT).
    Connect,
    /// Connection names a field that cannot be left out.
    Nominated,
    /// The request target is longer than 8 KiB.
    TargetTooLong,
    /// More than 100 fields, or more than 32 KiB of them.
    FieldsTooLarge,
    /// The only expectation understood is 100-continue.
    Expectation,
}

impl Rejection {
    /// What is wrong, in a sentence for whoever wrote the client.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::ConflictingLength => {
                "A request may have Content-Length or Transfer-Encoding, not both."
            }
            Self::TransferCoding => "The only transfer coding understood here is chunked.",
            Self::Host => "Exactly one Host field is needed.",
            Self::HostSyntax => "The Host field must be a host with an optional port.",
            Self::HostMismatch => "The target and the Host field name different hosts.",
            Self::Target => "The request target must start with a slash.",
            Self::Connect => "This server does not open connections for others.",
            Self::Nominated => "The Connection field names a field that cannot be left out.",
            Self::TargetTooLong => "The address is longer than 8 KiB.",
            Self::FieldsTooLarge => "More than 100 header fields, or more than 32 KiB of them.",
            Self::Expectation => "The only expectation understood here is 100-continue.",
        }
    }

    /// The status to answer with; the connection is closed after it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// What the gate found out about a request it let pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The one authority the request may be routed by.
    pub authority: Authority,
    /// Whether it asks for a WebSocket, by either version of HTTP.
    pub websocket: bool,
    /// Whether a host asks to turn this connection into its tunnel.
    pub tunnel: bool,
}

/// Checks a request and removes what no request may carry further.
///
/// `tap` is the connection's tap for HTTP/1 and `None` for HTTP/2, whose framing
/// leaves no room for a second reading. What forwarded fields say must have been
/// read before (see [`crate::client_addr`]): none is left afterwards.
pub fn pass<B>(request: &mut Request<B>, tap: Option<&Tap>) -> Result<Passed, Rejection> {
    // Tell the tap first, also for requests refused below.
    let both_lengths = tap.is_some_and(Tap::request_taken);
    check_size(request)?;
    check_framing(request, both_lengths)?;
    let authority = check_authority(request)?;
    check_method(request)?;
    let websocket = request.method() == Method::CONNECT || upgrades_to(request, "websocket");
    let tunnel = upgrades_to(request, TUNNEL_UPGRADE);
    let fields = request.headers_mut();
    check_expectation(fields)?;
    check_nominated(fields)?;
    headers::remove_hop_by_hop(fields);
    headers::remove_hop_claims(fields);
    Ok(Passed {
        authority,
        websocket,
        tunnel,
    })
}

fn check_size<B>(request: &Request<B>) -> Result<(), Rejection> {
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |t| t.as_str().len());
    if target > MAX_TARGET {
        return Err(Rejection::TargetTooLong);
    }
    let fields = request.headers();
    let bytes: usize = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum();
    if fields.len() > MAX_FIELDS || bytes > MAX_FIELD_BYTES {
        return Err(Rejection::FieldsTooLarge);
    }
    Ok(())
}

fn check_framing<B>(request: &Request<B>, both_lengths: bool) -> Result<(), Rejection> {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Rejection::TransferCoding);
    }
    if both_lengths || request.headers().contains_key(CONTENT_LENGTH) {
        return Err(Rejection::ConflictingLength);
    }
    Ok(())
}

fn check_authority<B>(request: &Request<B>) -> Result<Authority, Rejection> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => return Err(Rejection::Host),
        (Some(host), None) => Some(parse_authority(host.to_str().ok())?),
        (None, _) => None,
    };
    if request
        .uri()
        .scheme()
        .is_some_and(|s| *s != Scheme::HTTP && *s != Scheme::HTTPS)
    {
        return Err(Rejection::Target);
    }
    let target = match request.uri().authority() {
        Some(authority) => Some(parse_authority(Some(authority.as_str()))?),
        None => None,
    };
    match (named, target) {
        (Some(named), Some(target)) => {
            let port = default_port(request.uri().scheme());
            if named.host() != target.host() || named.port_or(port) != target.port_or(port) {
                return Err(Rejection::HostMismatch);
            }
            Ok(named)
        }
        (Some(named), None) => Ok(named),
        // HTTP/2 has the authority in the target alone.
        (None, Some(target)) if request.version() >= Version::HTTP_2 => Ok(target),
        (None, _) => Err(Rejection::Host),
    }
}

fn default_port(scheme: Option<&Scheme>) -> u16 {
    if scheme == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    }
}

fn parse_authority(text: Option<&str>) -> Result<Authority, Rejection> {
    text.and_then(|text| text.parse().ok())
        .ok_or(Rejection::HostSyntax)
}

fn check_method<B>(request: &Request<B>) -> Result<(), Rejection> {
    if request.method() == Method::CONNECT {
        let websocket = request
            .extensions()
            .get::<hyper::ext::Protocol>()
            .is_some_and(|protocol| protocol.as_str().eq_ignore_ascii_case("websocket"));
        if request.version() != Version::HTTP_2 || !websocket {
            return Err(Rejection::Connect);
        }
    }
    if request.uri().path().starts_with('/') {
        Ok(())
    } else {
        Err(Rejection::Target)
    }
}

/// Whether an HTTP/1.1 request without a body asks to speak `protocol` from here on
/// (RFC 9110 section 7.8). The field itself is removed with the other hop-by-hop ones.
fn upgrades_to<B>(request: &Request<B>, protocol: &str) -> bool {
    let fields = request.headers();
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && headers::connection_names(fields, UPGRADE.as_str())
        && !fields.contains_key(TRANSFER_ENCODING)
        && fields
            .get(CONTENT_LENGTH)
            .is_none_or(|length| length == "0")
        && one_value(fields, &UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(protocol.as_bytes()))
}

fn one_value<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = fields.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { None } else { first }
}

fn check_expectation(fields: &mut HeaderMap) -> Result<(), Rejection> {
    let understood = fields
        .get_all(EXPECT)
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    // hyper answers it as soon as the body is first asked for, which is after our checks.
    fields.remove(EXPECT);
    if understood {
        Ok(())
    } else {
        Err(Rejection::Expectation)
    }
}

/// A caller must not be able to strip a field on which framing, routing or access rests.
fn check_nominated(fields: &HeaderMap) -> Result<(), Rejection> {
    const NEEDED: [HeaderName; 5] = [
        HOST,
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
        AUTHORIZATION,
        COOKIE,
    ];
    let needed = |name: &str| {
        NEEDED
            .iter()
            .any(|needed| needed.as_str().eq_ignore_ascii_case(name))
            || name.eq_ignore_ascii_case("x-api-key")
            || headers::is_hop_claim(name)
    };
    if headers::connection_tokens(fields).any(needed) {
        return Err(Rejection::Nominated);
    }
    Ok(())
}
