//! What a browser sees when it comes back from a relay to an app on the same computer.
//!
//! The app has no assets, and is gone soon after: the page brings everything along.

use askama::Template;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use crate::self_contained;

/// What became of coming back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// The app has its access.
    Done,
    /// It was told that it gets none.
    NotAllowed,
    /// It was allowed, and got nothing all the same.
    Failed,
    /// Not what the app waits for.
    Stray,
    /// The app has its answer already.
    Again,
    /// There is nothing at this address.
    Nothing,
    /// The address takes no such request.
    Method,
}

#[derive(Template)]
#[template(path = "returned/page.html")]
struct ReturnedPage {
    page: Returned,
}

impl Returned {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::NotAllowed,
        Self::Failed,
        Self::Stray,
        Self::Again,
        Self::Nothing,
        Self::Method,
    ];

    /// The page, which loads nothing and tells nobody at which address it was shown: that may
    /// have credentials in it.
    pub fn respond(self) -> Response<Bytes> {
        let html = ReturnedPage { page: self }.render();
        let html = html.expect("templates write to memory");
        let mut response = self_contained::page(self.status(), &html);
        let fields = response.headers_mut();
        let nobody = HeaderValue::from_static("no-referrer");
        fields.insert(header::REFERRER_POLICY, nobody);
        response
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Done | Self::NotAllowed | Self::Again => StatusCode::OK,
            Self::Failed => StatusCode::BAD_GATEWAY,
            Self::Stray => StatusCode::BAD_REQUEST,
            Self::Nothing => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_loads_nothing_and_keeps_its_address() {
        for page in Returned::ALL {
            let response = page.respond();
            assert_eq!(response.headers()[header::REFERRER_POLICY], "no-referrer");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
            let html = std::str::from_utf8(response.body()).unwrap();
            let body = html.split_once("<body").unwrap().1;
            for outside in ["http:", "https:", "src=", "<script", "<form", "<a "] {
                assert!(!body.contains(outside), "{page:?} {outside}");
            }
        }
    }
}
