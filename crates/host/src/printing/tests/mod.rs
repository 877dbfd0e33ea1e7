//! Tales of printers, and what the relay hears of them.

mod outbox;
mod servers;
mod tale;
mod tale_properties;
