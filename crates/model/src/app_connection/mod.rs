//! App connections: one app's right to reach one printer of one account.
//!
//! Responsible for what an app connection is, how it proves itself and who is let in.
//! Leaves to others where records are kept and how a refusal looks on the wire.

use std::fmt;
use std::str::FromStr;

use crate::access::KeyScope;
use crate::app::{AppId, AppName};
use crate::chance::Chance;
use crate::clock::{Clock, Timestamp};
use crate::id::{AccountId, AppConnectionId, PrinterId};
use crate::relay_status::RelayStatus;
use crate::secret::{
    AppToken, AppTokenHash, BasicPassword, BasicUser, BearerHash, BearerToken, ConnectionLabel,
    LabelHash,
};

mod access;

pub use access::{
    AccessHashes, AccessMode, AdmittedBy, BasicHash, ParseAccessModeError, PresentedCredential,
};

/// What is kept of an app connection's secrets, beyond its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialHashes {
    /// Of the hostname label.
    pub label: LabelHash,
    /// Of the token for the App API.
    pub app_token: AppTokenHash,
    /// Which credentials calls must present, and their hashes.
    pub access: AccessHashes,
}

/// One app's right to reach one printer, or what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppConnection {
    /// Its identifier.
    pub id: AppConnectionId,
    /// What is kept of its secrets.
    pub hashes: CredentialHashes,
    /// Whether it still holds.
    pub state: AppConnectionState,
}

/// Whether an app connection still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppConnectionState {
    /// It holds.
    Live(LiveAppConnection),
    /// It has ended for good: a tombstone. Nothing about the person is left.
    Ended {
        /// Why.
        reason: EndReason,
        /// When.
        at: Timestamp,
    },
}

/// Who a live app connection belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveAppConnection {
    /// The account that allowed it.
    pub account: AccountId,
    /// The printer it reaches.
    pub printer: PrinterId,
    /// How far it goes there.
    pub scope: KeyScope,
    /// The app that asked for it.
    pub app: AppId,
    /// What people call the app.
    pub app_name: AppName,
    /// When it was made.
    pub created: Timestamp,
}

/// Why an app connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Its owner, or an operator, revoked it.
    Revoked,
    /// Its printer was removed.
    PrinterRemoved,
    /// Its account was deleted.
    AccountDeleted,
    /// The app gave it back.
    ReturnedByApp,
}

impl EndReason {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Revoked,
        Self::PrinterRemoved,
        Self::AccountDeleted,
        Self::ReturnedByApp,
    ];

    /// The word that is kept.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::PrinterRemoved => "printer_removed",
            Self::AccountDeleted => "account_deleted",
            Self::ReturnedByApp => "returned_by_app",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text names no reason for an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a reason for which an app connection ends")]
pub struct ParseEndReasonError;

impl FromStr for EndReason {
    type Err = ParseEndReasonError;

    fn from_str(text: &str) -> Result<Self, ParseEndReasonError> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or(ParseEndReasonError)
    }
}

/// Whether the owner of an app connection may use it at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerStanding {
    /// Yes.
    Entitled,
    /// No: the account is suspended.
    Suspended,
    /// No: the plan has no app connections.
    PlanWithout,
}

impl OwnerStanding {
    /// The standing of an account.
    pub const fn of(suspended: bool, plan_allows: bool) -> Self {
        match (suspended, plan_allows) {
            (true, _) => Self::Suspended,
            (false, false) => Self::PlanWithout,
            (false, true) => Self::Entitled,
        }
    }
}

/// A call that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted<'a> {
    /// Where it may go.
    pub connection: &'a LiveAppConnection,
    /// What let it in.
    pub by: AdmittedBy,
}

/// Why a call is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such app connection, or none the caller may know of.
    #[error("there is no such app connection")]
    NotFound,
    /// It has ended, and the caller was the one who held it.
    #[error("the app connection has ended")]
    Ended,
    /// Its owner may not use app connections at present.
    #[error("the owner may not use app connections at present")]
    OwnerNotEntitled,
    /// The credentials are missing or wrong.
    #[error("the credentials are missing or wrong")]
    Unauthorized,
}

