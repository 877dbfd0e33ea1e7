//! Apps that may get session keys: `api.apps` of `host.yaml`, and files beside it in `apps.d`, one
//! for each app that a package brings. Both are followed while the host runs ([`files`]).

mod files;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use latchkey_host::config::{FileApps, FileProblem};
use latchkey_host::{Host, SessionAppsFeed};
use latchkey_model::session_key::{
    ParseSessionScopeError, Registration, SessionApp, SessionAppName, SessionScope,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::files::{Files, Followed};
use super::{Checking, default_true};

/// How often it is looked whether a file changed.
const EVERY: Duration = Duration::from_secs(1);

/// `api` of `host.yaml`, and a whole file of `apps.d`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawApi {
    pub(crate) apps: BTreeMap<RawName, RawApp>,
}

/// An app and its version; an error about one names its line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct RawName(SessionAppName);

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawApp {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pubkey: Option<String>,
    #[serde(default = "default_true")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) allow_weak_keys: bool,
    #[serde(default)]
    pub(crate) scope: RawScope,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct RawScope(SessionScope);

impl TryFrom<String> for RawScope {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let scope = text.parse().map(Self);
        scope.map_err(|error: ParseSessionScopeError| format!("{text:?} is none: {error}"))
    }
}

impl From<RawScope> for String {
    fn from(RawScope(scope): RawScope) -> Self {
        scope.to_string()
    }
}

/// The shapes a file of `apps.d` may have: that of `host.yaml`, or the entries alone.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFile {
    api: RawApi,
}

impl TryFrom<String> for RawName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = SessionAppName::parse(&text);
        name.map(Self)
            .map_err(|error| format!("{text:?} is no app with its version: {error}"))
    }
}

impl From<RawName> for String {
    fn from(name: RawName) -> Self {
        name.0.as_str().to_owned()
    }
}

impl RawApi {
    pub(super) fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    fn registrations(self) -> Vec<Registration> {
        let apps = self.apps.into_iter();
        apps.map(|(RawName(name), app)| Registration {
            name,
            pubkey: app.pubkey,
            enabled: app.enabled,
            allow_weak_keys: app.allow_weak_keys,
            scope: app.scope.0,
        })
        .collect()
    }
}

/// What `host.yaml` and the files beside it say, and what there is to note about it.
pub(super) fn read(file: &Checking<'_>, api: RawApi) -> (FileApps, Vec<String>) {
    let apps = Files::read(file.path, api);
    let unusable = apps.entries.iter().filter_map(|entry| {
        let registration = entry.registration.clone();
        let fault = SessionApp::new(registration).fault()?;
        Some(format!(
            "{}: `{}` gets no session keys: {fault}",
            entry.file, entry.registration.name
        ))
    });
    let problems = apps.problems.iter();
    let problems = problems.map(|problem| format!("{}: {}", problem.file, problem.message));
    let notes = unusable.chain(problems).collect();
    (apps, notes)
}

/// What stands over the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlay {
    Environment,
    Nothing,
}

/// Runs a host whose files are followed.
///
/// `read` is what the host was told of them when it started.
pub(crate) async fn run_following(host: Host, path: &Path, overlay: Overlay, read: FileApps) {
    let (feed, stop) = (host.session_apps(), host.stop());
    let following = async {
        if let Some(feed) = feed {
            let followed = Followed::new(path, overlay, read);
            watch(followed, feed, stop.soft).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = host.run() => {}
        () = following => {}
    }
}

async fn watch(mut followed: Followed, feed: SessionAppsFeed, stop: CancellationToken) {
    loop {
        let mut work = followed.clone();
        // Files may lie on a disk that hangs.
        let looked = tokio::task::spawn_blocking(move || {
            let changed = work.look();
            (work, changed)
        });
        let changed = match looked.await {
            Ok((work, changed)) => {
                followed = work;
                changed
            }
            Err(error) => {
                tracing::error!(%error, "looking for changes of the registered apps failed");
                None
            }
        };
        if let Some(apps) = changed {
            for FileProblem { file, message } in &apps.problems {
                tracing::warn!(file, error = message, "apps of a file do not count");
            }
            let count = apps.entries.len();
            tracing::info!(apps = count, "the registered apps were read anew");
            feed.replace(apps).await;
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(EVERY))
            .await
            .is_none()
        {
            return;
        }
    }
}

/// Reads a file of `apps.d`.
fn parse(text: &str) -> Result<Vec<Registration>, String> {
    let shape: serde_json::Value =
        serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    if shape.is_null() {
        return Ok(Vec::new());
    }
    let api = if shape.get("api").is_some() {
        serde_saphyr::from_str::<RawFile>(text).map(|file| file.api)
    } else {
        serde_saphyr::from_str(text).map(|apps| RawApi { apps })
    };
    let api = api.map_err(|error| error.to_string())?;
    Ok(api.registrations())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_defaults_and_say_where_they_are_wrong() {
        let read = parse("\"com.example.app:1.0\": {pubkey: MEgC}\n").unwrap();
        let expected = Registration {
            name: SessionAppName::parse("com.example.app:1.0").unwrap(),
            pubkey: Some("MEgC".to_owned()),
            enabled: true,
            allow_weak_keys: false,
            scope: SessionScope::Full,
        };
        assert_eq!(read, [expected]);
        let same = "api:\n  apps:\n    com.example.app:1.0:\n      pubkey: MEgC\n";
        assert_eq!(parse(same).unwrap(), read);
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(parse("# nothing yet\n").unwrap(), []);
        for (text, said) in [
            (
                "\na:1: {pubkey: x}\nb: {pubkey: x}\n",
                ["line 3", "id:version"],
            ),
            ("a:1:\n  pubkey: x\n  scope: root\n", ["line 3", "full"]),
            (
                "a:1:\n  pubkey: x\n  enable: false\n",
                ["line 3", "enabled"],
            ),
            ("a:1: {pubkey: [}\n", ["line 1", ""]),
            ("api:\n  app: {}\n", ["line 2", "apps"]),
            ("- a\n", ["line 1", "map"]),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                said.iter().all(|word| error.contains(word)),
                "{text}: {error}"
            );
        }
    }
}
