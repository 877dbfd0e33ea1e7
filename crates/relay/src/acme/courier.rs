//! How requests to an authority go out: by the one way out there is.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use latchkey_net::egress::Egress;

/// Longest answer of an authority. Chains have a few KiB.
const LONGEST: usize = 256 * 1024;
const WITHIN: Duration = Duration::from_secs(30);
/// Longest wait that an authority may ask for, in seconds: more than anybody here waits for it.
/// The library adds what is asked for to the present time, and there is no time so far off.
const LONGEST_WAIT: u64 = 3600;

pub(super) struct Courier(pub(super) Egress);

type Answered = Result<BytesResponse, Error>;

impl HttpClient for Courier {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Answered> + Send>> {
        let egress = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let request = Request::from_parts(head, body);
            let answer = egress.send(request, LONGEST, WITHIN).await;
            let mut answer = answer.map_err(|error| Error::Other(Box::new(error)))?;
            bound_wait(answer.headers_mut());
            Ok(answer.map(Full::new).into())
        })
    }
}

fn bound_wait(headers: &mut HeaderMap) {
    let asked = headers.get(RETRY_AFTER);
    let asked = asked.and_then(|asked| asked.to_str().ok()?.trim().parse::<u64>().ok());
    if asked.is_some_and(|seconds| seconds > LONGEST_WAIT) {
        headers.insert(RETRY_AFTER, HeaderValue::from(LONGEST_WAIT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_made_to_wait_for_ever() {
        for (asked, kept) in [
            ("5", "5"),
            ("3600", "3600"),
            ("3601", "3600"),
            ("18446744073709551615", "3600"),
            (
                "Fri, 31 Dec 1999 23:59:59 GMT",
                "Fri, 31 Dec 1999 23:59:59 GMT",
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, asked.parse().unwrap());
            bound_wait(&mut headers);
            assert_eq!(headers[RETRY_AFTER], kept, "{asked}");
        }
    }
}
