//! `/api`: what apps, hosts and operators call.

use askama::Template;
use latchkey_web::description::{Description, Piece};
use latchkey_web::shell::{BarShell, Place};

use super::Site;

#[derive(Debug, Clone, Template)]
#[template(path = "relay/api.html")]
pub struct Api {
    pub shell: BarShell,
    pub site: Site,
    pub description: &'static Description,
}

impl Api {
    /// The page, the same for everybody.
    pub fn new(site: Site, description: &'static Description) -> Self {
        Self {
            shell: BarShell {
                place: Place::relay(&site.relay),
                prefix: String::new(),
                home: "/",
                nav: Vec::new(),
                account: None,
            },
            site,
            description,
        }
    }
}
