//! Which paths the host answers itself when it is the authority.
//!
//! The printer's server knows the same paths, and behind the host's credential it would answer
//! them for an administrator. So no other spelling of them may reach it either.

use percent_encoding::percent_decode_str;

/// Whose a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The host answers it.
    Host,
    /// It reads like one of the host's to a server that decodes it; nobody answers it.
    Nobody,
    /// The printer's server or a camera.
    Upstream,
}

/// Paths as they are, and prefixes that end with a slash.
const EXACT: [&str; 9] = [
    "/login",
    "/latchkey",
    "/api/login",
    "/api/logout",
    "/api/currentuser",
    "/api/plugin/appkeys",
    "/api/plugin/latchkey",
    "/api/plugin/octoeverywhere",
    "/apps/auth",
];
const BELOW: [&str; 5] = [
    "/login/",
    "/latchkey/",
    "/sockjs/",
    "/plugin/appkeys/",
    "/api/plugin/appkeys/",
];

/// Whose a raw path is.
pub(crate) fn owner_of(path: &str) -> Owner {
    if is_hosts(path) {
        return Owner::Host;
    }
    if spellings(path).any(|spelling| is_hosts(&spelling)) {
        return Owner::Nobody;
    }
    Owner::Upstream
}

/// Whether a path with its query may be led to after signing in or deciding: a page of the
/// printer's server, and no address of an API, for some servers take commands by GET.
pub(crate) fn is_page_of_upstream(target: &str) -> bool {
    const APIS: [&str; 6] = ["api", "printer", "machine", "server", "access", "debug"];
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.split('#').next().unwrap_or_default();
    let first = |path: &str| path.split('/').nth(1).unwrap_or_default().to_owned();
    path.starts_with('/')
        && owner_of(path) == Owner::Upstream
        && spellings(path).all(|path| !APIS.contains(&first(&path).as_str()))
        && !decoded(query).to_lowercase().contains("action=command")
}

fn is_hosts(path: &str) -> bool {
    EXACT.contains(&path)
        || path == "/sockjs"
        || path == "/plugin/appkeys"
        || BELOW.iter().any(|prefix| path.starts_with(prefix))
}

/// What servers may read a path as: decoded once or twice, in lower case, with backslashes for
/// slashes, with empty and dot segments resolved, without parameters.
fn spellings(path: &str) -> impl Iterator<Item = String> {
    let once = decoded(path);
    let twice = decoded(&once);
    [path.to_owned(), once, twice]
        .into_iter()
        .map(|path| simplified(&path))
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn simplified(path: &str) -> String {
    let path = path.to_lowercase().replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        let segment = segment.split(';').next().unwrap_or_default().trim();
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_a_command() {
        for (target, leads) in [
            ("/", true),
            ("/?tab=control", true),
            ("/maintenance/files?x=1", true),
            ("/printers-page", true),
            ("/api/version", false),
            ("/API/version", false),
            ("/%61pi/settings", false),
            ("/printer/gcode/script?script=M112", false),
            ("/x/../printer/emergency_stop", false),
            ("/machine/reboot", false),
            ("/webcam/?action=command&id=1", false),
            ("/webcam/?action%3Dcommand", false),
            ("/login/", false),
            ("x", false),
        ] {
            assert_eq!(is_page_of_upstream(target), leads, "{target}");
        }
    }

    #[test]
    fn the_hosts_paths_are_its_own_in_every_spelling() {
        for (path, expected) in [
            ("/login", Owner::Host),
            ("/login/", Owner::Host),
            ("/latchkey/keys", Owner::Host),
            ("/api/plugin/appkeys", Owner::Host),
            ("/plugin/appkeys/probe", Owner::Host),
            ("/sockjs/info", Owner::Host),
            ("/sockjs", Owner::Host),
            ("/apps/auth", Owner::Host),
            ("/api/plugin/octoeverywhere", Owner::Host),
            ("/api/plugin/latchkey", Owner::Host),
            ("/apps/auth/", Owner::Nobody),
            ("/Apps/Auth", Owner::Nobody),
            ("/apps/%61uth", Owner::Nobody),
            ("/apps/authors", Owner::Upstream),
            ("/apps", Owner::Upstream),
            ("/", Owner::Upstream),
            ("/api/version", Owner::Upstream),
            ("/api/plugin/psucontrol", Owner::Upstream),
            ("/plugin/gcodeviewer/static/x.js", Owner::Upstream),
            ("/webcam/", Owner::Upstream),
            ("/api/files/local/login", Owner::Upstream),
            ("/loginx", Owner::Upstream),
            ("/%61pi/plugin/appkeys", Owner::Nobody),
            ("/api/plugin/%61ppkeys", Owner::Nobody),
            ("/api%2Fplugin%2Fappkeys", Owner::Nobody),
            ("/%2561pi/plugin/appkeys", Owner::Nobody),
            ("//api/plugin/appkeys", Owner::Nobody),
            ("/api//plugin/appkeys", Owner::Nobody),
            ("/x/../api/login", Owner::Nobody),
            ("/api/./login", Owner::Nobody),
            ("/api/login;x=1", Owner::Nobody),
            ("/api;x/login", Owner::Nobody),
            ("/API/Login", Owner::Nobody),
            ("/api\\login", Owner::Nobody),
            ("/api/login/", Owner::Nobody),
            ("/api/login%20", Owner::Nobody),
            ("/SockJS/info", Owner::Nobody),
        ] {
            assert_eq!(owner_of(path), expected, "{path}");
        }
    }
}
