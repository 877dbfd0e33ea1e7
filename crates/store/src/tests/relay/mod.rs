//! The relay's database: its constraints and its file.

mod constraints;
mod file;
mod recall;
mod remains;
mod tampering;
