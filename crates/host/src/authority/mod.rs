//! Who is calling, and what follows from it.
//!
//! Every request is looked at once, before anything answers it: a browser's session, an app's
//! key, or an app connection that the relay has checked. What the caller may do at the printer's
//! server is another table's business.

pub(crate) mod caller;
pub(crate) mod endings;
