//! Which apps may get session keys: what files say, what an administrator registered on the page,
//! and what they switched on or off there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use latchkey_model::clock::Timestamp;
use latchkey_model::session_key::{Registration, SessionApp, SessionAppName};
use latchkey_store::StoreError;
use latchkey_store::host::{HostStore, KeptSessionApp, SessionAppSwitch};

/// What the configuration and the files beside it say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileApps {
    /// The entries; of several with one name the first counts.
    pub entries: Vec<FileApp>,
    /// What could not be read, or has no effect.
    pub problems: Vec<FileProblem>,
}

/// An entry and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileApp {
    /// What it says.
    pub registration: Registration,
    /// The file, as an administrator knows it: `host.yaml`, `apps.d/fieldglass.yaml`.
    pub file: String,
    /// Whether it is the host's own file, which counts before those that packages bring.
    pub own: bool,
}

/// Something in a file that has to be mended there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// The file.
    pub file: String,
    /// What is wrong, with the line.
    pub message: String,
}

/// Where an app is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    File(String),
    Page { by: String, at: Timestamp },
}

/// A registered app as it counts now.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// With what was switched on the page.
    pub(crate) app: SessionApp,
    pub(crate) source: Source,
    /// Somebody's switch, if it counts.
    pub(crate) switch: Option<SessionAppSwitch>,
    /// Tells this wording of the entry from others.
    written: [u8; 32],
}

/// All of them, and what is wrong with their files.
#[derive(Debug, Default)]
pub(crate) struct Registered {
    entries: BTreeMap<SessionAppName, Entry>,
    problems: Vec<FileProblem>,
}

