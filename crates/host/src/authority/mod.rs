//! Who is calling, and what follows from it.
//!
//! Every request is looked at once, before anything answers it: a browser's session, an app's
//! key, or an app connection that the relay has checked. What the caller may do at the printer's
//! server is another table's business.

pub(crate) mod access;
pub(crate) mod caller;
pub(crate) mod endings;
mod paths;

use latchkey_model::access::Access;

use self::endings::Hold;

/// What a request may do at the printer's server; decided before it is passed on.
#[derive(Debug, Clone)]
pub(crate) enum Admission {
    /// `authority: upstream`: pass everything through untouched, add nothing.
    Untouched,
    /// `authority: host`: let in up to this level; the caller's credential is removed, the
    /// upstream's added. What is open then ends with the hold, if the caller has one.
    Upto(Access, Option<Hold>),
}
