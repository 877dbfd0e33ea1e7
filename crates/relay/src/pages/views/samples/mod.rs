//! Every page of the relay with sample facts, by name.
//!
//! Tests render them all; the example `pages` writes them to files.

mod administration;
mod api;
mod live;
mod open;
mod pairing;
mod people;
mod portal;
mod printers;
mod security;
mod signing_in;

use askama::Template;
use latchkey_model::clock::Timestamp;
use latchkey_web::moment::Moment;

use super::{AskingApp, Site, Viewer};

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
    email: &'static str,
    relay: &'static str,
    printer: &'static str,
    network: &'static str,
    device: &'static str,
    version: &'static str,
}

impl Words {
    const PLAIN: Self = Self {
        app: "Fieldglass",
        email: "tamsin@oyelaran.example",
        relay: "relay.example.net",
        printer: "Garage Voron",
        network: "203.0.113.0/24",
        device: "Firefox on Linux",
        version: "0.1.0",
    };

    const fn all(payload: &'static str) -> Self {
        Self {
            app: payload,
            email: payload,
            relay: payload,
            printer: payload,
            network: payload,
            device: payload,
            version: payload,
        }
    }

    fn site(&self) -> Site {
        Site {
            relay: self.relay.into(),
            csrf: "token-of-forms".into(),
        }
    }

    fn viewer(&self) -> Viewer {
        Viewer {
            email: self.email.into(),
            administrator: true,
        }
    }

    fn asking_app(&self) -> AskingApp {
        AskingApp {
            name: self.app.into(),
            verified: true,
            logo: None,
            request: "appId=fieldglass".into(),
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
    security::add(words, &mut pages);
    pairing::add(words, &mut pages);
    portal::add(words, &mut pages);
    printers::add(words, &mut pages);
    open::add(words, &mut pages);
    people::add(words, &mut pages);
    live::add(words, &mut pages);
    api::add(words, &mut pages);
    administration::add(words, &mut pages);
    pages.0
}

#[cfg(test)]
mod tests {
    use latchkey_web::page_check::sample_faults;

    #[test]
    fn all_pages_are_without_faults_whatever_texts_are_in_them() {
        assert_eq!(
            sample_faults(&super::all, &super::hostile),
            Vec::<String>::new()
        );
    }
}
