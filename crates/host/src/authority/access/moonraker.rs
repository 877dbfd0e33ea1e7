//! Moonraker, with the pages of Mainsail or Fluidd that may stand in front of it.
//!
//! What Klipper offers below `/printer/` is served to GET and POST alike, `gcode/script` and
//! `emergency_stop` included, so no method makes a path there harmless.

use latchkey_model::access::Access;

use super::{Requests, Row, admin, all, view};

const READING: Row = view(&[
    "/access/info",
    "/api/files/**",
    "/api/job",
    "/api/printer",
    "/api/printerprofiles",
    "/api/server",
    "/api/settings",
    "/api/version",
    "/machine/device_power/device",
    "/machine/device_power/devices",
    "/machine/device_power/status",
    "/machine/proc_stats",
    "/printer/gcode/help",
    "/printer/info",
    "/printer/objects/list",
    "/printer/objects/query",
    "/printer/query_endstops/status",
    "/server/announcements/feeds",
    "/server/announcements/list",
    "/server/files/directory",
    "/server/files/gcodes/**",
    "/server/files/list",
    "/server/files/metadata",
    "/server/files/roots",
    "/server/files/thumbnails",
    "/server/gcode_store",
    "/server/history/job",
    "/server/history/list",
    "/server/history/totals",
    "/server/info",
    "/server/job_queue/status",
    "/server/sensors/info",
    "/server/sensors/list",
    "/server/sensors/measurements",
    "/server/spoolman/spool_id",
    "/server/spoolman/status",
    "/server/temperature_store",
    "/server/webcams/item",
    "/server/webcams/list",
]);

const OPERATING: Row = all(
    Access::Operate,
    &["/access/oneshot_token", "/machine/device_power/**"],
);

const ADMINISTRATION: Row = admin(&[
    "/access/**",
    "/bridge/**",
    "/debug/**",
    "/klippysocket/**",
    "/machine/**",
    "/server/config/**",
    "/server/database/backup",
    "/server/database/compact",
    "/server/database/restore",
    "/server/extensions/**",
    "/server/files/config/**",
    "/server/files/klippy.log",
    "/server/files/logs/**",
    "/server/files/moonraker.log",
    "/server/jsonrpc/**",
    "/server/logs/**",
    "/server/mqtt/**",
    "/server/notifiers/**",
    "/server/restart",
]);

const PAGE: Row = view(&[
    "/",
    "/assets/**",
    "/config.json",
    "/css/**",
    "/favicon.ico",
    "/fonts/**",
    "/img/**",
    "/index.html",
    "/js/**",
    "/manifest.json",
    "/manifest.webmanifest",
    "/registersw.js",
    "/sw.js",
    "/webcam/**",
    "/webcam2/**",
    "/webcam3/**",
    "/webcam4/**",
]);

/// Every method of the API can be called over it.
const SOCKET: Row = Row {
    level: Access::Operate,
    requests: Requests::WebSocket,
    paths: &["/websocket"],
};

pub(super) const ROWS: &[Row] = &[READING, OPERATING, ADMINISTRATION, PAGE, SOCKET];
