//! Style sheet, font, icons, favicon and scripts, under addresses that change with their content.
//!
//! `/latchkey/assets/<hash>/<name>` may be kept for ever by any cache, because
//! another content has another address.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{Router, extract::Path, response::IntoResponse, routing::get};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::css::minify;

/// Everything below it is an asset; reserved on both roles' own hostnames.
pub const PREFIX: &str = "/latchkey/assets";

const FONT: &str = "atkinson-hyperlegible-next.woff2";
const STYLE: &str = "latchkey.css";

#[derive(RustEmbed)]
#[folder = "static/"]
#[include = "*.css"]
#[include = "*.js"]
#[include = "*.svg"]
#[include = "*.woff2"]
#[exclude = "edge.css"]
struct Files;

#[derive(Debug)]
struct Asset {
    url: String,
    hash: String,
    content_type: &'static str,
    body: Bytes,
}

static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(load);

/// The address of an asset by its file name, for templates.
///
/// A name that is not embedded is a slip in a template, and gives an address
/// that answers 404; the tests of the templates look for it.
pub fn url(name: &str) -> &'static str {
    ASSETS
        .get(name)
        .map_or("/latchkey/assets/missing", |asset| &asset.url)
}

/// The routes of all assets.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/latchkey/assets/{hash}/{name}", get(serve))
}

/// Answers for one asset; `None` as the caller's hash is stale or the name unknown.
pub fn find(hash: &str, name: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
    let asset = ASSETS.get(name).filter(|asset| asset.hash == hash)?;
    let etag = HeaderValue::from_str(&format!("\"{}\"", asset.hash)).expect("a hash is plain hex");
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|value| value.to_str().is_ok_and(|v| v.contains(&asset.hash)));
    let mut response = Response::new(if known {
        Bytes::new()
    } else {
        asset.body.clone()
    });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let fields = response.headers_mut();
    fields.insert(header::ETAG, etag);
    fields.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    fields.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(asset.content_type),
    );
    fields.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    Some(response)
}

/// The style sheet as it is sent, for tests of its size and for the parts page.
pub fn style_sheet() -> Bytes {
    ASSETS
        .get(STYLE)
        .map_or_else(Bytes::new, |asset| asset.body.clone())
}

/// All assets as they are sent, with their addresses.
pub fn all() -> impl Iterator<Item = (&'static str, Bytes)> {
    ASSETS
        .values()
        .map(|asset| (asset.url.as_str(), asset.body.clone()))
}

async fn serve(
    Path((hash, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> axum::response::Response {
    match find(&hash, &name, &headers) {
        Some(response) => response.map(axum::body::Body::from),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn load() -> BTreeMap<String, Asset> {
    let mut assets = BTreeMap::new();
    for name in Files::iter() {
        add(&name, &mut assets);
    }
    assets
}

/// Takes in a file after those it names, whose hashes it has to know; its address, as
/// another asset names it. Relative, so that it also holds behind a path prefix and
/// in a folder (the parts example).
fn add(name: &str, assets: &mut BTreeMap<String, Asset>) -> String {
    if let Some(known) = assets.get(name) {
        return format!("../{}/{name}", known.hash);
    }
    let file = Files::get(name).expect("what names it and the folder go together");
    let text = || String::from_utf8_lossy(&file.data);
    let body = match name.rsplit('.').next() {
        Some("css") => Bytes::from(minify(&text()).replace("FONT_URL", &add(FONT, assets))),
        Some("js") => Bytes::from(link(&text(), assets)),
        _ => Bytes::from(file.data.into_owned()),
    };
    let hash = hash_of(&body);
    let relative = format!("../{hash}/{name}");
    let asset = Asset {
        url: format!("{PREFIX}/{hash}/{name}"),
        content_type: content_type(name),
        hash,
        body,
    };
    assets.insert(name.to_owned(), asset);
    relative
}

/// A module with the addresses of those it imports, which are written `from "./name.js"`.
fn link(source: &str, assets: &mut BTreeMap<String, Asset>) -> String {
    const IMPORT: &str = "from \"./";
    let mut pieces = source.split(IMPORT);
    let mut linked = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once('"').unwrap_or((piece, ""));
        linked.push_str("from \"");
        linked.push_str(&add(name, assets));
        linked.push('"');
        linked.push_str(rest);
    }
    linked
}

fn hash_of(content: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(content)[..8]
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts_of(url: &str) -> (&str, &str) {
        url.strip_prefix(PREFIX).unwrap()[1..]
            .split_once('/')
            .unwrap()
    }

    #[test]
    fn style_sheet_fits_its_budget() {
        let size = style_sheet().len();
        assert!(size <= 20 * 1024, "the style sheet has {size} bytes");
        assert!(!style_sheet().windows(8).any(|w| w == b"FONT_URL"));
    }

    #[test]
    fn an_asset_is_kept_for_ever_and_not_sent_twice() {
        let (hash, name) = parts_of(url(STYLE));
        let first = find(hash, name, &HeaderMap::new()).unwrap();
        assert_eq!(
            first.headers()[header::CACHE_CONTROL],
            "public, max-age=31536000, immutable"
        );
        assert_eq!(
            first.headers()[header::CONTENT_TYPE],
            "text/css; charset=utf-8"
        );
        let mut again = HeaderMap::new();
        again.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        let second = find(hash, name, &again).unwrap();
        assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
        assert!(second.body().is_empty());
    }

    #[test]
    fn a_stale_address_is_not_answered_with_the_new_content() {
        let (_, name) = parts_of(url(STYLE));
        assert!(find("0000000000000000", name, &HeaderMap::new()).is_none());
        assert!(find("", "icons.LICENSE.txt", &HeaderMap::new()).is_none());
    }

    #[test]
    fn modules_import_each_other_by_addresses_that_answer() {
        let mut imports = 0;
        for (url, body) in all().filter(|(url, _)| content_type(url).starts_with("text/javascript"))
        {
            let source = String::from_utf8(body.to_vec()).unwrap();
            assert!(!source.contains("\"./"), "{url}");
            for piece in source.split("from \"../").skip(1) {
                let (hash, name) = piece.split_once('"').unwrap().0.split_once('/').unwrap();
                assert!(
                    find(hash, name, &HeaderMap::new()).is_some(),
                    "{url}: {name}"
                );
                imports += 1;
            }
        }
        assert!(imports > 0);
    }

    #[test]
    fn types_are_those_browsers_expect() {
        for (name, expected) in [
            (FONT, "font/woff2"),
            ("icons.svg", "image/svg+xml"),
            ("guard.js", "text/javascript; charset=utf-8"),
        ] {
            let (hash, name) = parts_of(url(name));
            let response = find(hash, name, &HeaderMap::new()).unwrap();
            assert_eq!(response.headers()[header::CONTENT_TYPE], expected);
        }
    }
}
