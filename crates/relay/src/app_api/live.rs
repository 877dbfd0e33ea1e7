//! Live links for apps.

use latchkey_model::activity::Did;
use latchkey_model::live_link::LinkHours;
use latchkey_model::relay_status::RelayStatus;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{AppApi, doubt};
use crate::activity::Caller;
use crate::audit::{Act, Actor, Entry};
use crate::live_links::{NotMade, Wish};

/// What an app wants of a live link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LiveWish {
    pub(super) hours: LinkHours,
    pub(super) with_print: bool,
}

/// A live link, as an app is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LiveMade {
    live_id: String,
    url: String,
    /// The same in short.
    short_url: String,
}

/// Why an app gets no live link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoLink {
    Status(RelayStatus),
    TooMany,
}

impl LiveWish {
    /// Reads a body: its members in any case, as the token; what is missing or null is as usual.
    pub(super) fn read(body: &[u8]) -> Result<Self, &'static str> {
        let mut wish = Self {
            hours: LinkHours::USUAL,
            with_print: false,
        };
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(wish);
        }
        let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
            return Err("The body of the request is no JSON object.");
        };
        for (name, value) in members {
            if value.is_null() {
                continue;
            }
            match name.to_ascii_lowercase().as_str() {
                "expirationhours" => {
                    let hours = value.as_u64().and_then(|hours| hours.try_into().ok());
                    wish.hours = hours.ok_or("ExpirationHours is a number from 1 to 17520.")?;
                }
                "endwhencurrentprintiscomplete" => {
                    let with_print = value.as_bool();
                    wish.with_print =
                        with_print.ok_or("EndWhenCurrentPrintIsComplete is true or false.")?;
                }
                _ => {}
            }
        }
        Ok(wish)
    }
}

impl AppApi {
    /// Makes a live link in the name of the holder of this token. An app that may only look may
    /// have one: by a link too one can only look. It ends with the app connection.
    pub(super) async fn make_live_link(
        &self,
        token: &str,
        wish: LiveWish,
    ) -> Result<LiveMade, NoLink> {
        let admission = self.admit(token).await.map_err(NoLink::Status)?;
        let facts = &self.shared.facts;
        let made = facts.live_links.make(Wish {
            printer: admission.holder.printer.clone(),
            account: admission.holder.account.clone(),
            app_connection: Some(admission.id.clone()),
            hours: wish.hours,
            with_print: wish.with_print,
        });
        let made = made.await.map_err(|why| match why {
            NotMade::NoPrint => NoLink::Status(RelayStatus::NoActivePrint),
            NotMade::TooMany => NoLink::TooMany,
            NotMade::Store(error) => NoLink::Status(doubt(&error)),
        })?;
        let actor = Actor::Account(admission.holder.account.clone());
        let entry = Entry {
            printer: Some(admission.holder.printer.clone()),
            detail: admission.id.to_string(),
            ..Entry::new(actor, Act::LiveLinkMade)
        };
        facts.audit.note(entry).await;
        let caller = Caller {
            printer: admission.holder.printer,
            connection: admission.id,
            account: admission.holder.account,
            app: admission.app,
        };
        facts.activity.by_app(&caller, Did::Shared, None, 0);
        Ok(LiveMade {
            live_id: made.id.to_string(),
            url: made.url,
            short_url: made.short_url,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_for_how_long() {
        let usual = LiveWish {
            hours: LinkHours::USUAL,
            with_print: false,
        };
        for body in [
            "",
            " \n",
            "{}",
            r#"{"AppToken":"t","ExpirationHours":null,"More":1}"#,
            r#"{"expirationhours":24,"EndWhenCurrentPrintIsComplete":false}"#,
        ] {
            assert_eq!(LiveWish::read(body.as_bytes()), Ok(usual), "{body}");
        }
        let body = br#"{"ExpirationHours":17520,"endWhenCurrentPrintIsComplete":true}"#;
        let wish = LiveWish::read(body).unwrap();
        assert!(wish.with_print && wish.hours != LinkHours::USUAL);
        for body in [
            "[]",
            "nonsense",
            r#"{"ExpirationHours":0}"#,
            r#"{"ExpirationHours":17521}"#,
            r#"{"ExpirationHours":1.5}"#,
            r#"{"ExpirationHours":-1}"#,
            r#"{"ExpirationHours":"24"}"#,
            r#"{"EndWhenCurrentPrintIsComplete":1}"#,
        ] {
            assert!(LiveWish::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
