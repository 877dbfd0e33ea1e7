//! The files that register apps, what each said when it could be read last, and what changed.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use latchkey_host::config::{FileApp, FileApps, FileProblem};
use latchkey_model::session_key::Registration;

use super::{Overlay, RawApi, parse};
use crate::config::host::RawHost;
use crate::config::{Checking, ConfigError};

/// The folder beside `host.yaml`.
const FOLDER: &str = "apps.d";
/// Longest file that is read, and most files: packages bring a few lines each.
const LONGEST: u64 = 256 * 1024;
const MOST_FILES: usize = 200;

/// What tells one state of a file from another.
type Stamp = Vec<(PathBuf, Option<(Option<SystemTime>, u64, u64)>)>;

#[derive(Clone)]
pub(super) struct Followed {
    files: Files,
    overlay: Overlay,
    stamp: Option<Stamp>,
    told: FileApps,
}

impl Followed {
    pub(super) fn new(path: &Path, overlay: Overlay, read: FileApps) -> Self {
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
    pub(super) fn look(&mut self) -> Option<FileApps> {
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
pub(super) struct Files {
    path: PathBuf,
    /// `host.yaml`, as it is called.
    own: String,
    good: BTreeMap<String, Vec<Registration>>,
    problems: Vec<FileProblem>,
}

impl Files {
    /// What they say, with what `host.yaml` says as it was read already.
    pub(super) fn read(path: &Path, own: RawApi) -> FileApps {
        let mut files = Self::new(path);
        files.good.insert(files.own.clone(), own.registrations());
        files.read_folder();
        files.apps()
    }

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
        let read = Files::read(&path, file.load::<RawHost>().unwrap().api);
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
