//! App connections: how they are used. Whether one may be is decided at the edge, how one ends in
//! [`life`](crate::life).

pub(crate) mod origins;
pub(crate) mod usage;
