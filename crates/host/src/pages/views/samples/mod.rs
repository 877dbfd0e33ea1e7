//! Every page of the host with sample facts, by name.
//!
//! Tests render them all; the example `pages` writes them to files.

mod api;
mod deciding;
mod home;
mod keys;
mod people;
mod relay;
mod session_apps;
mod signing_in;

use askama::Template;
use latchkey_model::clock::Timestamp;
use latchkey_web::moment::Moment;

use super::{Group, Pending, Site, Viewer, Whence};

const NOW: i64 = 1_760_000_000_000;

/// Name and HTML of each.
pub fn all() -> Vec<(String, String)> {
    everything(&Words::PLAIN)
}

/// The same with this text wherever text comes from outside.
pub fn hostile(payload: &'static str) -> Vec<(String, String)> {
    everything(&Words::all(payload))
}

/// The texts from outside in the samples.
#[derive(Debug, Clone, Copy)]
struct Words {
    app: &'static str,
    other_app: &'static str,
    user: &'static str,
    printer: &'static str,
    host: &'static str,
    address: &'static str,
    file: &'static str,
    relay: &'static str,
    device: &'static str,
    redirect: &'static str,
}

impl Words {
    const PLAIN: Self = Self {
        app: "Spool Butler",
        other_app: "com.longname.cura-networkprinting-plugin-enterprise 4.13",
        user: "tamsin",
        printer: "Garage Voron",
        host: "octopi.local",
        address: "192.168.1.37",
        file: "spiral-vase-180mm.gcode",
        relay: "relay.example.net",
        device: "Firefox on Linux",
        redirect: "https://cloud.example/done",
    };

    const fn all(payload: &'static str) -> Self {
        Self {
            app: payload,
            other_app: payload,
            user: payload,
            printer: payload,
            host: payload,
            address: payload,
            file: payload,
            relay: payload,
            device: payload,
            redirect: payload,
        }
    }

    fn site(&self) -> Site {
        Site {
            host: self.host.into(),
            printer: self.printer.into(),
            prefix: String::new(),
            csrf: "token-of-forms".into(),
        }
    }

    fn viewer(&self) -> Viewer {
        Viewer {
            user: self.user.into(),
            group: Group::Admins,
            may_decide: true,
            waiting: 0,
        }
    }

    fn pending(&self) -> Pending {
        Pending {
            app: self.app.into(),
            user_token: "r3Qvexample-request-token".into(),
            asked_from: self.address.into(),
            whence: Whence::Home,
            asked: seconds_ago(14),
        }
    }
}

fn seconds_ago(seconds: i64) -> Moment {
    Moment {
        at: Timestamp::from_millis(NOW - seconds * 1000),
        now: Timestamp::from_millis(NOW),
    }
}

/// Rendered pages by name.
#[derive(Debug, Default)]
struct Pages(Vec<(String, String)>);

impl Pages {
    fn add(&mut self, name: &str, page: &impl Template) {
        let html = page.render().expect("templates write to memory");
        self.0.push((name.to_owned(), html));
    }
}

fn everything(words: &Words) -> Vec<(String, String)> {
    let mut pages = Pages::default();
    signing_in::add(words, &mut pages);
    deciding::add(words, &mut pages);
    home::add(words, &mut pages);
    keys::add(words, &mut pages);
    people::add(words, &mut pages);
    session_apps::add(words, &mut pages);
    relay::add(words, &mut pages);
    api::add(words, &mut pages);
    pages.0
}

#[cfg(test)]
pub(super) fn site() -> Site {
    Words::PLAIN.site()
}

#[cfg(test)]
pub(super) fn viewer() -> Viewer {
    Words::PLAIN.viewer()
}

#[cfg(test)]
mod tests;
