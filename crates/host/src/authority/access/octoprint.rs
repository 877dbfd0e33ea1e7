//! `OctoPrint` 1.11.8 and the simulated printer. Its groups `readonly` and `users` are the model:
//! what the first may do is looking, what only the second may do is operating.

use latchkey_model::access::Access;

use super::{Row, admin, all, view};

/// What the host answers itself. Another spelling of it would reach `OctoPrint` with the host's
/// credential and sign in whoever it belongs to.
const HOSTS_OWN: Row = admin(&[
    "/api/currentuser/**",
    "/api/login/**",
    "/api/logout/**",
    "/api/plugin/appkeys/**",
    "/login/**",
    "/plugin/appkeys/**",
]);

/// Plugins that come with it and change more than the print, beside pictures of files.
const PLUGINS: [Row; 3] = [
    view(&[
        "/plugin/*/static/**",
        "/plugin/prusaslicerthumbnails/thumbnail/**",
        "/plugin/ultimakerformatpackage/thumbnail/**",
    ]),
    admin(&["/plugin/**"]),
    admin(&[
        "/api/plugin/announcements/**",
        "/api/plugin/backup/**",
        "/api/plugin/corewizard/**",
        "/api/plugin/customcontrolmanager/**",
        "/api/plugin/discovery/**",
        "/api/plugin/errortracking/**",
        "/api/plugin/eventmanager/**",
        "/api/plugin/health_check/**",
        "/api/plugin/logging/**",
        "/api/plugin/pluginmanager/**",
        "/api/plugin/softwareupdate/**",
        "/api/plugin/tracking/**",
        "/api/plugin/uploadmanager/**",
        "/api/plugin/virtual_printer/**",
    ]),
];

const READING: Row = view(&[
    "/api/connection",
    "/api/files/**",
    "/api/job",
    "/api/printer",
    "/api/printer/bed",
    "/api/printer/chamber",
    "/api/printer/error",
    "/api/printer/sd",
    "/api/printer/tool",
    "/api/printerprofiles/**",
    "/api/server",
    "/api/settings",
    "/api/timelapse/**",
    "/api/version",
]);

const ADMINISTRATION: Row = admin(&[
    "/api/access/**",
    "/api/languages/**",
    "/api/printerprofiles/**",
    "/api/settings/**",
    "/api/setup/**",
    "/api/system/**",
    "/api/users/**",
    "/api/util/**",
    "/downloads/logs/**",
    "/downloads/systeminfo.zip",
    "/recovery/**",
    "/rescue/**",
]);

const PAGE: Row = view(&[
    "/",
    "/cached.gif",
    "/downloads/camera/current",
    "/downloads/files/**",
    "/downloads/timelapse/**",
    "/downloads/timelapses",
    "/favicon.ico",
    "/i18n/**",
    "/online.gif",
    "/online.txt",
    "/plugin_assets/**",
    "/robots.txt",
    "/static/**",
    "/webcam/**",
]);

pub(super) const ROWS: &[Row] = &[
    HOSTS_OWN,
    PLUGINS[0],
    PLUGINS[1],
    PLUGINS[2],
    READING,
    ADMINISTRATION,
    PAGE,
    // Control is not possible over it, and it has a sign-in of its own.
    all(Access::View, &["/sockjs/**"]),
];
