//! Which level a request needs at the printer's server: a table for each kind of server.
//!
//! `docs/reference/access-levels.md` shows the same tables to people, and says where they end.

mod moonraker;
mod octoprint;
mod prusalink;

use http::Method;
use latchkey_model::access::Access;

use super::paths;
use crate::config::UpstreamKind;

/// The first row that fits a request says what it needs.
#[derive(Clone, Copy)]
struct Row {
    level: Access,
    requests: Requests,
    /// `*` stands for one segment, and `/**` at the end for anything below and for nothing.
    paths: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Requests {
    /// GET, HEAD and OPTIONS, but no WebSocket.
    Reading,
    WebSocket,
    All,
}

const fn view(paths: &'static [&'static str]) -> Row {
    let (level, requests) = (Access::View, Requests::Reading);
    Row {
        level,
        requests,
        paths,
    }
}

const fn admin(paths: &'static [&'static str]) -> Row {
    all(Access::Admin, paths)
}

const fn all(level: Access, paths: &'static [&'static str]) -> Row {
    let requests = Requests::All;
    Row {
        level,
        requests,
        paths,
    }
}

/// What fits no row: nobody knows what it does, so looking is not enough.
const UNKNOWN: Access = Access::Operate;

/// Which level a request to the printer's server needs.
pub(crate) fn needed(
    kind: UpstreamKind,
    method: &Method,
    path: &str,
    query: Option<&str>,
    websocket: bool,
) -> Access {
    let Some(rows) = rows(kind) else {
        return UNKNOWN;
    };
    let reads = is_reading(method) && !websocket;
    let fits = |row: &Row| match row.requests {
        Requests::Reading => reads,
        Requests::WebSocket => websocket,
        Requests::All => true,
    };
    let read_as = |path: &str| {
        rows.iter()
            .filter(|row| fits(row))
            .find(|row| row.paths.iter().any(|pattern| matches(pattern, path)))
            .map_or(UNKNOWN, |row| row.level)
    };
    // Servers decode differently; where they could differ, the strictest reading counts.
    let Some(readings) = paths::readings(path) else {
        return Access::Admin;
    };
    let level = readings
        .iter()
        .map(|reading| read_as(reading))
        .max()
        .unwrap_or(Access::Admin);
    if level == Access::View && commands_a_camera(query) {
        return UNKNOWN;
    }
    level
}

/// Whether reading this address would do something, or tell a secret: some servers take commands by
/// GET, which a page elsewhere can make a browser send.
pub(crate) fn is_command_by_get(kind: UpstreamKind, path: &str, query: Option<&str>) -> bool {
    if commands_a_camera(query) {
        return true;
    }
    // Their APIs; beside them stand the files of a web interface, which do nothing.
    let apis: &[&str] = match kind {
        UpstreamKind::Moonraker => &["printer", "machine", "server", "access", "api", "debug"],
        UpstreamKind::PrusaLink => &["api"],
        UpstreamKind::OctoPrint | UpstreamKind::Generic => return false,
    };
    let below_api = paths::readings(path).is_none_or(|readings| {
        readings
            .iter()
            .filter_map(|path| path.split('/').nth(1))
            .any(|first| apis.contains(&first))
    });
    below_api && needed(kind, &Method::GET, path, query, false) > Access::View
}

/// Which level a request to a camera needs: looking is reading.
pub(crate) fn needed_at_camera(method: &Method, query: Option<&str>, websocket: bool) -> Access {
    if is_reading(method) && !websocket && !commands_a_camera(query) {
        Access::View
    } else {
        UNKNOWN
    }
}

/// Whether the answer is OctoPrint's settings, which tell an administrator's credential secrets.
pub(crate) fn is_settings(kind: UpstreamKind, path: &str) -> bool {
    kind == UpstreamKind::OctoPrint
        && paths::readings(path)
            .is_none_or(|readings| readings.iter().any(|path| path == "/api/settings"))
}

/// A camera server that people use with OctoPrint sets its picture by GET.
fn commands_a_camera(query: Option<&str>) -> bool {
    query.is_some_and(|query| {
        url::form_urlencoded::parse(query.as_bytes())
            .any(|(name, value)| name == "action" && value.starts_with("command"))
    })
}

/// Whether a request with this method only looks. TRACE is none of them: it repeats credentials.
pub(crate) fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn rows(kind: UpstreamKind) -> Option<&'static [Row]> {
    match kind {
        UpstreamKind::OctoPrint => Some(octoprint::ROWS),
        UpstreamKind::Moonraker => Some(moonraker::ROWS),
        UpstreamKind::PrusaLink => Some(prusalink::ROWS),
        UpstreamKind::Generic => None,
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, below) = match pattern.strip_suffix("/**") {
        Some(start) => (start, true),
        None => (pattern, false),
    };
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        match segments.next() {
            Some(segment) if wanted == segment || wanted == "*" => {}
            _ => return false,
        }
    }
    below || segments.next().is_none()
}

#[cfg(test)]
mod tests;
