//! `latchkey config check|show`.

use std::path::Path;

use crate::cli::ConfigAction;
use crate::config::host::RawHost;
use crate::config::relay::RawRelay;
use crate::config::{self, Checking, ConfigError, Role};
use crate::output;

pub(crate) fn run(action: &ConfigAction) -> anyhow::Result<()> {
    match action {
        ConfigAction::Check { file } => {
            let (role, notes) = check(file)?;
            for note in notes {
                output::note(&format!("note: {note}"));
            }
            output::note(&format!("{}: a valid {role} configuration", file.display()));
        }
        ConfigAction::Show { file } => {
            check(file)?;
            output::result(show(file)?.trim_end());
        }
    }
    Ok(())
}

/// The role and what there is to note.
fn check(path: &Path) -> Result<(&'static str, Vec<String>), ConfigError> {
    let role = config::role_of(path)?;
    let file = Checking::with_environment(path);
    Ok(match role {
        Role::Host => ("host", config::host::read(&file)?.notes),
        Role::Relay => ("relay", config::relay::read(&file)?.notes),
    })
}

/// The file with its defaults. It names files with secrets and holds none.
fn show(path: &Path) -> anyhow::Result<String> {
    let role = config::role_of(path)?;
    let file = Checking::with_environment(path);
    Ok(match role {
        Role::Host => serde_saphyr::to_string(&file.load::<RawHost>()?)?,
        Role::Relay => serde_saphyr::to_string(&file.load::<RawRelay>()?)?,
    })
}
