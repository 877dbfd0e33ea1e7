//! An app connection on the app's side: what a portal gives, and the file that it is kept in.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::{Map, Value};
use url::Url;

use super::UsageError;
use super::server::Server;

/// Where a relay is and which app asked: our own members, beside the portal's.
const RELAY: &str = "relay";
const APP: &str = "appId";

/// What a portal may give, by the names it uses. The rest of what arrives is not kept.
const GIVEN: [&str; 10] = [
    "id",
    "url",
    "appApiToken",
    "authbasichttpuser",
    "authbasichttppassword",
    "authBearerToken",
    "printername",
    "userPrinterAccessUrl",
    "printerLastKnownLocalIp",
    "octoPrintApiKey",
];

/// Without these there is nothing to use.
const NEEDED: [&str; 3] = ["id", "url", "appApiToken"];

/// No file of ours is longer.
const LONGEST_FILE: u64 = 64 * 1024;

/// Why what a portal gave is of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IncompleteError {
    #[error("the relay gave no {0}; it needs to be a relay that knows App Connections")]
    Missing(&'static str),
    #[error("the relay gave an address for the app connection that is none ({0})")]
    Address(&'static str),
    #[error("the relay gave credentials that cannot be sent; try again, or ask its operator")]
    Credentials,
}

/// Cannot be printed as a whole: it is made of secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AppConnection {
    members: Map<String, Value>,
}