impl Refusal {
    /// The status that tells it to the app.
    pub const fn status(self) -> RelayStatus {
        match self {
            Self::NotFound => RelayStatus::NotFound,
            Self::Ended => RelayStatus::Ended,
            Self::OwnerNotEntitled => RelayStatus::OwnerNotEntitled,
            Self::Unauthorized => RelayStatus::Unauthorized,
        }
    }
}

impl AppConnection {
    /// Decides about one call.
    ///
    /// The order is part of the contract: ended, with the right credentials → `Ended`, with
    /// wrong ones → `NotFound`, so that a guessed hostname reveals nothing; owner not entitled
    /// → `OwnerNotEntitled`; credentials missing or wrong → `Unauthorized`. Where the hostname
    /// is the only credential, knowing it is having the right one, and whatever else is
    /// presented is ignored. When no record has the label, ask [`refuse_unknown`].
    pub fn admit(
        &self,
        presented: PresentedCredential<'_>,
        owner: OwnerStanding,
    ) -> Result<Admitted<'_>, Refusal> {
        let accepted = self.hashes.access.accept(presented);
        match (&self.state, accepted) {
            (AppConnectionState::Ended { .. }, Some(_)) => Err(Refusal::Ended),
            (AppConnectionState::Ended { .. }, None) => Err(Refusal::NotFound),
            (AppConnectionState::Live(connection), accepted) => match (owner, accepted) {
                (OwnerStanding::Suspended | OwnerStanding::PlanWithout, _) => {
                    Err(Refusal::OwnerNotEntitled)
                }
                (OwnerStanding::Entitled, None) => Err(Refusal::Unauthorized),
                (OwnerStanding::Entitled, Some(by)) => Ok(Admitted { connection, by }),
            },
        }
    }

    /// Decides about one call of the App API, whose token led to this record.
    pub fn admit_app_token(&self, owner: OwnerStanding) -> Result<&LiveAppConnection, Refusal> {
        match (&self.state, owner) {
            (AppConnectionState::Ended { .. }, _) => Err(Refusal::Ended),
            (AppConnectionState::Live(connection), OwnerStanding::Entitled) => Ok(connection),
            (AppConnectionState::Live(_), _) => Err(Refusal::OwnerNotEntitled),
        }
    }

    /// The live part, unless it has ended.
    pub const fn live(&self) -> Option<&LiveAppConnection> {
        match &self.state {
            AppConnectionState::Live(live) => Some(live),
            AppConnectionState::Ended { .. } => None,
        }
    }
}

/// Refuses a call to a label that no record has, after the work a known label takes.
pub fn refuse_unknown(presented: PresentedCredential<'_>) -> Refusal {
    let nobody = AccessHashes::Enhanced(
        BasicHash::from_bytes([0; 32]),
        BearerHash::from_bytes([0; 32]),
    );
    std::hint::black_box(nobody.accept(presented));
    Refusal::NotFound
}

/// What a new app connection is to be.
#[derive(Debug, Clone)]
pub struct NewAppConnection {
    /// The account that allows it.
    pub account: AccountId,
    /// The printer it shall reach.
    pub printer: PrinterId,
    /// The app that asked for it.
    pub app: AppId,
    /// What people call the app.
    pub app_name: AppName,
    /// How it shall prove itself.
    pub access: AccessMode,
    /// How far it shall go.
    pub scope: KeyScope,
}

