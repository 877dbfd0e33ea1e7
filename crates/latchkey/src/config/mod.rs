//! Configuration files: read, overlaid with the environment, checked.
//!
//! A raw configuration is what the file says, with unknown keys refused; the roles'
//! own types are what it means. Every key can also be given as `LATCHKEY__SECTION__KEY`.

mod environment;
pub(crate) mod host;
pub(crate) mod relay;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// What is wrong with a configuration. Answered with exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("{} is not a valid configuration:\n{message}", path.display())]
    Syntax { path: PathBuf, message: String },
    #[error("{}: {key}: {message}", path.display())]
    Value {
        path: PathBuf,
        key: String,
        message: String,
    },
    #[error(
        "{} is neither a host's configuration (which has `upstream`) nor a relay's \
         (which has `public_url`)",
        .0.display()
    )]
    Unrecognised(PathBuf),
}

/// A file being checked, to name it in errors and to resolve paths beside it.
pub(crate) struct Checking<'a> {
    path: &'a Path,
}

impl<'a> Checking<'a> {
    pub(crate) fn new(path: &'a Path) -> Self {
        Self { path }
    }

    /// The error that `key` has a wrong value.
    pub(crate) fn wrong(&self, key: &str, message: impl std::fmt::Display) -> ConfigError {
        ConfigError::Value {
            path: self.path.to_owned(),
            key: key.to_owned(),
            message: message.to_string(),
        }
    }

    /// A path of the configuration: relative ones count from the file's own directory.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        let base = self.path.parent().unwrap_or(Path::new(""));
        base.join(path)
    }

    /// The text of a small file that `key` names.
    pub(crate) fn read(&self, key: &str, path: &Path) -> Result<String, ConfigError> {
        let path = self.resolve(path);
        std::fs::read_to_string(&path)
            .map_err(|cause| self.wrong(key, format!("cannot read {}: {cause}", path.display())))
    }
}

/// Reads a file as its raw type, with the environment's values over it.
pub(crate) fn load<R: DeserializeOwned>(path: &Path) -> Result<R, ConfigError> {
    parse(path, &read(path)?, environment::overrides())
}

fn parse<R: DeserializeOwned>(
    path: &Path,
    text: &str,
    overrides: Vec<environment::Override>,
) -> Result<R, ConfigError> {
    let syntax = |message: String| ConfigError::Syntax {
        path: path.to_owned(),
        message,
    };
    if overrides.is_empty() {
        return serde_saphyr::from_str(text).map_err(|error| syntax(error.to_string()));
    }
    let mut value = serde_saphyr::from_str(text).map_err(|error| syntax(error.to_string()))?;
    environment::apply(&mut value, overrides);
    serde_json::from_value(value).map_err(|error| syntax(error.to_string()))
}

/// Reads a file as its raw type, as it is written: the environment says nothing about
/// a file of the demo, nor about which role a file is for.
pub(crate) fn load_alone<R: DeserializeOwned>(path: &Path) -> Result<R, ConfigError> {
    parse(path, &read(path)?, Vec::new())
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|cause| ConfigError::Read {
        path: path.to_owned(),
        cause,
    })
}

/// Which role a file configures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Host,
    Relay,
}

/// Tells a host's file from a relay's by the key each must have.
pub(crate) fn role_of(path: &Path) -> Result<Role, ConfigError> {
    let value: serde_json::Value = load_alone(path)?;
    match (value.get("upstream"), value.get("public_url")) {
        (Some(_), None) => Ok(Role::Host),
        (None, Some(_)) => Ok(Role::Relay),
        _ => Err(ConfigError::Unrecognised(path.to_owned())),
    }
}

#[cfg(test)]
mod tests;
