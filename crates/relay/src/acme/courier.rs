//! How requests to an authority go out: by the one way out there is.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use latchkey_net::egress::Egress;

/// Longest answer of an authority. Chains have a few KiB.
const LONGEST: usize = 256 * 1024;
const WITHIN: Duration = Duration::from_secs(30);

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
            let answer = answer.map_err(|error| Error::Other(Box::new(error)))?;
            Ok(answer.map(Full::new).into())
        })
    }
}