impl NewAppConnection {
    /// Makes the record to keep and the credentials to show once.
    pub fn generate(
        self,
        chance: &dyn Chance,
        clock: &dyn Clock,
    ) -> (AppConnection, ConnectionCredentials) {
        let basic = self.access.has_basic().then(|| BasicPair {
            user: BasicUser::generate(chance),
            password: BasicPassword::generate(chance),
        });
        let bearer = self
            .access
            .has_bearer()
            .then(|| BearerToken::generate(chance));
        let credentials = ConnectionCredentials {
            label: ConnectionLabel::generate(chance),
            basic,
            bearer,
            app_token: AppToken::generate(chance),
        };
        let connection = AppConnection {
            id: AppConnectionId::generate(chance),
            hashes: credentials.hashes(self.access),
            state: AppConnectionState::Live(LiveAppConnection {
                account: self.account,
                printer: self.printer,
                scope: self.scope,
                app: self.app,
                app_name: self.app_name,
                created: clock.now(),
            }),
        };
        (connection, credentials)
    }
}

/// The secrets of a new app connection, shown once and never again.
#[derive(Debug, Clone)]
pub struct ConnectionCredentials {
    /// The first label of its hostname.
    pub label: ConnectionLabel,
    /// The Basic pair, if one belongs to the access mode.
    pub basic: Option<BasicPair>,
    /// The bearer token, if one belongs to the access mode.
    pub bearer: Option<BearerToken>,
    /// The token for the App API.
    pub app_token: AppToken,
}

/// A user name and a password.
#[derive(Debug, Clone)]
pub struct BasicPair {
    /// The user name, 10 letters and digits.
    pub user: BasicUser,
    /// The password, 32 letters and digits.
    pub password: BasicPassword,
}

impl ConnectionCredentials {
    /// The user name, or nothing if there is no Basic pair.
    pub fn user(&self) -> &str {
        self.basic.as_ref().map_or("", |pair| pair.user.expose())
    }

    /// The password, or nothing if there is no Basic pair.
    pub fn password(&self) -> &str {
        self.basic
            .as_ref()
            .map_or("", |pair| pair.password.expose())
    }

    /// The bearer token, or nothing if there is none.
    pub fn bearer(&self) -> &str {
        self.bearer.as_ref().map_or("", |token| token.expose())
    }

