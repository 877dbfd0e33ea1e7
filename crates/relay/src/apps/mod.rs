//! Apps that the operator registered: whose names are their own, and where the portal leads.

pub(crate) mod http;
pub mod logo;

use latchkey_model::app::{AppId, AppName, NameError, RegisteredApp, Website, WebsiteError, fold};
use latchkey_model::clock::Timestamp;
use latchkey_model::portal::{RuleError, TargetRule};
use latchkey_store::{RelayStore, StoreError};

use logo::LogoError;

/// Most addresses of one app.
const MOST_TARGETS: usize = 32;

/// An app as the operator writes it down.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub developer: Option<&'a str>,
    pub website: Option<&'a str>,
    pub targets: &'a [String],
    /// A PNG of any size.
    pub logo: Option<&'a [u8]>,
}

/// Why an app is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("the id cannot be used: {0}")]
    Id(NameError),
    #[error("the name cannot be used: {0}")]
    Name(NameError),
    #[error("the developer's name cannot be used: {0}")]
    Developer(NameError),
    #[error(transparent)]
    Website(#[from] WebsiteError),
    #[error("the target {text:?} cannot be used; {cause}")]
    Target { text: String, cause: RuleError },
    #[error("an app has at most {MOST_TARGETS} targets")]
    TooManyTargets,
    #[error("the logo cannot be used: {0}")]
    Logo(#[from] LogoError),
    #[error("there is an app {0} already; remove it first")]
    Taken(AppId),
    #[error("it looks like {name} ({id}), which is registered already")]
    LooksLike { id: AppId, name: AppName },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RegisterError {
    /// Whether what was written is at fault, and not what is known already.
    pub const fn is_usage(&self) -> bool {
        !matches!(
            self,
            Self::Taken(_) | Self::LooksLike { .. } | Self::Store(_)
        )
    }
}

/// Registers an app.
pub async fn register(
    store: &RelayStore,
    wanted: &Registration<'_>,
    now: Timestamp,
) -> Result<RegisteredApp, RegisterError> {
    let logo = wanted.logo.map(logo::small_png).transpose()?;
    let app = read(wanted, logo.is_some(), now)?;
    for known in store.apps().list().await? {
        if known.id == app.id {
            return Err(RegisterError::Taken(known.id));
        }
        if are_alike(&known, &app) {
            let RegisteredApp { id, name, .. } = known;
            return Err(RegisterError::LooksLike { id, name });
        }
    }
    match store.apps().insert(&app, logo.as_deref()).await {
        Ok(()) => Ok(app),
        // Somebody else was quicker.
        Err(StoreError::Conflict) => Err(RegisterError::Taken(app.id)),
        Err(error) => Err(error.into()),
    }
}

/// Changes what an app that is registered may have anew: developer, website and targets. What
/// names it stays.
pub(crate) async fn change(
    store: &RelayStore,
    wanted: &Registration<'_>,
    created: Timestamp,
) -> Result<RegisteredApp, RegisterError> {
    let app = read(wanted, false, created)?;
    store.apps().update(&app).await?;
    Ok(app)
}

/// Whether a new app could be taken for one that is there.
fn are_alike(known: &RegisteredApp, app: &RegisteredApp) -> bool {
    let names = |of: &RegisteredApp| [fold(of.id.as_str()), fold(of.name.as_str())];
    let known_names = names(known);
    names(app).iter().any(|name| known_names.contains(name))
        || known.is_imitated_by(app.id.as_str())
        || known.is_imitated_by(app.name.as_str())
}

fn read(
    wanted: &Registration<'_>,
    has_logo: bool,
    now: Timestamp,
) -> Result<RegisteredApp, RegisterError> {
    if wanted.targets.len() > MOST_TARGETS {
        return Err(RegisterError::TooManyTargets);
    }
    let target = |text: &String| {
        TargetRule::parse(text).map_err(|cause| RegisterError::Target {
            text: text.clone(),
            cause,
        })
    };
    Ok(RegisteredApp {
        id: AppId::from_anybody(wanted.id).map_err(RegisterError::Id)?,
        name: AppName::cleaned(wanted.name).map_err(RegisterError::Name)?,
        developer: wanted
            .developer
            .map(|text| AppName::cleaned(text).map_err(RegisterError::Developer))
            .transpose()?,
        website: wanted.website.map(Website::parse).transpose()?,
        targets: wanted
            .targets
            .iter()
            .map(target)
            .collect::<Result<_, _>>()?,
        has_logo,
        created: now,
    })
}

/// What this relay knows of an app that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its registration, if it has one.
    pub(crate) registered: Option<RegisteredApp>,
    /// The registered app that it could be taken for, and is not.
    pub(crate) imitates: Option<AppName>,
}

/// Looks an app up, with whatever else it calls itself.
pub(crate) async fn look_up(
    store: &RelayStore,
    id: &AppId,
    also: Option<&AppName>,
) -> Result<Known, StoreError> {
    let mut registered = None;
    let mut imitates = None;
    for app in store.apps().list().await? {
        if app.id == *id {
            registered = Some(app);
            continue;
        }
        let claims = also.is_some_and(|name| app.is_imitated_by(name.as_str()));
        if claims || app.is_imitated_by(id.as_str()) {
            imitates = Some(app.name);
        }
    }
    // What the operator registered was looked at by them.
    if registered.as_ref().is_some_and(RegisteredApp::is_brand) {
        imitates = None;
    }
    Ok(Known {
        registered,
        imitates,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted<'a>(id: &'a str, name: &'a str) -> Registration<'a> {
        Registration {
            id,
            name,
            developer: None,
            website: None,
            targets: &[],
            logo: None,
        }
    }

    const NOW: Timestamp = Timestamp::from_millis(1);

    #[tokio::test]
    async fn names_are_given_once() {
        let store = RelayStore::open_in_memory().await.unwrap();
        register(&store, &wanted("octopod", "OctoPod"), NOW)
            .await
            .unwrap();
        let again = register(&store, &wanted("OctoPod", "Other"), NOW).await;
        assert!(matches!(again, Err(RegisterError::Taken(_))));
        for (id, name) in [
            ("0ctopod", "Other"),
            ("other", "Octo-Pod"),
            ("other", "ОсtоPоd"),
            ("other", "OctoPod for tablets"),
            ("com.octopod.app", "Other"),
        ] {
            let answer = register(&store, &wanted(id, name), NOW).await;
            assert!(
                matches!(answer, Err(RegisterError::LooksLike { .. })),
                "{id} {name}"
            );
        }
        for (id, name) in [("octoapp", "OctoApp"), ("stars", "★★"), ("hearts", "♥♥")] {
            register(&store, &wanted(id, name), NOW).await.unwrap();
        }
        let answer = register(&store, &wanted("more", "★★"), NOW).await;
        assert!(matches!(answer, Err(RegisterError::LooksLike { .. })));
    }

    #[tokio::test]
    async fn what_cannot_be_shown_or_led_to_is_refused() {
        let store = RelayStore::open_in_memory().await.unwrap();
        let bad = ["javascript:".to_owned()];
        let many = vec!["octopod:".to_owned(); 33];
        for wanted in [
            wanted("", "x"),
            wanted("x", "\u{202e}"),
            Registration {
                website: Some("http://a.example"),
                ..wanted("x", "x")
            },
            Registration {
                developer: Some(""),
                ..wanted("x", "x")
            },
            Registration {
                targets: &bad,
                ..wanted("x", "x")
            },
            Registration {
                targets: &many,
                ..wanted("x", "x")
            },
            Registration {
                logo: Some(b"GIF89a"),
                ..wanted("x", "x")
            },
        ] {
            let answer = register(&store, &wanted, NOW).await;
            assert!(
                answer.as_ref().is_err_and(RegisterError::is_usage),
                "{wanted:?}"
            );
        }
        assert_eq!(store.apps().list().await.unwrap(), []);
    }

    #[tokio::test]
    async fn imitations_are_known_and_registered_apps_are_none() {
        let store = RelayStore::open_in_memory().await.unwrap();
        register(&store, &wanted("octopod", "OctoPod"), NOW)
            .await
            .unwrap();
        let look = async |id: &str, also: Option<&str>| {
            let also = also.map(|text| AppName::parse(text).unwrap());
            let id = AppId::parse(id).unwrap();
            let known = look_up(&store, &id, also.as_ref()).await.unwrap();
            (known.registered.is_some(), known.imitates.is_some())
        };
        assert_eq!(look("octopod", Some("OctoPod")).await, (true, false));
        assert_eq!(look("0ctopod", None).await, (false, true));
        assert_eq!(look("spool", Some("OctoPod")).await, (false, true));
        assert_eq!(look("spool", Some("Spool")).await, (false, false));
    }
}
