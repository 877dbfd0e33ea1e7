//! `latchkey config check|show`.

use std::path::Path;

use crate::cli::ConfigAction;
use crate::config::{self, ConfigError, Role};
use crate::output;

pub(crate) fn run(action: &ConfigAction) -> anyhow::Result<()> {
    match action {
        ConfigAction::Check { file } => {
            let role = check(file)?;
            output::note(&format!("{}: a valid {role} configuration", file.display()));
        }
        ConfigAction::Show { file } => {
            check(file)?;
            output::result(show(file)?.trim_end());
        }
    }
    Ok(())
}

fn check(file: &Path) -> Result<&'static str, ConfigError> {
    Ok(match config::role_of(file)? {
        Role::Host => {
            config::host::read(file)?;
            "host"
        }
        Role::Relay => {
            config::relay::read(file)?;
            "relay"
        }
    })
}

/// The file with its defaults. It names files with secrets and holds none.
fn show(file: &Path) -> anyhow::Result<String> {
    Ok(match config::role_of(file)? {
        Role::Host => serde_saphyr::to_string(&config::load::<config::host::RawHost>(file)?)?,
        Role::Relay => serde_saphyr::to_string(&config::load::<config::relay::RawRelay>(file)?)?,
    })
}
