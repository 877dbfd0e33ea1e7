//! Ids in paths. What is none is nobody's: there is nothing at such an address.

use std::str::FromStr;

use ::http::StatusCode;
use ::http::request::Parts;
use axum::extract::{FromRequestParts, Path};
use axum::response::Response;

use super::visit::Visit;
use crate::state::State;

/// The one id in a path.
pub(crate) struct Id<T>(pub(crate) T);

/// The two ids in a path.
pub(crate) struct Ids<A, B>(pub(crate) A, pub(crate) B);

impl<T: FromStr + Send> FromRequestParts<State> for Id<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Response> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        match text.ok().and_then(|Path(text)| text.parse().ok()) {
            Some(id) => Ok(Self(id)),
            None => Err(nothing(parts, state).await),
        }
    }
}

impl<A: FromStr + Send, B: FromStr + Send> FromRequestParts<State> for Ids<A, B> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Response> {
        let texts = Path::<(String, String)>::from_request_parts(parts, state).await;
        let ids = texts.ok().and_then(|Path((first, second))| {
            Some(Self(first.parse().ok()?, second.parse().ok()?))
        });
        match ids {
            Some(ids) => Ok(ids),
            None => Err(nothing(parts, state).await),
        }
    }
}

async fn nothing(parts: &mut Parts, state: &State) -> Response {
    match Visit::from_request_parts(parts, state).await {
        Ok(visit) => visit.problem(StatusCode::NOT_FOUND),
        Err(answer) => answer,
    }
}
