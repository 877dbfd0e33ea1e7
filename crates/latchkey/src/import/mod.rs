//! What an OctoPrint's folder holds that a host can take over. Reads only; who writes it into
//! the host's database is `commands::import_octoprint`.

mod app_keys;
mod people;
mod session_apps;
mod yaml;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use latchkey_model::app::AppName;
use latchkey_model::secret::{AppKeyText, PasswordHash};
use latchkey_model::user::{Group, UserName};
use serde_json::Value;

/// A person to be taken over.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: UserName,
    pub(crate) group: Group,
    pub(crate) active: bool,
    /// Missing if their password cannot be checked here.
    pub(crate) password: Option<PasswordHash>,
}

/// A key that an app has already.
#[derive(Debug)]
pub(crate) struct FoundKey {
    pub(crate) user: UserName,
    pub(crate) app: AppName,
    pub(crate) key: AppKeyText,
}

/// An entry of `api.apps`, for App Session Keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SessionApp {
    /// As `id:version`.
    pub(crate) name: String,
    pub(crate) pubkey: String,
    pub(crate) enabled: bool,
}

/// Something that was not taken, or not as it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// What: a user, a key, a file.
    pub(crate) what: String,
    /// Why, and what to do.
    pub(crate) why: String,
}

/// All that was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) people: Vec<Person>,
    pub(crate) keys: Vec<FoundKey>,
    pub(crate) apps: Vec<SessionApp>,
    pub(crate) left: Vec<Left>,
}

impl Found {
    fn leave(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let left = Left {
            what: what.into(),
            why: why.into(),
        };
        self.left.push(left);
    }
}

/// The folder is none of OctoPrint's.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} has neither a config.yaml nor a users.yaml; name OctoPrint's folder, usually \
     ~/.octoprint of the user that it runs as",
    .0.display()
)]
pub(crate) struct NotOctoPrint(PathBuf);

/// Reads an OctoPrint's folder.
pub(crate) fn read(folder: &Path) -> Result<Found, NotOctoPrint> {
    let mut found = Found::default();
    let config_file = folder.join("config.yaml");
    let users_file = folder.join("users.yaml");
    let config = yaml::read(&config_file, &mut found);
    if config.is_none() && !config_file.exists() && !users_file.exists() {
        return Err(NotOctoPrint(folder.to_owned()));
    }
    let config = config.unwrap_or(Value::Null);
    let configured = |section: &str, key: &str| {
        let path = config[section][key].as_str();
        path.filter(|path| !path.is_empty())
            .map(|path| folder.join(path))
    };
    let users_file = configured("accessControl", "userfile").unwrap_or(users_file);
    match yaml::read(&users_file, &mut found) {
        Some(users) => {
            let salt = config["accessControl"]["salt"].as_str();
            people::take(&users, salt, &mut found);
        }
        None if !users_file.exists() => {
            let why = "it is not there, so there are no users to take";
            found.leave(yaml::shown(&users_file), why);
        }
        None => {}
    }
    let data = configured("folder", "data").unwrap_or_else(|| folder.join("data"));
    if let Some(keys) = yaml::read(&data.join("appkeys").join("keys.yaml"), &mut found) {
        app_keys::take(&keys, &mut found);
    }
    session_apps::take(&config, &mut found);
    Ok(found)
}
