//! `/printers/<id>/swap`: letting the other host with the same key in.

use askama::Template;
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;

use super::Site;

/// Posts `csrf_token` to where it is.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/swap_host.html")]
pub struct SwapHost {
    pub shell: BarShell,
    pub site: Site,
    pub printer_id: String,
    pub printer: String,
    /// From which network the one that is connected came.
    pub network: Option<String>,
    /// When the other one was held off last, and from which network; none if there is none.
    pub copy: Option<(Moment, String)>,
}
