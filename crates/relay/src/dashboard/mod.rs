//! Printers as the people who use them see them now: what they do, their pictures.

pub(crate) mod http;
pub(crate) mod wire;

use latchkey_model::printer::HostKey;
use latchkey_store::relay::UsedPrinter;
use latchkey_web::moment::Moment;

use crate::pages::views::Now;
use crate::state::State;

/// What a printer does now. Of a suspended owner's that is not told.
pub(crate) fn now_of(state: &State, found: &UsedPrinter) -> Now {
    let now = state.clock.now();
    let printer = &found.printer;
    let told = state.events.state(&printer.id);
    match told.filter(|_| !found.owner_suspended) {
        Some(told) => Now::of(&told, |at| Moment { at, now }),
        None => {
            let host = printer.host.as_ref().map(HostKey::id);
            let is_here = host.is_some_and(|host| state.tunnels.find(&host).is_some());
            Now::unknown(is_here)
        }
    }
}
