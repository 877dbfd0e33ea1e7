//! Writes every page of the host with its assets into a folder, to be looked at.
//!
//! `cargo run -p latchkey-host --example pages -- target/pages`, then let any file server
//! have that folder as its root.

use std::{error::Error, fs, path::PathBuf};

use latchkey_host::views::samples;
use latchkey_web::assets;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(
        std::env::args()
            .nth(1)
            .unwrap_or_else(|| "target/pages".into()),
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
