//! Live links: making them, what they show, and how they end.
//!
//! Whoever has one sees a printer's state and its camera. Nothing of it reaches the host's HTTP.

pub(crate) mod http;
pub(crate) mod owner;
pub(crate) mod recheck;
#[cfg(test)]
pub(crate) mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_model::id::{AccountId, AppConnectionId, LiveLinkId, PrintId, PrinterId};
use latchkey_model::live_link::{LinkHours, LiveLink, MOST_OF_A_PRINTER, Shows, secret_of};
use latchkey_model::sealed::SigningKey;
use latchkey_model::secret::LiveLinkSecret;
use latchkey_store::relay::ListedLink;
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::limits::{Limits, TooMany, Window, household};

use crate::config::PublicUrl;
use crate::events::Events;
use crate::watching::{By, Viewer, Watching};

/// What one address (IPv6: /64) may ask of live links: a family that watches several.
const LOOKS: [Window; 1] = [Window::new(600, Duration::from_mins(1))];
/// And of what never was one, or is over.
const MISSES: [Window; 1] = [Window::new(60, Duration::from_mins(1))];

/// The live links. Clones share everything.
#[derive(Clone)]
pub(crate) struct LiveLinks(Arc<Shared>);

/// What [`LiveLinks`] works with.
pub(crate) struct Parts {
    pub(crate) store: RelayStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    /// From which the links' secrets are made.
    pub(crate) key: SigningKey,
    pub(crate) public_url: PublicUrl,
    pub(crate) events: Events,
    pub(crate) watching: Watching,
}

struct Shared {
    parts: Parts,
    looks: Limits<IpAddr>,
    misses: Limits<IpAddr>,
}

/// A link that somebody wants.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) printer: PrinterId,
    pub(crate) account: AccountId,
    /// The app that asks for it, if one does.
    pub(crate) app_connection: Option<AppConnectionId>,
    pub(crate) hours: LinkHours,
    pub(crate) with_print: bool,
}

/// Why there is no new link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotMade {
    #[error("no print goes on with which the link could end")]
    NoPrint,
    #[error("the printer has as many live links as it may")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A link that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) id: LiveLinkId,
    pub(crate) url: String,
    pub(crate) short_url: String,
}

impl LiveLinks {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared {
            parts,
            looks: Limits::new(&LOOKS),
            misses: Limits::new(&MISSES),
        }))
    }

    /// Makes a link.
    pub(crate) async fn make(&self, wish: Wish) -> Result<Made, NotMade> {
        let parts = &self.0.parts;
        let print = if wish.with_print {
            Some(self.print_of(&wish.printer).ok_or(NotMade::NoPrint)?)
        } else {
            None
        };
        let now = parts.clock.now();
        let link = LiveLink {
            id: LiveLinkId::generate(&*parts.chance),
            printer: wish.printer,
            account: wish.account,
            app_connection: wish.app_connection,
            created: now,
            expires: wish.hours.after(now),
            print,
            ended: None,
        };
        let secret = secret_of(&link.id, &parts.key);
        let (links, hash) = (parts.store.live_links(), secret.hash());
        let made = links.create(&link, &hash, MOST_OF_A_PRINTER).await?;
        if !made {
            return Err(NotMade::TooMany);
        }
        tracing::info!(
            account.id = %link.account,
            printer.id = %link.printer,
            "a live link was made"
        );
        Ok(Made {
            url: self.url_of(&secret),
            short_url: format!("{}/l/{}", parts.public_url, secret.expose()),
            id: link.id,
        })
    }

    /// The print that goes on, if one does.
    fn print_of(&self, printer: &PrinterId) -> Option<PrintId> {
        let state = self.0.parts.events.state(printer)?;
        let job = state.job.filter(|_| state.condition.has_print());
        job.map(|job| job.print)
    }

    pub(crate) fn has_print(&self, printer: &PrinterId) -> bool {
        self.print_of(printer).is_some()
    }

    /// The address of a link, for its owner.
    pub(crate) fn address(&self, id: &LiveLinkId) -> String {
        self.url_of(&secret_of(id, &self.0.parts.key))
    }

    fn url_of(&self, secret: &LiveLinkSecret) -> String {
        format!("{}/live/{}", self.0.parts.public_url, secret.expose())
    }

    /// The link with this secret, while it shows anything.
    pub(crate) async fn find(&self, secret: &str) -> Result<Option<ListedLink>, StoreError> {
        let Ok(secret) = LiveLinkSecret::parse(secret) else {
            return Ok(None);
        };
        let parts = &self.0.parts;
        let links = parts.store.live_links();
        let Some(mut found) = links.find(&secret.hash()).await? else {
            return Ok(None);
        };
        if found.link.ended.is_none() && self.end_if_over(&found.link).await? {
            match links.find(&secret.hash()).await? {
                Some(ended) => found = ended,
                None => return Ok(None),
            }
        }
        let shows = found.link.shows(parts.clock.now());
        Ok((shows != Shows::Nothing).then_some(found))
    }

    /// Ends a link whose print is over by what the printer's host says. True if it is.
    async fn end_if_over(&self, link: &LiveLink) -> Result<bool, StoreError> {
        let parts = &self.0.parts;
        let state = parts.events.state(&link.printer);
        let is_over = state.is_some_and(|state| link.is_over_by(&state));
        let (true, Some(print)) = (is_over, &link.print) else {
            return Ok(false);
        };
        let links = parts.store.live_links();
        // How it ended is known, if it was seen. Who watches by others is cut off soon.
        links.end_with_events().await?;
        links.end(&link.id, print, parts.clock.now()).await?;
        self.cut(&link.printer, std::slice::from_ref(&link.id));
        Ok(true)
    }

    /// Takes back a link of the owner's printer; who watches by it is cut off. False if there is
    /// none.
    pub(crate) async fn revoke(
        &self,
        owner: &AccountId,
        printer: &PrinterId,
        id: &LiveLinkId,
    ) -> Result<bool, StoreError> {
        let links = self.0.parts.store.live_links();
        let revoked = links.revoke(owner, printer, id).await?;
        if revoked {
            self.cut(printer, std::slice::from_ref(id));
            tracing::info!(account.id = %owner, printer.id = %printer, "a live link was ended");
        }
        Ok(revoked)
    }

    /// How many watch by a link now.
    pub(crate) fn viewers(&self, link: &LiveLink) -> usize {
        self.0
            .parts
            .watching
            .count(&viewer(&link.printer, &link.id))
    }

    fn cut(&self, printer: &PrinterId, ended: &[LiveLinkId]) {
        for id in ended {
            self.0.parts.watching.end(&viewer(printer, id));
        }
    }

    /// Counts a look by an address.
    fn may_look(&self, address: IpAddr) -> Result<(), TooMany> {
        let now = self.0.parts.clock.now();
        self.0.looks.count(&household(address), now)
    }

    /// Counts a look at what is no link.
    fn missed(&self, address: IpAddr) -> Result<(), TooMany> {
        let now = self.0.parts.clock.now();
        self.0.misses.count(&household(address), now)
    }
}

/// Somebody who watches by a link.
pub(crate) fn viewer(printer: &PrinterId, id: &LiveLinkId) -> Viewer {
    Viewer {
        printer: printer.clone(),
        by: By::Link(id.clone()),
    }
}
