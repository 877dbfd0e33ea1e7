//! The relay's header policy: what of a caller's request goes into the tunnel, and
//! what of the answer goes back. The host's is `upstream/headers.rs`.
//!
//! Requests arrive here past the gate, so hop-by-hop fields and callers' forwarded
//! fields are gone; `Authorization` was taken out with the credential. What is left
//! goes on as it is: fields of the printer's own APIs are not the relay's to judge.

use http::HeaderMap;
use latchkey_net::proxy::cookies;
use latchkey_net::proxy::headers::remove_hop_claims;

/// Cookies of the web origin, and those of people's own hostnames, begin like this; a printer may not
/// plant one.
const OWN_COOKIES: [&[u8]; 2] = [b"__host-lk", b"lk_own"];

/// Rewrites an answer's fields for the caller. The host did most of it already, but the
/// host may be anybody's.
pub(super) fn apply_to_response(headers: &mut HeaderMap, secure: bool) {
    // What the host says to the relay alone.
    remove_hop_claims(headers);
    for name in OWN_COOKIES {
        cookies::drop_named(headers, name);
    }
    cookies::keep_at_home(headers, secure);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::SET_COOKIE;

    #[test]
    fn the_hosts_word_and_planted_cookies_stop_here() {
        let mut headers = HeaderMap::new();
        headers.append("latchkey-failure", "x".parse().unwrap());
        headers.append(
            SET_COOKIE,
            "session_P443=1; Path=/; Domain=example.net"
                .parse()
                .unwrap(),
        );
        headers.append(SET_COOKIE, "__Host-lk_session=evil".parse().unwrap());
        headers.append(SET_COOKIE, "__HOST-LKx=evil".parse().unwrap());
        headers.append(SET_COOKIE, "lk_own=evil".parse().unwrap());
        headers.append("x-robots-tag", "noindex".parse().unwrap());
        apply_to_response(&mut headers, true);
        assert_eq!(headers.len(), 2);
        assert_eq!(headers[SET_COOKIE], "session_P443=1; Path=/; Secure");
    }
}