    fn hashes(&self, access: AccessMode) -> CredentialHashes {
        let basic = self
            .basic
            .as_ref()
            .map(|pair| BasicHash::of(pair.user.expose(), pair.password.expose()));
        let bearer = self.bearer.as_ref().map(BearerToken::hash);
        CredentialHashes {
            label: self.label.hash(),
            app_token: self.app_token.hash(),
            access: AccessHashes::new(access, basic, bearer)
                .expect("the credentials were made for this access mode"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::chance::SeededChance;
    use crate::clock::FixedClock;

    #[test]
    fn portal_gives_credentials_unless_both_agree_on_none() {
        // Word, mode if the operator does not allow none, mode if it does.
        let table = [
            (None, AccessMode::Enhanced, AccessMode::Enhanced),
            (Some(""), AccessMode::Enhanced, AccessMode::Enhanced),
            (Some("none"), AccessMode::Enhanced, AccessMode::None),
            (Some("None"), AccessMode::Enhanced, AccessMode::None),
            (Some(" simple "), AccessMode::Enhanced, AccessMode::None),
            (Some("SIMPLE"), AccessMode::Enhanced, AccessMode::None),
            (Some("basic"), AccessMode::Enhanced, AccessMode::Enhanced),
            (Some("bearer"), AccessMode::Enhanced, AccessMode::Enhanced),
            (Some("enhanced"), AccessMode::Enhanced, AccessMode::Enhanced),
            (Some("nothing"), AccessMode::Enhanced, AccessMode::Enhanced),
        ];
        for (word, refused, allowed) in table {
            assert_eq!(AccessMode::from_auth_type(word, false), refused, "{word:?}");
            assert_eq!(AccessMode::from_auth_type(word, true), allowed, "{word:?}");
        }
    }

    #[test]
    fn kept_words_read_back() {
        for mode in AccessMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for reason in EndReason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(reason));
        }
        assert!("simple".parse::<AccessMode>().is_err());
        assert!("lost".parse::<EndReason>().is_err());
    }

    fn make(access: AccessMode, seed: u64) -> (AppConnection, ConnectionCredentials) {
        let chance = SeededChance::new(seed);
        let clock = FixedClock::new(Timestamp::from_millis(5_000));
        NewAppConnection {
            account: AccountId::generate(&chance),
            printer: PrinterId::generate(&chance),
            app: AppId::parse("octopod").unwrap(),
            app_name: AppName::parse("OctoPod").unwrap(),
            access,
            scope: KeyScope::Full,
        }
        .generate(&chance, &clock)
    }

    fn ended(connection: &AppConnection) -> AppConnection {
        AppConnection {
            state: AppConnectionState::Ended {
                reason: EndReason::Revoked,
                at: Timestamp::from_millis(6_000).plus(Duration::from_secs(1)),
            },
            ..connection.clone()
        }
    }

    /// What callers may present, and which modes it is right for.
    fn presented<'a>(
        own: &'a ConnectionCredentials,
        other: &'a ConnectionCredentials,
    ) -> Vec<(&'static str, PresentedCredential<'a>, Option<AdmittedBy>)> {
        use PresentedCredential::{Basic, Bearer, Nothing, Unreadable};
        let (user, password) = (own.user(), own.password());
        vec![
            ("nothing", Nothing, None),
            ("unreadable", Unreadable, None),
            (
                "own pair",
                Basic { user, password },
                Some(AdmittedBy::Basic),
            ),
            ("own token", Bearer(own.bearer()), Some(AdmittedBy::Bearer)),
            (
                "other's pair",
                Basic {
                    user: other.user(),
                    password: other.password(),
                },
                None,
            ),
            (
                "wrong user",
                Basic {
                    user: other.user(),
                    password,
                },
                None,
            ),
            (
                "wrong password",
                Basic {
                    user,
                    password: other.password(),
                },
                None,
            ),
            (
                "swapped pair",
                Basic {
                    user: password,
                    password: user,
                },
                None,
            ),
            (
                "empty pair",
                Basic {
                    user: "",
                    password: "",
                },
                None,
            ),
            (
                "token as password",
                Basic {
                    user,
                    password: own.bearer(),
                },
                None,
            ),
            ("other's token", Bearer(other.bearer()), None),
            ("password as token", Bearer(password), None),
            ("empty token", Bearer(""), None),
            ("App token as token", Bearer(own.app_token.expose()), None),
            ("label as token", Bearer(own.label.expose()), None),
        ]
    }

    /// The order of checks, said once more and independently of the code.
    fn expected(live: bool, owner: OwnerStanding, right: bool) -> Result<(), Refusal> {
        match (live, right) {
            (false, true) => Err(Refusal::Ended),
            (false, false) => Err(Refusal::NotFound),
            (true, _) if owner != OwnerStanding::Entitled => Err(Refusal::OwnerNotEntitled),
            (true, false) => Err(Refusal::Unauthorized),
            (true, true) => Ok(()),
        }
    }

