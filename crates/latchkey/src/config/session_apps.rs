//! Apps that may get session keys: `api.apps` of `host.yaml`, and files beside it in `apps.d`, one
//! for each app that a package brings. Both are followed while the host runs.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use latchkey_host::config::{FileApp, FileApps, FileProblem};
use latchkey_host::{Host, SessionAppsFeed};
use latchkey_model::session_key::{
    ParseSessionScopeError, Registration, SessionApp, SessionAppName, SessionScope,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::host::RawHost;
use super::{Checking, ConfigError, default_true};

/// The folder beside `host.yaml`.
const FOLDER: &str = "apps.d";
/// How often it is looked whether a file changed.
const EVERY: Duration = Duration::from_secs(1);
/// Longest file that is read, and most files: packages bring a few lines each.
const LONGEST: u64 = 256 * 1024;
const MOST_FILES: usize = 200;

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
    let mut files = Files::new(file.path);
    let own = files.own.clone();
    files.good.insert(own, api.registrations());
    files.read_folder();
    let apps = files.apps();
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

/// What tells one state of a file from another.
type Stamp = Vec<(PathBuf, Option<(Option<SystemTime>, u64, u64)>)>;

#[derive(Clone)]
struct Followed {
    files: Files,
    overlay: Overlay,
    stamp: Option<Stamp>,
    told: FileApps,
}

impl Followed {
    fn new(path: &Path, overlay: Overlay, read: FileApps) -> Self {
        let mut files = Files::new(path);
        for FileApp {
            registration, file, ..
        } in &read.entries
        {
            let of_file = files.good.entry(file.clone()).or_default();
            of_file.push(registration.clone());
        }
        Self {
            files,
            overlay,
            stamp: None,
            told: read,
        }
    }

    /// What the files say now, if that is not what they said before.
    fn look(&mut self) -> Option<FileApps> {
        let stamp = self.files.stamp();
        if self.stamp.as_ref() == Some(&stamp) {
            return None;
        }
        self.stamp = Some(stamp);
        self.files.read_own(self.overlay);
        self.files.read_folder();
        let apps = self.files.apps();
        if self.told == apps {
            return None;
        }
        self.told = apps.clone();
        Some(apps)
    }
}

/// The files, and the last state of each that could be read.
#[derive(Clone)]
struct Files {
    path: PathBuf,
    /// `host.yaml`, as it is called.
    own: String,
    good: BTreeMap<String, Vec<Registration>>,
    problems: Vec<FileProblem>,
}

impl Files {
    fn new(path: &Path) -> Self {
        let own = path.file_name().unwrap_or(path.as_os_str());
        Self {
            path: path.to_owned(),
            own: own.to_string_lossy().into_owned(),
            good: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(FOLDER)
    }

    /// The files of the folder by name, those that packages bring and not those that editors leave.
    fn listed(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(self.folder()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_ours = name.ends_with(".yaml") || name.ends_with(".yml");
            if is_ours && !name.starts_with('.') {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    fn stamp(&self) -> Stamp {
        let mut paths = vec![self.path.clone(), self.folder()];
        paths.extend(self.listed().unwrap_or_default());
        let stamp = |path: PathBuf| {
            let told = fs::metadata(&path).ok();
            let told = told.map(|told| (told.modified().ok(), told.len(), inode(&told)));
            (path, told)
        };
        paths.into_iter().map(stamp).collect()
    }

    fn read_own(&mut self, overlay: Overlay) {
        self.problems.clear();
        let file = match overlay {
            Overlay::Environment => Checking::with_environment(&self.path),
            Overlay::Nothing => Checking::alone(&self.path),
        };
        match file.load::<RawHost>() {
            Ok(raw) => {
                self.good.insert(self.own.clone(), raw.api.registrations());
            }
            Err(ConfigError::Syntax { message, .. }) => {
                self.keep_former(self.own.clone(), &message);
            }
            Err(error) => self.keep_former(self.own.clone(), &error.to_string()),
        }
    }

    fn read_folder(&mut self) {
        let mut listed = match self.listed() {
            Ok(listed) => listed,
            Err(error) => {
                let message = format!("cannot be read: {error}");
                self.keep_former(format!("{FOLDER}/"), &message);
                return;
            }
        };
        if listed.len() > MOST_FILES {
            listed.truncate(MOST_FILES);
            let message = format!("has more than {MOST_FILES} files; the last do not count");
            let file = format!("{FOLDER}/");
            self.problems.push(FileProblem { file, message });
        }
        let label = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("{FOLDER}/{name}")
        };
        let present: Vec<_> = listed.iter().map(label).collect();
        let own = self.own.clone();
        self.good
            .retain(|file, _| *file == own || present.contains(file));
        for (path, file) in listed.iter().zip(present) {
            match read_file(path) {
                Ok(registrations) => {
                    self.good.insert(file, registrations);
                }
                Err(message) => self.keep_former(file, &message),
            }
        }
    }

    fn keep_former(&mut self, file: String, message: &str) {
        let is_folder = file.ends_with('/');
        let former = |known: &String| *known == file || (is_folder && known.starts_with(&file));
        let message = if self.good.keys().any(former) {
            format!("{message}\nwhat it said before still counts")
        } else {
            message.to_owned()
        };
        self.problems.push(FileProblem { file, message });
    }

    fn apps(&self) -> FileApps {
        let entry = |(file, registrations): (&String, &Vec<Registration>)| {
            let file = file.clone();
            let of_file = registrations.iter().cloned();
            let entries = of_file.map(move |registration| FileApp {
                registration,
                own: file == self.own,
                file: file.clone(),
            });
            entries.collect::<Vec<_>>()
        };
        FileApps {
            entries: self.good.iter().flat_map(entry).collect(),
            problems: self.problems.clone(),
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<Registration>, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    // Reading from a pipe would wait.
    if !fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("is no file".to_owned());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(LONGEST + 1)
        .read_to_string(&mut text)
        .map_err(cannot)?;
    if text.len() as u64 > LONGEST {
        return Err(format!("is longer than {} KiB", LONGEST / 1024));
    }
    parse(&text)
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

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "upstream: {kind: generic, url: 'http://127.0.0.1:1'}\n";

    fn host(apps: &str) -> String {
        format!("{HOST}api:\n  apps:\n{apps}")
    }

    fn folder() -> (tempfile::TempDir, Followed) {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "host.yaml", HOST);
        let path = folder.path().join("host.yaml");
        let mut followed = Followed::new(&path, Overlay::Nothing, FileApps::default());
        assert_eq!(followed.look(), None, "the host has read it");
        (folder, followed)
    }

    /// Another length, for times may be too coarse to tell two writes apart.
    fn write(folder: &tempfile::TempDir, name: &str, text: &str) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn names(apps: &FileApps) -> Vec<String> {
        let named = apps.entries.iter();
        named
            .map(|entry| format!("{} {}", entry.file, entry.registration.name))
            .collect()
    }

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

    #[test]
    fn changes_are_seen_and_a_broken_file_keeps_what_it_said() {
        let (folder, mut followed) = folder();
        write(&folder, "apps.d/b.yaml", "b:1: {pubkey: x}\n");
        write(
            &folder,
            "apps.d/a.yaml",
            "a:1: {pubkey: x}\na:2: {pubkey: x}\n",
        );
        write(&folder, "apps.d/readme.txt", "not ours");
        write(&folder, "apps.d/.a.yaml.swp", "not ours");
        let apps = followed.look().unwrap();
        let packages = [
            "apps.d/a.yaml a:1",
            "apps.d/a.yaml a:2",
            "apps.d/b.yaml b:1",
        ];
        assert_eq!(names(&apps), packages);
        assert_eq!(followed.look(), None);

        write(
            &folder,
            "apps.d/a.yaml",
            "a:1: {pubkey: x}\na:2: {pubkey: [\n",
        );
        let apps = followed.look().unwrap();
        assert_eq!(names(&apps), packages);
        let problem = &apps.problems[0];
        assert_eq!(problem.file, "apps.d/a.yaml");
        assert!(problem.message.contains("line 2") && problem.message.contains("still counts"));
        // Something else changes: the file is as broken as before.
        write(&folder, "host.yaml", &host("    c:1: {pubkey: x}\n"));
        let apps = followed.look().unwrap();
        assert_eq!(names(&apps)[..3], packages);
        assert_eq!(names(&apps)[3], "host.yaml c:1");
        assert_eq!(apps.problems.len(), 1);

        write(
            &folder,
            "host.yaml",
            &host("    c:1: {pubkey: x}\n    d: 1\n"),
        );
        let apps = followed.look().unwrap();
        assert_eq!(names(&apps).len(), 4);
        assert_eq!(apps.problems[0].file, "host.yaml");
        fs::remove_file(folder.path().join("host.yaml")).unwrap();
        assert_eq!(names(&followed.look().unwrap()).len(), 4);
        write(&folder, "host.yaml", HOST);
        fs::remove_dir_all(folder.path().join("apps.d")).unwrap();
        assert_eq!(followed.look().unwrap(), FileApps::default());
    }

    /// Between its reading and its following a host takes its sockets and opens its database.
    #[test]
    fn a_change_while_the_host_starts_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "host.yaml", &host("    a:1: {pubkey: x}\n"));
        let path = folder.path().join("host.yaml");
        let file = Checking::alone(&path);
        let (read, _) = read(&file, file.load::<RawHost>().unwrap().api);
        let start = || Followed::new(&path, Overlay::Nothing, read.clone());
        assert_eq!(start().look(), None);
        let off = host("    a:1: {pubkey: x, enabled: false}\n");
        write(&folder, "host.yaml", &off);
        let apps = start().look().unwrap();
        assert!(!apps.entries[0].registration.enabled);
        write(&folder, "host.yaml", &host("    a:1: {pubkey: [}\n"));
        let apps = start().look().unwrap();
        assert_eq!(
            apps.entries, read.entries,
            "what it said before still counts"
        );
        assert!(apps.problems[0].message.contains("still counts"));
    }

    #[test]
    fn a_file_that_was_never_good_says_nothing() {
        let (folder, mut followed) = folder();
        write(&folder, "apps.d/a.yaml", "a:1: {\n");
        let apps = followed.look().unwrap();
        assert_eq!(names(&apps), [""; 0]);
        assert!(!apps.problems[0].message.contains("still counts"));
        write(&folder, "apps.d/a.yaml", &"# long\n".repeat(40_000));
        let apps = followed.look().unwrap();
        assert!(apps.problems[0].message.contains("256 KiB"));
    }
}
