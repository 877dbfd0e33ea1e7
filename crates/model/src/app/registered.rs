//! Apps that the operator of a relay vouches for.

use std::fmt;

use super::fold::{fold, resembles};
use super::{AppId, AppName};
use crate::clock::Timestamp;
use crate::portal::{ReturnTarget, TargetKind, TargetRule};

/// An app that the operator registered: its name is its own, and the portal leads back to its
/// own addresses only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredApp {
    /// How it calls itself.
    pub id: AppId,
    /// What people call it.
    pub name: AppName,
    /// Who makes it.
    pub developer: Option<AppName>,
    /// Where its makers are.
    pub website: Option<Website>,
    /// Where the portal may lead.
    pub targets: Vec<TargetRule>,
    /// Whether there is a picture of it.
    pub has_logo: bool,
    /// When it was registered.
    pub created: Timestamp,
}

impl RegisteredApp {
    /// Whether the portal may lead there on its behalf.
    pub fn allows(&self, target: &ReturnTarget) -> bool {
        self.targets.iter().any(|rule| rule.matches(target))
    }

    /// Whether its name stands for somebody. An app that may lead anywhere is there to try things
    /// out, and anybody can be it.
    pub fn is_brand(&self) -> bool {
        !self.targets.contains(&TargetRule::Anything)
    }

    /// Whether a text could be taken for its name or id.
    pub fn is_imitated_by(&self, text: &str) -> bool {
        let folded = fold(text);
        self.is_brand()
            && [self.id.as_str(), self.name.as_str()]
                .iter()
                .any(|known| resembles(&folded, &fold(known)))
    }
}

/// The `https` address of an app's makers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Website(ReturnTarget);

/// A text is not the address of a website.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a website needs the form https://example.com")]
pub struct WebsiteError;

impl Website {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, WebsiteError> {
        let target = ReturnTarget::parse(text).map_err(|_| WebsiteError)?;
        if target.kind() == TargetKind::Web {
            Ok(Self(target))
        } else {
            Err(WebsiteError)
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host in it, which is what people know a maker by.
    pub fn host(&self) -> &str {
        self.0.host()
    }
}

impl fmt::Display for Website {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(id: &str, name: &str, targets: &[&str]) -> RegisteredApp {
        RegisteredApp {
            id: AppId::parse(id).unwrap(),
            name: AppName::parse(name).unwrap(),
            developer: None,
            website: None,
            targets: targets
                .iter()
                .map(|text| TargetRule::parse(text).unwrap())
                .collect(),
            has_logo: false,
            created: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn names_and_ids_are_reserved() {
        let octopod = app("octopod", "OctoPod for iPhone", &["octopod:"]);
        for text in [
            "0ctopod",
            "OctoPod",
            "octopod.app",
            "OctoPod for iPhone",
            "octopodforiphone2",
            "осtороd",
        ] {
            assert!(octopod.is_imitated_by(text), "{text}");
        }
        for text in ["octoapp", "fieldglass", ""] {
            assert!(!octopod.is_imitated_by(text), "{text}");
        }
        assert!(!app("devtest", "Test app", &["*"]).is_imitated_by("My test app"));
    }

    #[test]
    fn websites_are_https() {
        assert_eq!(
            Website::parse("https://northlight.example/apps")
                .unwrap()
                .host(),
            "northlight.example"
        );
        for text in [
            "http://127.0.0.1",
            "octopod:",
            "northlight.example",
            "https://u@a.example",
            "",
        ] {
            assert_eq!(Website::parse(text), Err(WebsiteError), "{text}");
        }
    }
}