    #[test]
    fn calls_are_admitted_and_refused_in_the_contracted_order() {
        let standings = [
            OwnerStanding::Entitled,
            OwnerStanding::Suspended,
            OwnerStanding::PlanWithout,
        ];
        let (_, other) = make(AccessMode::Enhanced, 99);
        for access in AccessMode::ALL {
            let (live, own) = make(access, 1);
            let tombstone = ended(&live);
            for (what, credential, by) in presented(&own, &other) {
                let by = match access {
                    AccessMode::None => Some(AdmittedBy::Hostname),
                    AccessMode::Basic => by.filter(|by| *by == AdmittedBy::Basic),
                    AccessMode::Bearer => by.filter(|by| *by == AdmittedBy::Bearer),
                    AccessMode::Enhanced => by,
                };
                for owner in standings {
                    for (connection, is_live) in [(&live, true), (&tombstone, false)] {
                        let answer = connection.admit(credential, owner);
                        let context = format!("{access} {what} {owner:?} live={is_live}");
                        assert_eq!(
                            answer.map(|_| ()),
                            expected(is_live, owner, by.is_some()),
                            "{context}"
                        );
                        if let Ok(admitted) = answer {
                            assert_eq!(Some(admitted.by), by, "{context}");
                            assert_eq!(Some(admitted.connection), live.live(), "{context}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn zero_hash_of_an_unknown_label_matches_nothing() {
        let (_, own) = make(AccessMode::Enhanced, 1);
        for (_, credential, _) in presented(&own, &own) {
            assert_eq!(refuse_unknown(credential), Refusal::NotFound);
        }
    }

    #[test]
    fn app_token_tells_ended_and_not_entitled() {
        let (live, _) = make(AccessMode::Enhanced, 1);
        assert_eq!(
            live.admit_app_token(OwnerStanding::Entitled),
            Ok(live.live().unwrap())
        );
        assert_eq!(
            live.admit_app_token(OwnerStanding::Suspended),
            Err(Refusal::OwnerNotEntitled)
        );
        assert_eq!(
            ended(&live).admit_app_token(OwnerStanding::Suspended),
            Err(Refusal::Ended)
        );
    }

    #[test]
    fn refusals_have_their_statuses() {
        let table = [
            (Refusal::NotFound, 603),
            (Refusal::Ended, 604),
            (Refusal::OwnerNotEntitled, 605),
            (Refusal::Unauthorized, 606),
        ];
        for (refusal, code) in table {
            assert_eq!(refusal.status().code(), code);
        }
    }

    #[test]
    fn standing_is_lost_by_suspension_or_plan() {
        let table = [
            (false, true, OwnerStanding::Entitled),
            (false, false, OwnerStanding::PlanWithout),
            (true, true, OwnerStanding::Suspended),
            (true, false, OwnerStanding::Suspended),
        ];
        for (suspended, plan_allows, standing) in table {
            assert_eq!(OwnerStanding::of(suspended, plan_allows), standing);
        }
    }

    #[test]
    fn mode_gets_exactly_its_credentials() {
        for access in AccessMode::ALL {
            let (connection, credentials) = make(access, 3);
            assert_eq!(credentials.user().is_empty(), !access.has_basic());
            assert_eq!(credentials.password().is_empty(), !access.has_basic());
            assert_eq!(credentials.bearer().is_empty(), !access.has_bearer());
            assert_eq!(connection.hashes.access.mode(), access);
            assert_eq!(connection.hashes.label, credentials.label.hash());
            assert_eq!(connection.hashes.app_token, credentials.app_token.hash());
            let live = connection.live().unwrap();
            assert_eq!(live.created, Timestamp::from_millis(5_000));
        }
    }

    #[test]
    fn hashes_that_do_not_belong_to_the_mode_are_refused() {
        let basic = Some(BasicHash::of("u", "p"));
        let bearer = Some(BearerHash::of("t"));
        for mode in AccessMode::ALL {
            for (basic, bearer) in [(None, None), (basic, None), (None, bearer), (basic, bearer)] {
                let fits =
                    basic.is_some() == mode.has_basic() && bearer.is_some() == mode.has_bearer();
                let hashes = AccessHashes::new(mode, basic, bearer);
                assert_eq!(hashes.is_some(), fits, "{mode}");
                if let Some(hashes) = hashes {
                    assert_eq!((hashes.basic(), hashes.bearer()), (basic, bearer));
                }
            }
        }
    }

    #[test]
    fn nothing_prints_a_credential() {
        let (connection, own) = make(AccessMode::Enhanced, 5);
        let pair = PresentedCredential::Basic {
            user: own.user(),
            password: own.password(),
        };
        let bearer = PresentedCredential::Bearer(own.bearer());
        let shown = format!("{connection:?} {own:?} {pair:?} {bearer:?}");
        for secret in [
            own.label.expose(),
            own.user(),
            own.password(),
            own.bearer(),
            own.app_token.expose(),
        ] {
            assert!(!shown.contains(secret));
            assert!(!shown.contains(&secret[secret.len() - 6..]));
        }
    }
}
