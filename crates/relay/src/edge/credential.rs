//! What a caller presents in `Authorization`.

use data_encoding::{BASE64, BASE64_NOPAD};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use latchkey_model::app_connection::PresentedCredential;
use zeroize::Zeroizing;

/// A credential taken out of a request; wiped when dropped.
pub(super) enum Credential {
    Nothing,
    /// `user:password`, decoded.
    Basic(Zeroizing<String>),
    Bearer(Zeroizing<String>),
    Unreadable,
}

impl Credential {
    /// Takes the field out: it is the relay's and never goes further.
    pub(super) fn take(headers: &mut HeaderMap) -> Self {
        let found = {
            let mut values = headers.get_all(AUTHORIZATION).iter();
            match (values.next(), values.next()) {
                (None, _) => Self::Nothing,
                (Some(value), None) => value.to_str().map_or(Self::Unreadable, Self::read),
                (Some(_), Some(_)) => Self::Unreadable,
            }
        };
        headers.remove(AUTHORIZATION);
        found
    }

    fn read(value: &str) -> Self {
        let Some((scheme, rest)) = value.trim().split_once(' ') else {
            return Self::Unreadable;
        };
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::Bearer(Zeroizing::new(rest.to_owned()));
        }
        if scheme.eq_ignore_ascii_case("basic") {
            return decode(rest).map_or(Self::Unreadable, Self::Basic);
        }
        Self::Unreadable
    }

    pub(super) fn presented(&self) -> PresentedCredential<'_> {
        match self {
            Self::Nothing => PresentedCredential::Nothing,
            Self::Unreadable => PresentedCredential::Unreadable,
            Self::Bearer(token) => PresentedCredential::Bearer(token),
            Self::Basic(pair) => match pair.split_once(':') {
                Some((user, password)) => PresentedCredential::Basic { user, password },
                None => PresentedCredential::Unreadable,
            },
        }
    }
}

/// Padding is optional in the wild.
fn decode(text: &str) -> Option<Zeroizing<String>> {
    let bytes = BASE64
        .decode(text.as_bytes())
        .or_else(|_| BASE64_NOPAD.decode(text.as_bytes()))
        .ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        let credential = Credential::take(&mut headers);
        assert!(headers.is_empty(), "the field must not go further");
        match credential.presented() {
            PresentedCredential::Nothing => "nothing".to_owned(),
            PresentedCredential::Basic { user, password } => format!("{user}/{password}"),
            PresentedCredential::Bearer(token) => token.to_owned(),
            PresentedCredential::Unreadable => "unreadable".to_owned(),
        }
    }

    #[test]
    fn both_schemes_are_read_in_any_letter_case() {
        for (values, expected) in [
            (&[][..], "nothing"),
            (&["Basic dXNlcjpwYXNz"][..], "user/pass"),
            (&["bAsIc dXNlcjpwYXNz"][..], "user/pass"),
            (&["Basic dXNlcjpwYTpzcw=="][..], "user/pa:ss"),
            (&["Basic dXNlcjpwYTpzcw"][..], "user/pa:ss"),
            (&["Bearer abc"][..], "abc"),
            (&["BEARER  abc "][..], "abc"),
            (&["Basic ???"][..], "unreadable"),
            (&["Basic dXNlcg=="][..], "unreadable"),
            (&["Digest x"][..], "unreadable"),
            (&["Bearer"][..], "unreadable"),
            (&["Bearer a", "Bearer a"][..], "unreadable"),
        ] {
            assert_eq!(read(values), expected, "{values:?}");
        }
    }
}
