//! Alphabets, and what text from people may contain.

/// RFC 4648 base32 in lower case: survives DNS, file names and being read aloud.
pub(crate) const BASE32_LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
/// What a connection label is made of.
pub(crate) const BASE36_LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// What a printer id is made of.
pub(crate) const BASE36_UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// ASCII letters and digits.
pub(crate) const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether a character may not be in a name that people read: control characters, line breaks,
/// and the marks that reorder text so that one name looks like another.
pub(crate) fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left after trimming.
    #[error("it is empty")]
    Empty,
    /// It has more characters than allowed.
    #[error("it has more than {0} characters")]
    TooLong(usize),
    /// It has a control character, a line break or a mark that reorders text.
    #[error("it has characters that cannot be shown safely")]
    Misleading,
}

/// The trimmed text, if people can be shown it as a name of at most `longest` characters.
pub(crate) fn name(text: &str, longest: usize) -> Result<String, NameError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.chars().count() > longest {
        return Err(NameError::TooLong(longest));
    }
    if text.chars().any(misleads) {
        return Err(NameError::Misleading);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_bounded_and_readable() {
        let cases = [
            ("Prusa MK4", Ok("Prusa MK4")),
            ("  im Keller \n", Ok("im Keller")),
            ("プリンター 🖨️", Ok("プリンター 🖨️")),
            ("12345678", Ok("12345678")),
            ("ääääääää", Ok("ääääääää")),
            ("", Err(NameError::Empty)),
            (" \t ", Err(NameError::Empty)),
            ("a\nb", Err(NameError::Misleading)),
            ("a\0b", Err(NameError::Misleading)),
            ("a\u{202e}b", Err(NameError::Misleading)),
            ("a\u{2066}b", Err(NameError::Misleading)),
            ("a\u{200f}b", Err(NameError::Misleading)),
            ("a\u{2028}b", Err(NameError::Misleading)),
        ];
        for (text, expected) in cases {
            assert_eq!(name(text, 12), expected.map(str::to_owned), "{text:?}");
        }
        assert_eq!(name("ääääääääää", 9), Err(NameError::TooLong(9)));
    }
}
