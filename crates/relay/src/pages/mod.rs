//! The relay's own pages: facts in, HTML out ([`views`]), and what every request for one needs
//! ([`visit`]).

pub(crate) mod ids;
pub(crate) mod links;
pub(crate) mod paths;
mod scripts;
mod telling;
pub mod views;
pub(crate) mod visit;
