//! What can be called.

use super::{Pages, Words};
use crate::openapi::http::description;
use crate::pages::views::Api;

pub(super) fn add(words: &Words, pages: &mut Pages) {
    pages.add("api", &Api::new(words.site(), description()));
}
