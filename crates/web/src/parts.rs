//! All parts of the design on one page, for looking at them. Never served.

use askama::Template;

use crate::shell::{Account, BarShell, NavItem, Place};

#[derive(Debug, Clone, Template)]
#[template(path = "shared/parts_page.html")]
pub struct PartsPage {
    pub shell: BarShell,
}

impl Default for PartsPage {
    fn default() -> Self {
        let item = |icon, label, current, waiting| NavItem {
            href: "#",
            icon,
            label,
            current,
            waiting,
        };
        Self {
            shell: BarShell {
                place: Place::relay("relay.example.net"),
                prefix: String::new(),
                home: "#",
                nav: vec![
                    item("printer", "Parts", true, None),
                    item("key-round", "App keys", false, Some(1)),
                    item("list", "Activity", false, None),
                    item("user", "Account", false, None),
                ],
                account: Some(Account {
                    href: "#",
                    name: "tamsin@oyelaran.example".into(),
                }),
            },
        }
    }
}
