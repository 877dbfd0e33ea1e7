//! What is tried from inside: the contract on SQLite, its constraints, the file, the migrations.

mod constraints;
mod contract;
mod file;
mod migrations;
