//! The host's database: its constraints, its file, and what runs at the same time.

mod constraints;
mod file;
mod races;
mod recall;
