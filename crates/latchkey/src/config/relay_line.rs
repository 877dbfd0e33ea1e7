//! Writing the relay into a `host.yaml` that a person wrote: at its end, and nothing else changes.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use url::Url;

/// Why a file was left as it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    #[error("it names a relay already")]
    There,
    #[error("its form leaves no place for lines at its end")]
    Form,
    #[error("{0}")]
    Write(#[from] std::io::Error),
}

/// The lines that name a relay.
pub(crate) fn lines(url: &Url, ca_file: Option<&Path>) -> String {
    let url = url.as_str().trim_end_matches('/');
    let mut lines = format!("relay:\n  url: {}\n", json!(url));
    if let Some(ca_file) = ca_file {
        // JSON's texts are YAML's.
        let _ = writeln!(lines, "  ca_file: {}", json!(ca_file));
    }
    lines
}

/// Adds them, if the file means the same afterwards but for them.
pub(crate) fn add(file: &Path, url: &Url, ca_file: Option<&Path>) -> Result<(), EditError> {
    // What a link points to is what a person edits.
    let file = fs::canonicalize(file)?;
    let before = fs::read_to_string(&file)?;
    // The command's folder is not the file's.
    let ca_file = ca_file.map(std::path::absolute).transpose()?;
    let after = with_relay(&before, url, ca_file.as_deref())?;
    let fresh = beside(&file);
    let written = write(&fresh, &file, &after).and_then(|()| fs::rename(&fresh, &file));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    Ok(written?)
}

fn with_relay(before: &str, url: &Url, ca_file: Option<&Path>) -> Result<String, EditError> {
    let meaning = |text: &str| -> Option<Value> { serde_saphyr::from_str(text).ok() };
    let mut expected = meaning(before).ok_or(EditError::Form)?;
    let entries = expected.as_object_mut().ok_or(EditError::Form)?;
    if entries.get("relay").is_some_and(|relay| !relay.is_null()) {
        return Err(EditError::There);
    }
    if entries.contains_key("relay") {
        return Err(EditError::Form);
    }
    let lines = lines(url, ca_file);
    let added = meaning(&lines).ok_or(EditError::Form)?;
    entries.insert("relay".to_owned(), added["relay"].clone());
    let gap = if before.ends_with('\n') { "\n" } else { "\n\n" };
    let after = format!("{before}{gap}# Added by latchkey pair.\n{lines}");
    if meaning(&after).as_ref() == Some(&expected) {
        Ok(after)
    } else {
        Err(EditError::Form)
    }
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    file.with_file_name(name)
}

/// With the old file's permissions: it may hold secrets.
fn write(fresh: &Path, old: &Path, text: &str) -> std::io::Result<()> {
    let permissions = fs::metadata(old)?.permissions();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(fresh)?;
    file.set_permissions(permissions)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        "https://relay.example.com".parse().unwrap()
    }

    #[test]
    fn the_relay_stands_at_the_end_and_all_else_stays() {
        for before in [
            "# Mine\nname: Voron # the red one\nupstream: {kind: generic, url: \"http://a\"}\n",
            "name: Voron\nupstream:\n  kind: generic",
            "name: Voron\n# relay:\n#   url: none\n",
        ] {
            let after = with_relay(before, &url(), None).unwrap();
            assert!(after.starts_with(before), "{after}");
            let meaning: Value = serde_saphyr::from_str(&after).unwrap();
            assert_eq!(
                meaning["relay"],
                json!({"url": "https://relay.example.com"})
            );
            assert_eq!(meaning["name"], "Voron");
        }
        let with_ca = with_relay("name: x\n", &url(), Some(Path::new("/a \"b\".pem"))).unwrap();
        let meaning: Value = serde_saphyr::from_str(&with_ca).unwrap();
        assert_eq!(meaning["relay"]["ca_file"], "/a \"b\".pem");
    }

    #[test]
    fn a_file_that_leaves_no_place_is_left_as_it_is() {
        for (before, there) in [
            ("{\"name\": \"Voron\"}", false),
            ("name: Voron\n...\n", false),
            ("name: |\n  Voron\nrelay: null\n", false),
            ("- a\n", false),
            ("relay: {url: \"https://other.example\"}\n", true),
        ] {
            let refused = with_relay(before, &url(), None).unwrap_err();
            assert_eq!(matches!(refused, EditError::There), there, "{before}");
        }
    }

    #[test]
    fn the_file_keeps_its_permissions_and_its_link() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (
            folder.path().join("real.yaml"),
            folder.path().join("host.yaml"),
        );
        fs::write(&real, "name: Voron\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&real, &link).unwrap();
        add(&link, &url(), None).unwrap();
        let mode = fs::metadata(&real).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().contains("relay:"));
        assert!(matches!(add(&link, &url(), None), Err(EditError::There)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
