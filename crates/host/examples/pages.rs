//! Writes every page of the host with its assets into a folder, to be looked at.
//!
//! `cargo run -p latchkey-host --example pages -- target/pages`, then let any file server
//! have that folder as its root; the policy the pages have in earnest lies beside them.

use std::{error::Error, fs, path::PathBuf};

use latchkey_host::views::samples;
use latchkey_web::{assets, security_headers};

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
    fs::write(
        folder.join("content-security-policy"),
        security_headers::CONTENT_SECURITY_POLICY,
    )?;
    Ok(())
}
