//! Writes every page of this crate into a folder, to be looked at.
//!
//! `cargo run -p latchkey-web --example parts -- target/parts`, then open the
//! files. Assets lie where the pages look for them, so any file server that has
//! that folder as its root shows the pages as they are.

use std::{error::Error, fs, path::PathBuf};

use latchkey_web::{assets, samples};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(
        std::env::args()
            .nth(1)
            .unwrap_or_else(|| "target/parts".into()),
    );
    for (url, content) in assets::all() {
        let file = folder.join(url.trim_start_matches('/'));
        fs::create_dir_all(file.parent().ok_or("an asset lies in a folder")?)?;
        fs::write(file, content)?;
    }
    for (name, html) in samples::all() {
        fs::write(folder.join(format!("{name}.html")), html)?;
    }
    Ok(())
}
