//! Writes every page of the host with its assets into a folder, to be looked at.
//!
//! `cargo run -p latchkey-host --example pages -- target/pages`, then let any file server
//! have that folder as its root; the policy the pages have in earnest lies beside them.

use std::{error::Error, fs, path::PathBuf};

use latchkey_host::views::samples;
use latchkey_web::{assets, security_headers};

/// Tries to leave every kind of place text can stand in.
const HOSTILE: &str = "\u{202e}\"'><img src=x onerror=alert(1)></template></title></textarea>\
     <script>alert(1)</script>${alert(1)}`javascript:alert(1)<svg/onload=alert(1)>";

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
    for (name, html) in samples::hostile(HOSTILE) {
        fs::write(folder.join(format!("hostile-{name}.html")), html)?;
    }
    fs::write(
        folder.join("content-security-policy"),
        security_headers::CONTENT_SECURITY_POLICY,
    )?;
    Ok(())
}
