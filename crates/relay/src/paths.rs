//! Paths that apps write in any case: `/AppPortal/V1`, `/api/appConnection/info`.
//!
//! They are put into lower case before any route is looked for, so that routes say them once.

use http::Uri;
use http::uri::PathAndQuery;

/// Below these, and at these themselves, a path means the same in any case. Whatever tells
/// apart upper and lower case must not stand in such a path, only in its query.
const ANY_CASE: [&str; 4] = [
    "/api/appconnection",
    "/api/gadget",
    "/api/live",
    "/appportal",
];

/// Puts the path of `uri` into lower case, where its case means nothing. The query stays.
pub(crate) fn normalize(uri: &mut Uri) {
    if let Some(lower) = in_lower_case(uri) {
        *uri = lower;
    }
}

fn in_lower_case(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let changes = path.bytes().any(|byte| byte.is_ascii_uppercase());
    if !changes || !means_the_same_in_any_case(path) {
        return None;
    }
    let mut target = path.to_ascii_lowercase();
    if let Some(query) = uri.query() {
        target.push('?');
        target.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

fn means_the_same_in_any_case(path: &str) -> bool {
    ANY_CASE.iter().any(|prefix| is_at_or_below(path, prefix))
}

fn is_at_or_below(path: &str, prefix: &str) -> bool {
    let Some((head, rest)) = path.split_at_checked(prefix.len()) else {
        return false;
    };
    head.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_apps_lose_their_case_and_no_query_does() {
        for (asked, routed) in [
            ("/AppPortal/V1", "/appportal/v1"),
            (
                "/AppPortal/V1/?appId=OctoPod",
                "/appportal/v1/?appId=OctoPod",
            ),
            (
                "/appportal/V1/NoSupporterPerks?AppId=X",
                "/appportal/v1/nosupporterperks?AppId=X",
            ),
            ("/APPPORTAL", "/appportal"),
            ("/API/AppConnection/Info", "/api/appconnection/info"),
            (
                "/api/gadget/GetStatusFromAppConnection",
                "/api/gadget/getstatusfromappconnection",
            ),
            ("/Api/Live/X?", "/api/live/x?"),
            ("/appportal/v1?A=%2F", "/appportal/v1?A=%2F"),
            // Nobody else's.
            ("/AppPortals/V1", "/AppPortals/V1"),
            ("/api/Printers/A", "/api/Printers/A"),
            ("/View/My%20Printer", "/View/My%20Printer"),
            ("/x/AppPortal/V1", "/x/AppPortal/V1"),
            ("/", "/"),
            ("*", "*"),
        ] {
            let mut uri: Uri = asked.parse().unwrap();
            normalize(&mut uri);
            assert_eq!(uri.to_string(), routed, "{asked}");
        }
    }

    #[test]
    fn the_authority_of_a_whole_address_stays() {
        let mut uri: Uri = "https://Relay.example:8443/AppPortal/V1?A=B"
            .parse()
            .unwrap();
        normalize(&mut uri);
        assert_eq!(
            uri.to_string(),
            "https://Relay.example:8443/appportal/v1?A=B"
        );
    }

    #[test]
    fn a_path_that_ends_within_a_letter_of_several_bytes_is_no_trouble() {
        // As long as a prefix only when counted in bytes.
        assert!(!means_the_same_in_any_case("/appporta\u{e4}"));
        assert!(!means_the_same_in_any_case("/api/gadge\u{e4}x"));
    }
}
