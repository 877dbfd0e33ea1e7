//! Configuration files: read, overlaid with the environment, checked.
//!
//! A raw configuration is what the file says, with unknown keys refused; the roles'
//! own types are what it means. Every key can also be given as `LATCHKEY__SECTION__KEY`.

mod certificate;
mod environment;
pub(crate) mod host;
mod hosts;
mod node;
pub(crate) mod relay;
pub(crate) mod relay_line;
pub(crate) mod session_apps;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use self::environment::Override;

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
    #[error("{}: {}{message}", path.display(), place(key, variable.as_deref()))]
    Value {
        path: PathBuf,
        key: String,
        /// The variable that gave the value, if it does not stand in the file.
        variable: Option<String>,
        message: String,
    },
    #[error(
        "{} is neither a host's configuration (which has `upstream`) nor a relay's \
         (which has `public_url`)",
        .0.display()
    )]
    Unrecognised(PathBuf),
}

/// Where a value stands, as the beginning of a message about it.
fn place(key: &str, variable: Option<&str>) -> String {
    match (key, variable) {
        ("", None) => String::new(),
        ("", Some(variable)) => format!("{variable}: "),
        (key, None) => format!("{key}: "),
        (key, Some(variable)) => format!("{key} (from {variable}): "),
    }
}

/// A role's configuration, and what its owner should know about it.
#[derive(Debug)]
pub(crate) struct Checked<C> {
    pub(crate) config: C,
    /// What is set and has no effect.
    pub(crate) notes: Vec<String>,
}

impl<C> Checked<C> {
    /// The configuration, for a role that starts. What there is to note goes to the log.
    pub(crate) fn logged(self) -> C {
        for note in &self.notes {
            tracing::warn!("{note}");
        }
        self.config
    }
}

/// What a file says, before it is checked.
pub(crate) trait Raw: DeserializeOwned {
    /// The maps that have entries when the file does not mention them.
    fn default_maps() -> Map<String, Value> {
        Map::new()
    }
}

/// A file being checked, to name it in errors and to resolve paths beside it.
pub(crate) struct Checking<'a> {
    path: &'a Path,
    overrides: Vec<Override>,
}

impl<'a> Checking<'a> {
    /// A file as it is written, as the demo's are.
    pub(crate) fn alone(path: &'a Path) -> Self {
        let overrides = Vec::new();
        Self { path, overrides }
    }

    /// A file with the environment's values over it.
    pub(crate) fn with_environment(path: &'a Path) -> Self {
        let overrides = environment::overrides();
        Self { path, overrides }
    }

    /// Reads the file as its raw type.
    pub(crate) fn load<R: Raw>(&self) -> Result<R, ConfigError> {
        self.parse(&read(self.path)?)
    }

    fn parse<R: Raw>(&self, text: &str) -> Result<R, ConfigError> {
        if self.overrides.is_empty() {
            return parse(self.path, text);
        }
        let file = parse(self.path, text)?;
        let whole = environment::over(file, R::default_maps(), self.overrides.clone());
        R::deserialize(whole).map_err(|error| ConfigError::Syntax {
            path: self.path.to_owned(),
            message: error.to_string(),
        })
    }

    /// The error that `key` has a wrong value.
    fn wrong(&self, key: &str, message: impl Display) -> ConfigError {
        let mut given = self.overrides.iter().filter(|one| one.gives(key));
        ConfigError::Value {
            path: self.path.to_owned(),
            key: key.to_owned(),
            variable: given.next().map(|one| one.variable().to_owned()),
            message: message.to_string(),
        }
    }

    /// A path of the configuration: relative ones count from the file's own directory.
    fn resolve(&self, path: &Path) -> PathBuf {
        let base = self.path.parent().unwrap_or(Path::new(""));
        base.join(path)
    }

    /// The text of a small file that `key` names.
    fn read(&self, key: &str, path: &Path) -> Result<String, ConfigError> {
        let path = self.resolve(path);
        std::fs::read_to_string(&path)
            .map_err(|cause| self.wrong(key, format!("cannot read {}: {cause}", path.display())))
    }

    /// How long to wait for something, from a tenth of a second to an hour.
    fn seconds(&self, key: &str, value: f64) -> Result<Duration, ConfigError> {
        if (0.1..=3600.0).contains(&value) {
            return Ok(Duration::from_secs_f64(value));
        }
        let message = format!("{value} needs to be a number of seconds from 0.1 to 3600");
        Err(self.wrong(key, message))
    }

    /// How long a stop may take: up to an hour, or no time at all.
    fn drain(&self, value: u32) -> Result<Duration, ConfigError> {
        self.up_to_an_hour("drain_seconds", value)
    }

    fn up_to_an_hour(&self, key: &str, value: u32) -> Result<Duration, ConfigError> {
        if value <= 3600 {
            return Ok(Duration::from_secs(value.into()));
        }
        let message = format!("{value} needs to be a whole number of seconds from 0 to 3600");
        Err(self.wrong(key, message))
    }
}

fn default_data() -> PathBuf {
    PathBuf::from("./data")
}

fn default_true() -> bool {
    true
}

fn default_drain() -> u32 {
    30
}

/// A URL for a message: without what may be a secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // URLs that cannot have a user name or password refuse these, and have none to hide.
    if !url.username().is_empty() {
        let _ = url.set_username("***");
    }
    if url.password().is_some() {
        let _ = url.set_password(Some("***"));
    }
    if url.query().is_some() {
        url.set_query(Some("***"));
    }
    format!("{:?}", url.as_str())
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|cause| ConfigError::Read {
        path: path.to_owned(),
        cause,
    })
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

/// Which role a file configures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Host,
    Relay,
}

/// Tells a host's file from a relay's by the key each must have. The environment says
/// nothing about that.
pub(crate) fn role_of(path: &Path) -> Result<Role, ConfigError> {
    let value: Value = parse(path, &read(path)?)?;
    match (value.get("upstream"), value.get("public_url")) {
        (Some(_), None) => Ok(Role::Host),
        (None, Some(_)) => Ok(Role::Relay),
        _ => Err(ConfigError::Unrecognised(path.to_owned())),
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
