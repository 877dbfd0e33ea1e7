//! One client, from its first message to its last: who it is, and what it is told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::messages;
use super::outbox::{Goodbye, Outbox};
use super::seats::Seat;
use super::upstream::Feed;
use super::wishes::Wishes;
use super::{EndReason, Listener, Notice, Shared};
use crate::service::Door;

/// How often it is asked whether a session still holds.
const RECHECK: Duration = Duration::from_mins(1);
/// How long a notice may take that says why somebody's session ended.
const EXPLAINING: Duration = Duration::from_millis(200);
/// Notices kept for a client that has not said who it is.
const MOST_HELD: usize = 100;
/// Frames of a client that wait to be looked at.
pub(super) const MOST_UNHEARD: usize = 16;

/// One client's side of the push socket, whatever carries it.
pub(super) struct Conversation {
    shared: Arc<Shared>,
    seat: Seat,
    /// By which the client came.
    door: Door,
    heard: mpsc::Receiver<Vec<Value>>,
    outbox: Outbox,
    notices: broadcast::Receiver<Notice>,
    cuts: Cuts,
    known: Option<Known>,
    held: VecDeque<Notice>,
    wishes: Wishes,
    /// The first message, as this client heard it.
    connected: Value,
    feed: Option<Feed>,
    recheck: Interval,
}

/// Somebody who said who they are.
struct Known {
    /// As they said it, to ask again.
    user: String,
    session: String,
    listener: Listener,
}

/// What ends a conversation from outside.
struct Cuts {
    stopping: CancellationToken,
    crowded: CancellationToken,
    /// The end of whatever the client is known by.
    revoked: CancellationToken,
}

impl Cuts {
    async fn cut(&self) -> Goodbye {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Goodbye::Stopping,
            () = self.revoked.cancelled() => Goodbye::Revoked,
            () = self.crowded.cancelled() => Goodbye::Crowded,
        }
    }
}

impl Conversation {
    /// A conversation with a guest, and where its client's messages are to be put.
    pub(super) fn new(
        shared: Arc<Shared>,
        seat: Seat,
        door: Door,
        outbox: Outbox,
    ) -> (Self, mpsc::Sender<Vec<Value>>) {
        let (ear, heard) = mpsc::channel(MOST_UNHEARD);
        let cuts = Cuts {
            stopping: shared.stopping.clone(),
            crowded: seat.leave().clone(),
            revoked: CancellationToken::new(),
        };
        let mut recheck = interval_at(Instant::now() + RECHECK, RECHECK);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let conversation = Self {
            notices: shared.notices.subscribe(),
            shared,
            seat,
            door,
            heard,
            outbox,
            cuts,
            known: None,
            held: VecDeque::new(),
            wishes: Wishes::default(),
            connected: Value::Null,
            feed: None,
            recheck,
        };
        (conversation, ear)
    }

    /// Talks until one side has enough.
    pub(super) async fn run(mut self) -> Goodbye {
        match self.talk().await {
            Ok(never) => match never {},
            Err(goodbye) => goodbye,
        }
    }

    async fn talk(&mut self) -> Result<Infallible, Goodbye> {
        self.connected = tokio::select! {
            biased;
            goodbye = self.cuts.cut() => return Err(goodbye),
            connected = first_message(&self.shared) => connected,
        };
        self.say(&self.connected).await?;
        loop {
            match self.take_turn().await {
                Err(Goodbye::Revoked) => self.lose_right().await?,
                outcome => outcome?,
            }
        }
    }

    /// Does what is to be done next.
    async fn take_turn(&mut self) -> Result<(), Goodbye> {
        tokio::select! {
            biased;
            goodbye = self.cuts.cut() => Err(goodbye),
            notice = self.notices.recv() => self.notice(notice).await,
            messages = self.heard.recv() => {
                for message in messages.ok_or(Goodbye::Left)? {
                    self.obey(&message).await?;
                }
                Ok(())
            }
            _ = self.recheck.tick() => self.ask_again().await,
            message = passed_on(&mut self.feed) => self.put(message).await,
        }
    }

    /// What the client was known by has ended. A notice may say why, before or after: then it
    /// may stay as a guest. Otherwise it was a key, and the client goes with it.
    async fn lose_right(&mut self) -> Result<(), Goodbye> {
        self.feed = None;
        let explained = timeout(EXPLAINING, async {
            loop {
                let notice = self.notices.recv().await.ok()?;
                let reason = self.known.as_ref()?.ends_with(&notice);
                if reason.is_some() {
                    return reason;
                }
                self.keep(notice);
            }
        });
        match explained.await {
            Ok(Some(reason)) => self.turn_out(reason).await,
            Ok(None) | Err(_) => Err(self.goodbye()),
        }
    }

    /// Why a client goes whose hold has ended.
    fn goodbye(&self) -> Goodbye {
        match &self.known {
            Some(known) if known.listener.hold.may_return() => Goodbye::Unsure,
            _ => Goodbye::Revoked,
        }
    }

    async fn obey(&mut self, message: &Value) -> Result<(), Goodbye> {
        let said = message["auth"]
            .as_str()
            .and_then(|said| said.split_once(':'));
        if let Some((user, session)) = said {
            return self.authenticate(user, session).await;
        }
        if self.wishes.hear(message)
            && let Some(feed) = &self.feed
        {
            feed.wish(self.wishes.clone());
        }
        Ok(())
    }

