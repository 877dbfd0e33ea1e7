//! The host's header policy: what the upstream is told, and what of its answer
//! goes back. This is the one place on this side; the relay's is `edge/headers.rs`.
//!
//! Requests arrive here past the gate, so hop-by-hop fields and callers' own
//! forwarded fields are gone already.

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_LOCATION, COOKIE, HOST, HeaderMap, HeaderName,
    HeaderValue, LOCATION, ORIGIN, REFERER, TRANSFER_ENCODING, UPGRADE_INSECURE_REQUESTS,
};
use latchkey_net::authority::Authority;
use latchkey_net::proxy::cookies;
use latchkey_net::proxy::headers::{remove_hop_by_hop, remove_hop_claims};
use url::Url;

use super::credentials::{self, X_API_KEY};
use super::routes::{Route, Routes, Target};
use crate::authority::Admission;
use crate::config::{Credential, UpstreamKind};
use crate::service::Inbound;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What the upstream learns about a request beside what the caller wrote.
pub(super) struct RequestPolicy<'a> {
    pub(super) kind: UpstreamKind,
    pub(super) inbound: &'a Inbound,
    pub(super) route: &'a Route<'a>,
    pub(super) forward_address: bool,
    pub(super) admission: &'a Admission,
    /// The host's credential, for callers that it has let in.
    pub(super) credential: Option<&'a Credential>,
}

impl RequestPolicy<'_> {
    /// Rewrites a request's fields for the upstream.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        let public = self.inbound.public_authority();
        let local = self.route.address.authority();
        for name in [ORIGIN, REFERER] {
            localize(headers, &name, &public, local);
        }
        join_cookies(headers);
        let let_in = matches!(self.admission, Admission::Upto(..));
        if let_in {
            credentials::remove_from_fields(headers);
        }
        // It asks for https, which is the outer hops' business.
        headers.remove(UPGRADE_INSECURE_REQUESTS);
        headers.insert(HOST, text(&local.clone().without_default_port(false)));
        headers.insert(X_FORWARDED_HOST, text(&public));
        let scheme = self.inbound.scheme.as_str();
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
        if self.forward_address {
            headers.insert(X_FORWARDED_FOR, text(&self.inbound.address));
            headers.insert(X_REAL_IP, text(&self.inbound.address));
        }
        if let (true, Some(credential), Target::Printer) =
            (let_in, self.credential, self.route.target)
        {
            headers.insert(credential_field(self.kind), credential.value());
        }
    }
}

/// Where each kind of server looks for the host's credential.
///
/// A generic server's key file holds the whole value of `Authorization`.
fn credential_field(kind: UpstreamKind) -> HeaderName {
    match kind {
        UpstreamKind::OctoPrint | UpstreamKind::Moonraker | UpstreamKind::PrusaLink => X_API_KEY,
        UpstreamKind::Generic => AUTHORIZATION,
    }
}

/// Browsers split the cookies of an HTTP/2 request into several fields; a server of
/// HTTP/1.1 reads one (RFC 9113 section 8.2.3). Tornado, and so OctoPrint, would join
/// them with commas and lose all but the first.
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() < 2 {
        return;
    }
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

/// Makes `Origin` and `Referer` name the upstream where they name the address the
/// caller used: its cross-origin checks compare them with `Host`. So does OctoPrint's,
/// which follows the forwarded fields everywhere else (1.11.8: 403 for the public one).
/// A foreign origin stays as it is, so that the same checks can refuse it.
fn localize(headers: &mut HeaderMap, name: &HeaderName, public: &Authority, local: &Authority) {
    let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let Ok(url) = Url::parse(value) else { return };
    if !matches!(url.scheme(), "http" | "https") || !names(&url, public) {
        return;
    }
    let local = local.clone().without_default_port(false);
    let origin = format!("http://{local}");
    // An origin has no path; a referrer keeps the rest as it was written.
    let rest = match value.splitn(4, '/').nth(3) {
        Some(rest) => format!("/{rest}"),
        None => String::new(),
    };
    if let Ok(value) = HeaderValue::from_str(&format!("{origin}{rest}")) {
        headers.insert(name, value);
    }
}

/// Whether a URL's host and port are this authority.
pub(crate) fn names(url: &Url, authority: &Authority) -> bool {
    let default = if url.scheme() == "https" { 443 } else { 80 };
    Authority::of_url(url).is_some_and(|named| {
        named.host() == authority.host() && named.port_or(default) == authority.port_or(default)
    })
}

/// Rewrites an answer's fields for the caller.
pub(super) fn apply_to_response(
    headers: &mut HeaderMap,
    inbound: &Inbound,
    route: &Route<'_>,
    routes: &Routes,
    admission: &Admission,
) {
    // Chunks count, not a length beside them (RFC 9112 section 6.3).
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    remove_hop_by_hop(headers);
    // Names with our prefix would be taken for our own word at the next hop.
    remove_hop_claims(headers);
    // A server that echoes fields must not hand the host's credential to a caller.
    headers.remove(X_API_KEY);
    headers.remove(AUTHORIZATION);
    for name in [LOCATION, CONTENT_LOCATION] {
        let Some(value) = headers.get(&name).and_then(|value| value.to_str().ok()) else {
            continue;
        };
        let Some(public) = publish(value, inbound, route, routes) else {
            continue;
        };
        if let Ok(value) = HeaderValue::from_str(&public) {
            headers.insert(name, value);
        }
    }
    if matches!(admission, Admission::Upto(..)) {
        credentials::drop_set_cookies(headers);
    }
    cookies::map_paths(headers, |path| route.public_path(path));
    cookies::keep_at_home(headers, inbound.scheme.is_secure());
}

/// The public spelling of a location, or `None` where it stays as it is.
fn publish(value: &str, inbound: &Inbound, route: &Route<'_>, routes: &Routes) -> Option<String> {
    if value.starts_with('/') && !value.starts_with("//") {
        return route.public_path(value);
    }
    let url = Url::parse(value).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let public = inbound.public_authority();
    // Everything behind the authority, as the server wrote it.
    let rest = value.splitn(4, '/').nth(3).unwrap_or_default();
    let path = format!("/{rest}");
    // A camera that names its own address means itself, not another server there.
    let server = std::iter::once(*route)
        .chain(routes.all())
        .find(|known| is_same_server(&url, known.address.authority()));
    let path = match server {
        Some(server) => server.public_path(&path).unwrap_or(path),
        None if names(&url, &public) => path,
        None => return None,
    };
    Some(format!("{}://{public}{path}", inbound.scheme.as_str()))
}

/// Whether a URL names a configured server; all loopback names are one.
fn is_same_server(url: &Url, server: &Authority) -> bool {
    let default = if url.scheme() == "https" { 443 } else { 80 };
    Authority::of_url(url).is_some_and(|named| {
        let same_host =
            named.host() == server.host() || (named.is_loopback() && server.is_loopback());
        same_host && named.port_or(default) == server.port_or(80)
    })
}

fn text(value: &impl ToString) -> HeaderValue {
    HeaderValue::from_str(&value.to_string()).expect("authorities and addresses are ASCII")
}

#[cfg(test)]
mod tests;
