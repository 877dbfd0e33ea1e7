//! Opening a browser for a person.

use std::process::Stdio;

use crate::output;

/// Opens `url`, or says that it cannot.
pub(crate) fn open(url: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    // What it prints must not come between a command's own results.
    let opened = std::process::Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = opened {
        output::note(&format!(
            "Cannot open a browser ({error}). The address is {url}"
        ));
    }
}
