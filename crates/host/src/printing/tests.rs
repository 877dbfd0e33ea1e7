//! Tales of printers, and what the relay hears of them.
