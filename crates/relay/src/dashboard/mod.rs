//! Printers as the people who use them see them now: what they do, their pictures.

pub(crate) mod http;
pub(crate) mod wire;

use latchkey_model::id::{HostId, PrinterId};
use latchkey_model::printer::HostKey;
use latchkey_store::relay::UsedPrinter;
use latchkey_web::moment::Moment;

use crate::pages::views::Now;
use crate::state::State;

/// What a printer does now.
pub(crate) fn now_of(state: &State, printer: &PrinterId, host: Option<&HostId>) -> Now {
    let now = state.clock.now();
    if let Some(told) = state.events.state(printer) {
        return Now::of(&told, |at| Moment { at, now });
    }
    Now::unknown(host.is_some_and(|host| state.tunnels.find(host).is_some()))
}

/// The same for who uses a printer. Of a suspended owner's it is not told.
pub(crate) fn now_at(state: &State, found: &UsedPrinter) -> Now {
    if found.owner_suspended {
        return Now::unknown(false);
    }
    let host = found.printer.host.as_ref().map(HostKey::id);
    now_of(state, &found.printer.id, host.as_ref())
}