    async fn authenticate(&mut self, user: &str, session: &str) -> Result<(), Goodbye> {
        let Some(listener) = self.identify(user, session).await? else {
            return self.turn_out(EndReason::Stale).await;
        };
        self.recheck.reset();
        self.feed = None;
        let has_past = listener.receives_upstream && self.shared.source.is_none();
        self.know(Known {
            user: user.to_owned(),
            session: session.to_owned(),
            listener,
        });
        if has_past {
            for message in messages::history() {
                self.say(&message).await?;
            }
        }
        for notice in std::mem::take(&mut self.held) {
            self.tell(&notice).await?;
        }
        Ok(())
    }

    /// Whether they still are who they said.
    async fn ask_again(&mut self) -> Result<(), Goodbye> {
        let Some(known) = &self.known else {
            return Ok(());
        };
        let (user, session) = (known.user.clone(), known.session.clone());
        match self.identify(&user, &session).await? {
            Some(listener) => self.know(Known {
                user,
                session,
                listener,
            }),
            None => self.turn_out(EndReason::Stale).await?,
        }
        Ok(())
    }

    async fn identify(&self, user: &str, session: &str) -> Result<Option<Listener>, Goodbye> {
        tokio::select! {
            biased;
            goodbye = self.cuts.cut() => Err(goodbye),
            listener = self.shared.listeners.identify(user, session, &self.door) => Ok(listener),
        }
    }

    /// Takes somebody for whom they are, and opens or shuts what the printer's server says.
    fn know(&mut self, known: Known) {
        let receives = known.listener.receives_upstream;
        self.cuts.revoked = known.listener.hold.ended().clone();
        self.seat.set_known(true);
        self.known = Some(known);
        match &self.shared.source {
            Some(source) if receives && self.feed.is_none() => {
                let (source, wishes) = (Arc::clone(source), self.wishes.clone());
                let feed = Feed::open(source, wishes, self.connected.clone(), &self.shared);
                self.feed = Some(feed);
            }
            _ if receives => {}
            _ => self.feed = None,
        }
    }

    /// Makes a guest of a client again, and tells it why.
    async fn turn_out(&mut self, reason: EndReason) -> Result<(), Goodbye> {
        self.known = None;
        self.feed = None;
        self.cuts.revoked = CancellationToken::new();
        self.seat.set_known(false);
        self.say(&messages::reauthenticate(reason)).await
    }

    async fn notice(&mut self, notice: Result<Notice, RecvError>) -> Result<(), Goodbye> {
        let notice = match notice {
            Ok(notice) => notice,
            // One of the missed may have ended this very session.
            Err(RecvError::Lagged(_)) => return self.ask_again().await,
            Err(RecvError::Closed) => return Err(Goodbye::Stopping),
        };
        if let Some(reason) = self
            .known
            .as_ref()
            .and_then(|known| known.ends_with(&notice))
        {
            return self.turn_out(reason).await;
        }
        if self.known.is_some() {
            return self.tell(&notice).await;
        }
        self.keep(notice);
        Ok(())
    }

    /// Holds a notice back until the client says who it is.
    fn keep(&mut self, notice: Notice) {
        if messages::of_notice(&notice).is_none() {
            return;
        }
        if self.held.len() == MOST_HELD {
            self.held.pop_front();
        }
        self.held.push_back(notice);
    }

    /// Tells a notice to somebody known, if it is for them.
    async fn tell(&self, notice: &Notice) -> Result<(), Goodbye> {
        let is_for_them = self
            .known
            .as_ref()
            .is_some_and(|known| known.may_hear(notice));
        match messages::of_notice(notice) {
            Some(message) if is_for_them && self.wishes.plugin(messages::APPKEYS) => {
                self.say(&message).await
            }
            _ => Ok(()),
        }
    }

    async fn say(&self, message: &Value) -> Result<(), Goodbye> {
        self.put(message.to_string()).await
    }

    async fn put(&self, message: String) -> Result<(), Goodbye> {
        tokio::select! {
            biased;
            goodbye = self.cuts.cut() => Err(goodbye),
            room = self.outbox.put(message) => room.map_err(|_| Goodbye::TooSlow),
        }
    }
}

impl Known {
    /// Why they are known no longer, if this notice says so.
    fn ends_with(&self, notice: &Notice) -> Option<EndReason> {
        match notice {
            Notice::SessionEnded { session, reason } => {
                (*session == self.session).then_some(*reason)
            }
            Notice::UserChanged { user, reason } => {
                (*user == self.listener.user).then_some(*reason)
            }
            // Of somebody's sessions one may stay: theirs in whose browser it was changed.
            Notice::PasswordChanged { user } => (*user == self.listener.user
                && self.listener.hold.ended().is_cancelled())
            .then_some(EndReason::Modified),
            Notice::AccessRequested { .. } | Notice::RequestEnded { .. } => None,
        }
    }

    /// Whether a key request concerns them. One for another user does not, though OctoPrint
    /// would tell it: whoever hears of it could decide it, if not for the host's own check.
    fn may_hear(&self, notice: &Notice) -> bool {
        match notice {
            Notice::AccessRequested { user, .. } | Notice::RequestEnded { user, .. } => {
                self.listener.sees_requests
                    && user.as_ref().is_none_or(|user| *user == self.listener.user)
            }
            Notice::SessionEnded { .. }
            | Notice::UserChanged { .. }
            | Notice::PasswordChanged { .. } => false,
        }
    }
}

/// The upstream's own first message, or ours if it has none.
async fn first_message(shared: &Shared) -> Value {
    let upstreams = match &shared.source {
        Some(source) => source.connected().await,
        None => None,
    };
    upstreams.unwrap_or_else(|| messages::connected(&shared.server_version))
}

/// What the printer's server says next; never, where it says nothing.
async fn passed_on(feed: &mut Option<Feed>) -> String {
    match feed {
        Some(feed) => feed.next().await,
        None => std::future::pending().await,
    }
}
