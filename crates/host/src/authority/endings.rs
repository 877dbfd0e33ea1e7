//! What is open in somebody's name at this host, and ends with their key, session or app connection.

use latchkey_model::id::{AppKeyId, SessionId, SessionKeyId};
use latchkey_net::proxy::endings;

pub(crate) use latchkey_net::proxy::endings::Hold;

/// In whose name something is open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Key(AppKeyId),
    SessionKey(SessionKeyId),
    Session(SessionId),
    AppConnection(String),
}

/// All that is open at this host, by holder.
pub(crate) type Endings = endings::Endings<Holder>;
