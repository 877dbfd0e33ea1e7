//! `/latchkey/api`: what programs call.

use askama::Template;
use latchkey_web::description::{Description, Piece};
use latchkey_web::shell::{BarShell, Place};

use super::Site;

#[derive(Debug, Clone, Template)]
#[template(path = "host/api.html")]
pub struct Api {
    pub shell: BarShell,
    pub site: Site,
    pub description: &'static Description,
    /// Where the document is.
    pub document: String,
}

impl Api {
    /// The page, the same for everybody: it says nothing of the printer.
    pub fn new(site: Site, description: &'static Description) -> Self {
        Self {
            shell: BarShell {
                place: Place::host(&site.host),
                prefix: site.prefix.clone(),
                home: "/latchkey/",
                nav: Vec::new(),
                account: None,
            },
            document: format!("{}/latchkey/api/openapi.json", site.prefix),
            site,
            description,
        }
    }
}