impl Registered {
    pub(crate) fn find(&self, name: &SessionAppName) -> Option<&Entry> {
        self.entries.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(crate) fn problems(&self) -> &[FileProblem] {
        &self.problems
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The registered apps. Clones share them.
#[derive(Clone)]
pub(crate) struct Apps(Arc<Inner>);

struct Inner {
    /// Missing where the printer's server is the authority: then there are no pages.
    store: Option<HostStore>,
    parts: Mutex<Parts>,
    /// Held from what is written to what is read back: of two changes at once the one that is read
    /// last must not be the one that was written first.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Parts {
    files: FileApps,
    page: Vec<KeptSessionApp>,
    switches: Vec<SessionAppSwitch>,
    /// What follows from the three.
    registered: Arc<Registered>,
}

/// Why an app could not be registered on the page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("there is an app of that name")]
    NameTaken,
    #[error("there are too many apps")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Apps {
    pub(crate) fn new(store: Option<HostStore>, files: FileApps) -> Self {
        let mut parts = Parts {
            files,
            ..Parts::default()
        };
        parts.work_out();
        Self(Arc::new(Inner {
            store,
            parts: Mutex::new(parts),
            changing: tokio::sync::Mutex::default(),
        }))
    }

    /// All as they count now.
    pub(crate) fn registered(&self) -> Arc<Registered> {
        Arc::clone(&self.parts().registered)
    }

    /// Takes what the files say now.
    pub(super) fn set_files(&self, files: FileApps) {
        let mut parts = self.parts();
        parts.files = files;
        parts.work_out();
    }

    /// Reads what was registered and switched on the page. Says whether that was not known.
    pub(super) async fn load(&self) -> Result<bool, StoreError> {
        let Some(store) = &self.0.store else {
            return Ok(false);
        };
        let _alone = self.0.changing.lock().await;
        self.read(store).await
    }

    async fn read(&self, store: &HostStore) -> Result<bool, StoreError> {
        let page = store.session_apps().list().await?;
        let switches = store.session_apps().list_switches().await?;
        let mut parts = self.parts();
        if (&parts.page, &parts.switches) == (&page, &switches) {
            return Ok(false);
        }
        (parts.page, parts.switches) = (page, switches);
        parts.work_out();
        Ok(true)
    }

    /// Registers an app on the page.
    pub(super) async fn register(
        &self,
        registration: Registration,
        by: &str,
        at: Timestamp,
    ) -> Result<(), RegisterError> {
        let Some(store) = &self.0.store else {
            return Err(StoreError::Conflict.into());
        };
        let _alone = self.0.changing.lock().await;
        let name = registration.name.clone();
        if self.registered().find(&name).is_some() {
            return Err(RegisterError::NameTaken);
        }
        let kept = KeptSessionApp {
            registration,
            at,
            by: by.to_owned(),
        };
        match store.session_apps().keep(&kept).await {
            Ok(()) => {
                self.read(store).await?;
                Ok(())
            }
            Err(StoreError::Conflict) => {
                // It may be there already, if it could not be read back at the time.
                self.read(store).await?;
                match self.registered().find(&name) {
                    Some(_) => Err(RegisterError::NameTaken),
                    None => Err(RegisterError::TooMany),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an app that was registered on the page. False if there is none. If a file has one
    /// of that name too, that is off from now on: it must not come in because this one went.
    pub(super) async fn remove(
        &self,
        name: &SessionAppName,
        by: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(store) = &self.0.store else {
            return Ok(false);
        };
        let _alone = self.0.changing.lock().await;
        let has_it = |app: &FileApp| app.registration.name == *name;
        let off = self
            .parts()
            .files
            .entries
            .iter()
            .any(has_it)
            .then(|| SessionAppSwitch {
                name: name.clone(),
                enabled: false,
                wording: [0; 32],
                at,
                by: by.to_owned(),
            });
        let removed = store.session_apps().remove(name, off.as_ref()).await?;
        self.read(store).await?;
        Ok(removed)
    }

    /// Switches an app on or off. False if there is none.
    pub(super) async fn switch(
        &self,
        name: &SessionAppName,
        enabled: bool,
        by: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(store) = &self.0.store else {
            return Ok(false);
        };
        let _alone = self.0.changing.lock().await;
        let Some(wording) = self.registered().find(name).map(|entry| entry.written) else {
            return Ok(false);
        };
        let switch = SessionAppSwitch {
            name: name.clone(),
            enabled,
            wording,
            at,
            by: by.to_owned(),
        };
        store.session_apps().switch(&switch).await?;
        self.read(store).await?;
        Ok(true)
    }

    fn parts(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn work_out(&mut self) {
        let mut registered = Registered {
            problems: self.files.problems.clone(),
            ..Registered::default()
        };
        // What somebody wrote or typed for this host counts before what packages bring.
        let is_own = |app: &&FileApp| app.own;
        let of_file = |app: &FileApp| (app.registration.clone(), Source::File(app.file.clone()));
        let of_page = |app: &KeptSessionApp| {
            let (by, at) = (app.by.clone(), app.at);
            (app.registration.clone(), Source::Page { by, at })
        };
        let own = self.files.entries.iter().filter(is_own).map(of_file);
        let page = self.page.iter().map(of_page);
        let packages = self.files.entries.iter().filter(|app| !is_own(app));
        for (registration, source) in own.chain(page).chain(packages.map(of_file)) {
            let name = registration.name.clone();
            if let Some(first) = registered.entries.get(&name) {
                if let (Source::File(file), first) = (&source, &first.source) {
                    let message = format!(
                        "{name} is registered {} already, and that counts",
                        match first {
                            Source::File(first) => format!("in {first}"),
                            Source::Page { .. } => "on this host's page".to_owned(),
                        }
                    );
                    let file = file.clone();
                    registered.problems.push(FileProblem { file, message });
                }
                continue;
            }
            let switch = self.switches.iter().find(|switch| switch.name == name);
            let entry = Entry::new(registration, source, switch);
            registered.entries.insert(name, entry);
        }
        self.registered = Arc::new(registered);
    }
}

impl Entry {
    fn new(registration: Registration, source: Source, switch: Option<&SessionAppSwitch>) -> Self {
        let app = SessionApp::new(registration);
        let written = *app.wording();
        // Off stays off, whatever becomes of the entry. On against the file is said of the entry
        // that was seen, and of no other.
        let switch = switch.filter(|switch| !switch.enabled || switch.wording == written);
        Self {
            app: match switch {
                Some(switch) => app.switched(switch.enabled),
                None => app,
            },
            source,
            switch: switch.cloned(),
            written,
        }
    }
}

#[cfg(test)]
mod tests {
    use latchkey_model::session_key::SessionScope;

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1);

    fn registration(name: &str, enabled: bool) -> Registration {
        Registration {
            name: SessionAppName::parse(name).unwrap(),
            pubkey: Some("MEgC".to_owned()),
            enabled,
            allow_weak_keys: false,
            scope: SessionScope::Full,
        }
    }

    fn files(apps: &[(&str, &str, bool)]) -> FileApps {
        let entry = |(file, name, enabled): &(&str, &str, bool)| FileApp {
            registration: registration(name, *enabled),
            file: (*file).to_owned(),
            own: *file == "host.yaml",
        };
        FileApps {
            entries: apps.iter().map(entry).collect(),
            problems: Vec::new(),
        }
    }

    async fn apps(all: &[(&str, &str, bool)]) -> Apps {
        let store = HostStore::open_in_memory().await.unwrap();
        Apps::new(Some(store), files(all))
    }

    fn is_on(apps: &Apps, name: &str) -> Option<bool> {
        let name = SessionAppName::parse(name).unwrap();
        let registered = apps.registered();
        let entry = registered.find(&name)?;
        Some(entry.app.registration().enabled)
    }

    async fn switch(apps: &Apps, name: &str, enabled: bool) -> bool {
        let name = SessionAppName::parse(name).unwrap();
        apps.switch(&name, enabled, "ann", AT).await.unwrap()
    }

    #[tokio::test]
    async fn the_owners_words_count_before_those_of_packages() {
        let apps = apps(&[
            ("apps.d/a.yaml", "x:1", true),
            ("apps.d/a.yaml", "y:1", true),
            ("apps.d/b.yaml", "y:1", false),
            ("host.yaml", "x:1", false),
        ])
        .await;
        assert_eq!(is_on(&apps, "x:1"), Some(false));
        assert_eq!(is_on(&apps, "y:1"), Some(true));
        let told: Vec<_> = apps
            .registered()
            .problems()
            .iter()
            .map(|problem| format!("{}: {}", problem.file, problem.message))
            .collect();
        assert_eq!(
            told,
            [
                "apps.d/a.yaml: x:1 is registered in host.yaml already, and that counts",
                "apps.d/b.yaml: y:1 is registered in apps.d/a.yaml already, and that counts",
            ]
        );
    }

    #[tokio::test]
    async fn off_stays_off_and_on_lasts_as_long_as_the_entry() {
        let apps = apps(&[("apps.d/a.yaml", "x:1", true), ("host.yaml", "y:1", false)]).await;
        assert!(switch(&apps, "x:1", false).await);
        assert!(switch(&apps, "y:1", true).await);
        assert!(!switch(&apps, "z:1", true).await);
        assert_eq!(
            (is_on(&apps, "x:1"), is_on(&apps, "y:1")),
            (Some(false), Some(true))
        );
        // A package that is updated does not come back by that.
        let mut changed = files(&[("apps.d/a.yaml", "x:1", true), ("host.yaml", "y:1", false)]);
        for entry in &mut changed.entries {
            entry.registration.scope = SessionScope::View;
        }
        apps.set_files(changed);
        assert_eq!(
            (is_on(&apps, "x:1"), is_on(&apps, "y:1")),
            (Some(false), Some(false))
        );
        assert!(switch(&apps, "x:1", true).await);
        assert_eq!(is_on(&apps, "x:1"), Some(true));
    }

    #[tokio::test]
    async fn an_app_is_registered_once_wherever() {
        let apps = apps(&[("apps.d/a.yaml", "x:1", true)]).await;
        let register = async |name: &str| apps.register(registration(name, true), "ann", AT).await;
        assert!(matches!(
            register("x:1").await,
            Err(RegisterError::NameTaken)
        ));
        register("y:1").await.unwrap();
        assert!(matches!(
            register("y:1").await,
            Err(RegisterError::NameTaken)
        ));
        for index in 1..200 {
            let name = format!("z:{index}");
            register(&name).await.unwrap();
        }
        assert!(matches!(register("z:z").await, Err(RegisterError::TooMany)));
        // Before what a package brings, and behind what the owner wrote.
        apps.set_files(files(&[("apps.d/a.yaml", "y:1", false)]));
        assert_eq!(is_on(&apps, "y:1"), Some(true));
        apps.set_files(files(&[("host.yaml", "y:1", false)]));
        assert_eq!(is_on(&apps, "y:1"), Some(false));
        let name = SessionAppName::parse("y:1").unwrap();
        assert!(apps.remove(&name, "ann", AT).await.unwrap());
        assert!(!apps.remove(&name, "ann", AT).await.unwrap());
        assert_eq!(is_on(&apps, "y:1"), Some(false));
        apps.set_files(FileApps::default());
        assert_eq!(is_on(&apps, "y:1"), None);
    }

    #[tokio::test]
    async fn what_stood_behind_a_removed_app_does_not_come_in_for_it() {
        let apps = apps(&[("apps.d/a.yaml", "y:1", true)]).await;
        let name = SessionAppName::parse("x:1").unwrap();
        apps.register(registration("x:1", true), "ann", AT)
            .await
            .unwrap();
        apps.set_files(files(&[("apps.d/a.yaml", "x:1", true)]));
        assert!(apps.remove(&name, "ann", AT).await.unwrap());
        assert_eq!(is_on(&apps, "x:1"), Some(false));
        // One that stands nowhere else is gone with its switch.
        apps.register(registration("z:1", true), "ann", AT)
            .await
            .unwrap();
        switch(&apps, "z:1", false).await;
        let name = SessionAppName::parse("z:1").unwrap();
        apps.remove(&name, "ann", AT).await.unwrap();
        apps.register(registration("z:1", true), "ann", AT)
            .await
            .unwrap();
        assert_eq!(is_on(&apps, "z:1"), Some(true));
    }

    /// Many at once, on one database: what is read back last has all of them.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_changes_at_once_none_is_lost() {
        let apps = apps(&[]).await;
        let tracker = tokio_util::task::TaskTracker::new();
        for index in 0..40 {
            let apps = apps.clone();
            tracker.spawn(async move {
                let name = format!("x:{index}");
                let app = registration(&name, true);
                apps.register(app, "ann", AT).await.unwrap();
                assert!(switch(&apps, &name, false).await);
            });
        }
        tracker.close();
        tracker.wait().await;
        for index in 0..40 {
            assert_eq!(is_on(&apps, &format!("x:{index}")), Some(false), "{index}");
        }
    }
}
