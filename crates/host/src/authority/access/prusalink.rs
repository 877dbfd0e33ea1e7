//! PrusaLink, in printers of the MK4 generation and on a Raspberry Pi.
//!
//! `GET /api/settings` shows the key, and `GET /api/settings/apikey` makes another.

use super::{Row, admin, view};

pub(super) const ROWS: &[Row] = &[
    view(&[
        "/api/files/**",
        "/api/job",
        "/api/printer",
        "/api/printer/sd",
        "/api/thumbnails/**",
        "/api/timelapse",
        "/api/v1/cameras/snap",
        "/api/v1/cameras/*/snap",
        "/api/v1/files/**",
        "/api/v1/info",
        "/api/v1/job",
        "/api/v1/status",
        "/api/v1/storage",
        "/api/v1/transfer",
        "/api/version",
        "/downloads/**",
        "/thumb/**",
    ]),
    admin(&[
        "/api/connection/**",
        "/api/logs/**",
        "/api/ports/**",
        "/api/settings/**",
        "/api/system/**",
        "/api/v1/cameras/*/config",
        "/api/v1/cameras/*/connection",
        "/api/v1/link/**",
        "/api/v1/settings/**",
        "/api/v1/system/**",
        "/api/v1/update/**",
        "/link-info/**",
        "/wifi/**",
        "/wizard/**",
    ]),
    view(&["/", "/assets/**", "/favicon.ico", "/img/**", "/index.html"]),
];
