//! Paths inside the library: relative, normal, without anything that leads out of it.

use std::fmt::{self, Write as _};

const LONGEST_NAME: usize = 200;
const LONGEST_PATH: usize = 1_000;

/// A checked path; its parts are joined by `/`. Empty is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LibraryPath(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no name for a file or folder here")]
pub(crate) struct BadPath;

impl LibraryPath {
    pub(crate) fn root() -> Self {
        Self(String::new())
    }

    /// Checks a path as a client sends it, already percent-decoded.
    pub(crate) fn parse(raw: &str) -> Result<Self, BadPath> {
        let raw = raw.strip_suffix('/').unwrap_or(raw);
        if raw.len() > LONGEST_PATH {
            return Err(BadPath);
        }
        if raw.is_empty() {
            return Ok(Self(String::new()));
        }
        raw.split('/').try_for_each(check_name)?;
        Ok(Self(raw.to_owned()))
    }

    /// A path that names something below the root.
    pub(crate) fn parse_entry(raw: &str) -> Result<Self, BadPath> {
        Self::parse(raw).and_then(|path| {
            if path.is_root() {
                Err(BadPath)
            } else {
                Ok(path)
            }
        })
    }

    /// This folder's entry of that name.
    pub(crate) fn join(&self, name: &str) -> Result<Self, BadPath> {
        check_name(name)?;
        let joined = if self.is_root() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.0)
        };
        Self::parse_entry(&joined)
    }

    pub(crate) fn parent(&self) -> Self {
        Self(
            self.0
                .rsplit_once('/')
                .map_or(String::new(), |(parent, _)| parent.to_owned()),
        )
    }

    pub(crate) fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it ends as a printable file does.
    pub(crate) fn is_gcode(&self) -> bool {
        let name = self.name().to_ascii_lowercase();
        [".gcode", ".gco", ".g"]
            .iter()
            .any(|end| name.len() > end.len() && name.ends_with(end))
    }

    /// As it stands in an address.
    pub(crate) fn encoded(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    }
}

impl fmt::Display for LibraryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_name(name: &str) -> Result<(), BadPath> {
    // A leading dot covers `.`, `..` and the folder of uploads in progress.
    let fine = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with('.')
        && name.trim() == name
        && !name.chars().any(|c| {
            c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        });
    if fine { Ok(()) } else { Err(BadPath) }
}

#[cfg(test)]
mod tests {
    use super::LibraryPath;

    #[test]
    fn paths_that_lead_out_are_refused() {
        for bad in [
            "..",
            "../a.gcode",
            "a/../b.gcode",
            "/etc/passwd",
            "a//b",
            "./a",
            "a/./b",
            "C:\\a.gcode",
            "a\\..\\b",
            "a\0b",
            ".incoming/x",
            " a",
            "a\n",
            "//",
            "a/..",
        ] {
            assert!(LibraryPath::parse_entry(bad).is_err(), "{bad:?}");
        }
        assert!(LibraryPath::parse_entry("").is_err());
        assert!(LibraryPath::parse(&"a/".repeat(600)).is_err());
    }

    #[test]
    fn ordinary_names_are_taken_whatever_their_script() {
        for good in [
            "a.gcode",
            "folder/a b (2).gcode",
            "Würfel.gcode",
            "折り紙.gco",
            "a/b/c/",
        ] {
            assert!(LibraryPath::parse_entry(good).is_ok(), "{good:?}");
        }
        assert!(LibraryPath::parse("").unwrap().is_root());
    }

    #[test]
    fn a_name_with_a_slash_cannot_be_joined() {
        let folder = LibraryPath::parse("folder").unwrap();
        assert!(folder.join("../x").is_err());
        assert_eq!(folder.join("x.gcode").unwrap().as_str(), "folder/x.gcode");
        assert_eq!(folder.join("x.gcode").unwrap().parent(), folder);
    }

    #[test]
    fn addresses_are_percent_encoded() {
        assert_eq!(
            LibraryPath::parse("a b/ü#.g").unwrap().encoded(),
            "a%20b/%C3%BC%23.g"
        );
    }

    #[test]
    fn only_gcode_can_be_printed() {
        for (name, printable) in [
            ("a.gcode", true),
            ("A.GCO", true),
            ("a.g", true),
            (".gcode", false),
            ("a.stl", false),
            ("gcode", false),
        ] {
            assert_eq!(LibraryPath(name.to_owned()).is_gcode(), printable, "{name}");
        }
    }
}
