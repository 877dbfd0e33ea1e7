//! Alphabets, and what text from people may contain.

use unicode_normalization::UnicodeNormalization;

/// RFC 4648 base32 in lower case: survives DNS, file names and being read aloud.
pub(crate) const BASE32_LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
/// What a connection label is made of.
pub(crate) const BASE36_LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// What a printer id is made of.
pub(crate) const BASE36_UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// Hexadecimal digits as `OctoPrint` writes keys.
pub(crate) const HEX_UPPER: &[u8] = b"0123456789ABCDEF";
/// ASCII letters and digits.
pub(crate) const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// URL-safe base64 without padding (RFC 4648 section 5).
pub(crate) const BASE64_URL: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Whether a character may not be in a name that people read: control characters, line breaks,
/// and the marks that reorder text so that one name looks like another.
pub(crate) fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether a character cannot be seen: it would make two names look the same.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{3164}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// What is left of a text from anybody when nothing in it can mislead: composed (NFC), without
/// control, reordering and invisible characters, every run of blanks one space, trimmed.
pub(crate) fn clean(text: &str) -> String {
    let shown = text.nfc().filter_map(|c| match c {
        c if c.is_whitespace() => Some(' '),
        c if misleads(c) || is_invisible(c) => None,
        c => Some(c),
    });
    let shown: String = shown.collect();
    // Once more: what stood between two characters that compose is gone.
    let words: Vec<&str> = shown.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ").nfc().collect()
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
    fn cleaned_text_shows_all_it_has() {
        for (text, cleaned) in [
            ("Fieldglass", "Fieldglass"),
            ("  Field \t\n glass ", "Field glass"),
            ("a\0b\u{1b}[31mc", "ab[31mc"),
            ("Octo\u{200b}Pod", "OctoPod"),
            ("\u{202e}doPotcO", "doPotcO"),
            ("e\u{301}", "\u{e9}"),
            ("e\u{200b}\u{301}", "\u{e9}"),
            ("<script>'\"`${x}", "<script>'\"`${x}"),
            ("\u{e0041}x", "x"),
            ("\u{200b}", ""),
        ] {
            assert_eq!(clean(text), cleaned, "{text:?}");
            assert_eq!(clean(cleaned), cleaned);
        }
    }

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
