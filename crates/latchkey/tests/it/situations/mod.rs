//! Situations a proxy has to survive, each tried at both ways in: through the relay's edge and at the host's own door.
//! Every name is a statement about what caller or printer see on their sockets.

mod cameras;
mod edge;
mod fields;
mod messages;
mod targets;
mod transfers;
mod upgrades;
