//! From where app connections are used, so that their owners hear of a use that is not like those
//! before.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use latchkey_model::app_key::network_of;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::AppConnectionId;
use latchkey_store::RelayStore;
use latchkey_store::relay::UsedFrom;
use latchkey_web::device;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::mail::Letter;
use crate::notices::Notices;

/// How long it is not written again that an app connection is used from the same place.
const AGAIN_AFTER: Duration = Duration::from_mins(1);

/// Places that are remembered not to be written again; then the first known go.
const MOST_KNOWN: usize = 10_000;

/// Uses that wait to be written; at more, some are not noted, and will be when they come again.
const QUEUE: usize = 1024;

type Place = (AppConnectionId, String, String);

/// Where uses are noted. Clones share it.
#[derive(Clone)]
pub(crate) struct Origins(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    queue: mpsc::Sender<(AppConnectionId, UsedFrom)>,
}

#[derive(Default)]
struct Known {
    since: HashMap<Place, Timestamp>,
    order: VecDeque<Place>,
}

/// What writes them.
pub(crate) struct Writer {
    store: RelayStore,
    notices: Notices,
    queue: mpsc::Receiver<(AppConnectionId, UsedFrom)>,
}

impl Origins {
    pub(crate) fn new(
        store: RelayStore,
        clock: Arc<dyn Clock>,
        notices: Notices,
    ) -> (Self, Writer) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let shared = Shared {
            clock,
            known: Mutex::default(),
            queue: sender,
        };
        let writer = Writer {
            store,
            notices,
            queue: receiver,
        };
        (Self(Arc::new(shared)), writer)
    }

    /// Notes a request that was let in.
    pub(crate) fn note(&self, id: &AppConnectionId, headers: &HeaderMap, address: IpAddr) {
        let now = self.0.clock.now();
        let used = UsedFrom {
            network: network_of(address),
            agent: device::of(headers),
            seen: now,
        };
        let place = (id.clone(), used.network.clone(), used.agent.clone());
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.is_due(&place, now) {
            return;
        }
        if self.0.queue.try_send((id.clone(), used)).is_ok() {
            known.remember(place, now);
        }
    }
}

impl Known {
    fn is_due(&self, place: &Place, now: Timestamp) -> bool {
        let since = self.since.get(place);
        since.is_none_or(|since| now.since(*since) >= AGAIN_AFTER)
    }

    fn remember(&mut self, place: Place, now: Timestamp) {
        if self.since.insert(place.clone(), now).is_some() {
            return;
        }
        self.order.push_back(place);
        if self.order.len() > MOST_KNOWN
            && let Some(first) = self.order.pop_front()
        {
            self.since.remove(&first);
        }
    }
}

impl Writer {
    /// Writes until stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let next = tokio::select! {
                next = self.queue.recv() => next,
                () = stop.cancelled() => None,
            };
            let Some((id, used)) = next else {
                return;
            };
            self.write(&id, used).await;
        }
    }

    async fn write(&self, id: &AppConnectionId, used: UsedFrom) {
        match self.store.origins().note(id, &used).await {
            Ok(None) => {}
            Ok(Some((account, app))) => {
                tracing::info!(
                    account.id = %account,
                    app_connection.id = %id,
                    "an app connection is used from a new network, by a new program"
                );
                let letter = Letter::UsedElsewhere {
                    app,
                    agent: used.agent,
                    network: used.network,
                };
                self.notices.tell(&account, letter, None).await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot note from where an app connection is used");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::USER_AGENT;
    use latchkey_model::account_notice::NoticeKind;

    use super::*;
    use crate::mail::Mail;
    use crate::tests::Bench;

    #[tokio::test]
    async fn a_new_program_in_a_new_network_is_told_of_once() {
        let bench = Bench::new().await;
        let ann = bench.account("ann@example.com").await;
        let printer = bench.printer(&ann, "Voron").await;
        let connection = bench.app_connection(&ann, &printer, "Fieldglass").await;
        let clock: Arc<dyn Clock> = Arc::new(bench.clock.clone());
        let store = bench.store().clone();
        let notices = Notices::new(store.clone(), Arc::clone(&clock), Mail::off());
        let (origins, mut writer) = Origins::new(store.clone(), clock, notices);
        let mut used = async |agent: &'static str, address: &str| {
            let headers = HeaderMap::from_iter([(USER_AGENT, agent.parse().unwrap())]);
            origins.note(&connection.id, &headers, address.parse().unwrap());
            match writer.queue.try_recv() {
                Ok((id, used)) => {
                    writer.write(&id, used).await;
                    true
                }
                Err(_) => false,
            }
        };
        assert!(used("OctoPod/3.0", "192.0.2.1").await);
        // The same program in the same network is not written again at once.
        assert!(!used("OctoPod/3.0", "192.0.2.7").await);
        assert!(used("OctoPod/3.0", "198.51.100.1").await);
        assert!(used("curl/8", "192.0.2.1").await);
        let list = async || store.notices().list(&ann.id, 10).await.unwrap();
        assert_eq!(list().await, [], "one of the two was known each time");
        assert!(used("python-requests/2", "203.0.113.9").await);
        bench.clock.set(bench.clock.now().plus(AGAIN_AFTER));
        assert!(used("python-requests/2", "203.0.113.9").await);
        let told = list().await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].kind, NoticeKind::AppElsewhere);
        assert_eq!(told[0].network, "203.0.113.0/24");
        assert_eq!(told[0].device, "python-requests");
        assert_eq!(told[0].detail, "Fieldglass");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut known = Known::default();
        let id: AppConnectionId = "abcdefghijklmnopqrst".parse().unwrap();
        let now = Timestamp::from_millis(0);
        for number in 0..MOST_KNOWN + 5 {
            let place = (id.clone(), number.to_string(), String::new());
            known.remember(place, now);
        }
        assert_eq!(known.since.len(), MOST_KNOWN);
        assert_eq!(known.order.len(), MOST_KNOWN);
    }
}
