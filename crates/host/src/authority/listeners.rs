//! Who may listen at the push socket.

use futures_util::future::BoxFuture;

use super::Authority;
use super::caller::Caller;
use super::endings::{Hold, Holder};
use crate::push::{Listener, Listeners};
use crate::service::Door;

impl Listeners for Authority {
    fn identify<'a>(
        &'a self,
        user: &'a str,
        session: &'a str,
        door: &'a Door,
    ) -> BoxFuture<'a, Option<Listener>> {
        Box::pin(async move {
            // Whatever ends between the two looks is seen by the second one.
            let before = self.endings.count();
            let mut caller = self.sessions.identify_push(user, session).await?;
            let hold = match &caller {
                // Its handle is good at home, where no relay cuts anything.
                Caller::AppConnection(id, _) => {
                    Some(self.endings.hold(Holder::AppConnection(id.clone())))
                }
                caller => self.hold(caller),
            };
            let hold = hold.unwrap_or_else(Hold::elsewhere);
            if self.endings.count() != before {
                caller = self.sessions.identify_push(user, session).await?;
            }
            // Whoever comes through an app connection that only shows the printer decides nothing,
            // so they hear of no token to decide with.
            if door.only_shows() {
                caller = caller.watching();
            }
            caller.access()?;
            Some(Listener {
                user: user.to_owned(),
                sees_requests: caller.may_grant(),
                receives_upstream: true,
                hold,
            })
        })
    }
}