impl AppConnection {
    /// Takes what a portal gave, by its names, in the spelling that is asked for.
    pub(crate) fn given(
        relay: &Url,
        app: &str,
        get: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, IncompleteError> {
        let mut members = Map::new();
        members.insert(RELAY.to_owned(), relay.as_str().into());
        members.insert(APP.to_owned(), app.into());
        for name in GIVEN {
            let value = get(name).or_else(|| get(documented(name)));
            if let Some(value) = value {
                members.insert(name.to_owned(), value.into());
            }
        }
        for name in NEEDED {
            let value = members.get(name).and_then(Value::as_str);
            if value.is_none_or(str::is_empty) {
                return Err(IncompleteError::Missing(name));
            }
        }
        let connection = Self { members };
        connection.check(relay)?;
        Ok(connection)
    }

    fn check(&self, relay: &Url) -> Result<(), IncompleteError> {
        let wrong = IncompleteError::Address;
        let url = Url::parse(self.text("url")).map_err(|_| wrong("not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("neither http nor https"));
        }
        // Credentials that came by TLS must not be used without.
        if relay.scheme() == "https" && url.scheme() != "https" {
            return Err(wrong("http, although the relay has https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("with a user name in it"));
        }
        self.server().map_err(|_| IncompleteError::Credentials)?;
        self.app_token().map_err(|_| IncompleteError::Credentials)?;
        Ok(())
    }

    /// What is there under this name, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.members
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The relay's own address.
    pub(crate) fn relay(&self) -> Result<Server, UsageError> {
        Server::parse(self.text(RELAY))
    }

    /// The printer, with the credential that lets requests through to it.
    pub(crate) fn server(&self) -> Result<Server, UsageError> {
        let server = Server::parse(self.text("url"))?;
        match self.authorization() {
            None => Ok(server),
            Some(value) => Ok(server.with_authorization(secret(&value)?)),
        }
    }

    /// The bearer token if there is one, else the pair, else nothing: the hostname is enough.
    fn authorization(&self) -> Option<String> {
        let bearer = self.text("authBearerToken");
        if !bearer.is_empty() {
            return Some(format!("Bearer {bearer}"));
        }
        let (user, password) = (
            self.text("authbasichttpuser"),
            self.text("authbasichttppassword"),
        );
        if user.is_empty() && password.is_empty() {
            return None;
        }
        Some(format!(
            "Basic {}",
            STANDARD.encode(format!("{user}:{password}"))
        ))
    }

    /// The token for the App API, as a field.
    pub(crate) fn app_token(&self) -> Result<HeaderValue, UsageError> {
        secret(self.text("appApiToken"))
    }

    /// The key for the printer's own server, if the portal made one.
    pub(crate) fn printer_key(&self) -> Result<Option<HeaderValue>, UsageError> {
        let key = self.text("octoPrintApiKey");
        (!key.is_empty()).then(|| secret(key)).transpose()
    }

    /// Reads the file that [`Destination::keep`] wrote, or one like it.
    pub(crate) fn read(path: &Path) -> Result<Self, UsageError> {
        let name = path.display();
        let unusable = |why: &str| {
            UsageError(format!(
                "{name} {why}; make it anew with latchkey connect, or name another file"
            ))
        };
        let length = fs::metadata(path).map_err(|error| {
            UsageError(format!(
                "cannot read the app connection {name}: {error}; latchkey connect makes one"
            ))
        })?;
        if length.len() > LONGEST_FILE {
            return Err(unusable("is longer than any app connection"));
        }
        let text = fs::read(path);
        let text = text.map_err(|error| UsageError(format!("cannot read {name}: {error}")))?;
        let Ok(Value::Object(kept)) = serde_json::from_slice(&text) else {
            return Err(unusable("is no app connection: it is not a JSON object"));
        };
        let get = |name: &str| kept.get(name)?.as_str().map(str::to_owned);
        let relay = get(RELAY).and_then(|url| Url::parse(&url).ok());
        let relay = relay.ok_or_else(|| unusable("does not say which relay it is of"))?;
        let app = get(APP).unwrap_or_default();
        Self::given(&relay, &app, get).map_err(|error| match error {
            IncompleteError::Missing(name) => unusable(&format!("has no {name}")),
            IncompleteError::Address(why) => unusable(&format!("has a wrong url ({why})")),
            IncompleteError::Credentials => unusable("has credentials that cannot be sent"),
        })
    }
}

/// The spelling in the documentation, where real relays send another.
fn documented(name: &'static str) -> &'static str {
    match name {
        "authbasichttpuser" => "authBasicHttpUser",
        "authbasichttppassword" => "authBasicHttpPassword",
        "printername" => "printerName",
        name => name,
    }
}

fn secret(text: &str) -> Result<HeaderValue, UsageError> {
    let value = HeaderValue::try_from(text);
    let mut value =
        value.map_err(|_| UsageError("a credential in the file cannot be sent".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A file that is to have an app connection in it, and that its owner alone may read. It is made
/// before anybody is asked for anything: what a portal gives is shown once.
pub(crate) struct Destination {
    path: PathBuf,
    /// What is written; the path itself, or what takes its place at the end.
    written: PathBuf,
    file: Option<File>,
}

impl Destination {
    /// Makes the file. One that exists is replaced, at the end, only by `force`.
    pub(crate) fn reserve(path: &Path, force: bool) -> Result<Self, UsageError> {
        let mut written = path.to_owned();
        if force && path.is_dir() {
            return Err(UsageError(format!("{} is a folder", path.display())));
        }
        if force {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}.new", std::process::id()));
            written.set_file_name(name);
        }
        let mut options = OpenOptions::new();
        let opened = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&written);
        let file = opened.map_err(|cause| {
            let name = path.display();
            UsageError(match cause.kind() {
                io::ErrorKind::AlreadyExists => format!(
                    "{name} exists, and an app connection in it would be lost; name another file \
                     with --out, or replace it with --force"
                ),
                _ => format!("cannot write {name}: {cause}; name another file with --out"),
            })
        })?;
        Ok(Self {
            path: path.to_owned(),
            written,
            file: Some(file),
        })
    }

    /// Writes the app connection.
    pub(crate) fn keep(mut self, connection: &AppConnection) -> io::Result<()> {
        let text = serde_json::to_string_pretty(&connection.members)?;
        if let Some(file) = &mut self.file {
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
        }
        if self.written != self.path {
            fs::rename(&self.written, &self.path)?;
        }
        self.file = None;
        Ok(())
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.written);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 7] = [
        ("id", "c1"),
        ("url", "https://app-x.relay.example"),
        ("appApiToken", "lk_app_1"),
        ("authbasichttpuser", "user"),
        ("authbasichttppassword", "password"),
        ("authBearerToken", "token"),
        ("printername", "Workshop"),
    ];

    fn given(change: &[(&str, &str)]) -> Result<AppConnection, IncompleteError> {
        let relay = Url::parse("https://relay.example").unwrap();
        let get = |name: &str| {
            let changed = change.iter().find(|(changed, _)| *changed == name);
            let found = changed.or_else(|| WHOLE.iter().find(|(known, _)| *known == name));
            found.map(|(_, value)| (*value).to_owned())
        };
        AppConnection::given(&relay, "devtest", get)
    }

    fn authorization(change: &[(&str, &str)]) -> Option<String> {
        let server = given(change).unwrap().server().unwrap();
        let value = server.authorization()?;
        assert!(value.is_sensitive());
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_is_given_becomes_a_credential() {
        assert_eq!(authorization(&[]).as_deref(), Some("Bearer token"));
        let pair = authorization(&[("authBearerToken", "")]);
        assert_eq!(pair.as_deref(), Some("Basic dXNlcjpwYXNzd29yZA=="));
        let none = [
            ("authBearerToken", ""),
            ("authbasichttpuser", ""),
            ("authbasichttppassword", ""),
        ];
        assert_eq!(authorization(&none), None);
    }

    #[test]
    fn the_documented_spelling_is_read_too() {
        let relay = Url::parse("http://localhost:7010").unwrap();
        let get = |name: &str| {
            let value = match name {
                "id" => "c1",
                "url" => "http://app-x.localhost:7010",
                "appApiToken" => "lk_app_1",
                "authBasicHttpUser" => "user",
                "authBasicHttpPassword" => "password",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let connection = AppConnection::given(&relay, "devtest", get).unwrap();
        assert_eq!(connection.text("authbasichttpuser"), "user");
        assert_eq!(connection.text("authbasichttppassword"), "password");
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (name, value, sentence) in [
            ("id", "", "no id"),
            ("appApiToken", "", "no appApiToken"),
            ("url", "", "no url"),
            ("url", "app-x.relay.example", "not a URL"),
            ("url", "ftp://app-x.relay.example", "neither http"),
            ("url", "http://app-x.relay.example", "the relay has https"),
            ("url", "https://u:p@app-x.relay.example", "user name"),
            ("authBearerToken", "a\nb", "cannot be sent"),
            ("appApiToken", "a\r\nb", "cannot be sent"),
        ] {
            let error = given(&[(name, value)]).err().unwrap().to_string();
            assert!(error.contains(sentence), "{name}={value}: {error}");
        }
    }

    #[test]
    fn a_file_is_private_reads_back_and_is_not_replaced_unasked() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app-connection.json");
        let connection = given(&[]).unwrap();
        let destination = Destination::reserve(&path, false).unwrap();
        destination.keep(&connection).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(AppConnection::read(&path).unwrap() == connection);

        let refused = Destination::reserve(&path, false).err().unwrap();
        assert!(refused.to_string().contains("--force"), "{refused}");
        let other = given(&[("id", "c2")]).unwrap();
        let destination = Destination::reserve(&path, true).unwrap();
        assert!(AppConnection::read(&path).unwrap() == connection, "not yet");
        destination.keep(&other).unwrap();
        assert!(AppConnection::read(&path).unwrap() == other);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_gets_nothing_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app-connection.json");
        drop(Destination::reserve(&path, false).unwrap());
        assert!(!path.exists());
        fs::write(&path, "kept").unwrap();
        drop(Destination::reserve(&path, true).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
