//! One line of G-code: a letter and number that command something, words with values, a comment.
//! Never fails: what makes no sense is simply not there, as on a printer that echoes and goes on.

/// One line, taken apart.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Line {
    /// `G1`, `M104`, `T0`: the letter in upper case and the number.
    pub(crate) command: Option<(char, u16)>,
    words: Vec<(char, Option<f64>)>,
    /// What follows the command, as written: the text of `M117`.
    pub(crate) text: String,
    pub(crate) remark: Option<Remark>,
}

/// What a slicer's comment tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Remark {
    /// A new layer, with its number if the slicer writes one (counted from 0).
    Layer(Option<u32>),
    LayerCount(u32),
    /// The whole print in seconds.
    TotalSeconds(f64),
}

/// Longer lines are no G-code; a printer's own buffer is far smaller.
pub(crate) const LONGEST_LINE: usize = 1024;

impl Line {
    pub(crate) fn parse(raw: &[u8]) -> Self {
        let raw = &raw[..raw.len().min(LONGEST_LINE)];
        let text = String::from_utf8_lossy(raw);
        let (code, comment) = match text.split_once(';') {
            Some((code, comment)) => (code, Some(comment)),
            None => (text.as_ref(), None),
        };
        let code = strip_checksum(code.trim());
        let mut line = Self {
            remark: comment.and_then(Remark::parse),
            ..Self::default()
        };
        line.read_code(code);
        line
    }

    fn read_code(&mut self, code: &str) {
        let mut rest = skip_line_number(code);
        let Some((letter, number, after)) = take_word(rest) else {
            return;
        };
        if !matches!(letter, 'G' | 'M' | 'T') {
            return;
        }
        let Some(number) = number.and_then(whole) else {
            return;
        };
        self.command = Some((letter, number));
        after.trim().clone_into(&mut self.text);
        rest = after;
        // Free text is no list of words: the E of "HELLO" must not extrude.
        if matches!((letter, number), ('M', 117 | 118 | 23 | 28 | 30)) {
            return;
        }
        while let Some((letter, value, after)) = take_word(rest) {
            self.words.push((letter, value));
            rest = after;
        }
    }

    /// The value of a word that has one.
    pub(crate) fn value(&self, letter: char) -> Option<f64> {
        self.words
            .iter()
            .find(|(l, _)| *l == letter)
            .and_then(|(_, value)| *value)
    }

    /// Whether the word is there, with or without a value (`G28 X`).
    pub(crate) fn has(&self, letter: char) -> bool {
        self.words.iter().any(|(l, _)| *l == letter)
    }
}

impl Remark {
    fn parse(comment: &str) -> Option<Self> {
        let comment = comment.trim();
        if comment == "LAYER_CHANGE"
            || comment == "CHANGE_LAYER"
            || comment == "BEFORE_LAYER_CHANGE"
        {
            // PrusaSlicer writes BEFORE_LAYER_CHANGE and LAYER_CHANGE for one layer.
            return (comment != "BEFORE_LAYER_CHANGE").then_some(Self::Layer(None));
        }
        let (name, value) = comment.split_once([':', '='])?;
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "layer" => Some(Self::Layer(value.parse().ok())),
            "layer_count" | "total layer number" | "total layers count" => {
                value.parse().ok().map(Self::LayerCount)
            }
            "time" => positive(value.parse().ok()?).map(Self::TotalSeconds),
            "estimated printing time (normal mode)"
            | "estimated printing time"
            | "total estimated time" => spoken_seconds(value).map(Self::TotalSeconds),
            _ => None,
        }
    }
}

/// `1d 2h 3m 4s` in any part, as `PrusaSlicer` and its descendants write it.
fn spoken_seconds(text: &str) -> Option<f64> {
    let mut total = 0.0;
    for part in text.split_whitespace() {
        let (number, unit) = part.split_at(
            part.len()
                .checked_sub(1)
                .filter(|at| part.is_char_boundary(*at))?,
        );
        let factor = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
    }
    positive(total)
}

fn positive(seconds: f64) -> Option<f64> {
    (seconds.is_finite() && seconds > 0.0 && seconds < 1.0e8).then_some(seconds)
}

fn skip_line_number(code: &str) -> &str {
    match take_word(code) {
        Some(('N', Some(_), rest)) => rest,
        _ => code,
    }
}

fn strip_checksum(code: &str) -> &str {
    match code.rsplit_once('*') {
        Some((before, sum))
            if !sum.is_empty() && sum.trim().bytes().all(|b| b.is_ascii_digit()) =>
        {
            before.trim_end()
        }
        _ => code,
    }
}

fn whole(number: f64) -> Option<u16> {
    // `G29.1` is another command than `G29`, and none that is known here.
    (0.0..=9999.0)
        .contains(&number)
        .then(|| format!("{number}").parse().ok())
        .flatten()
}

/// The next letter with the number behind it, and what follows.
fn take_word(text: &str) -> Option<(char, Option<f64>, &str)> {
    let start = text.find(|c: char| c.is_ascii_alphabetic())?;
    let letter = text[start..].chars().next()?.to_ascii_uppercase();
    let tail = text[start + 1..].trim_start_matches([' ', '\t']);
    let end = tail
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
        .unwrap_or(tail.len());
    let value = tail[..end].parse::<f64>().ok().filter(|v| v.abs() < 1.0e9);
    if value.is_none() {
        return Some((letter, None, &text[start + 1..]));
    }
    Some((letter, value, &tail[end..]))
}

#[cfg(test)]
mod tests {
    use super::{Line, Remark};

    fn command(text: &str) -> Option<(char, u16)> {
        Line::parse(text.as_bytes()).command
    }

    #[test]
    fn commands_are_found_however_they_are_written() {
        for (text, expected) in [
            ("G1 X1", Some(('G', 1))),
            ("  g01x1", Some(('G', 1))),
            ("N12 M104 S200*33", Some(('M', 104))),
            ("M117 Hello E5", Some(('M', 117))),
            ("T0", Some(('T', 0))),
            ("; G1 X1", None),
            ("", None),
            ("X10", None),
            ("G", None),
            ("G29.1", None),
            ("%", None),
        ] {
            assert_eq!(command(text), expected, "{text:?}");
        }
    }

    #[test]
    fn words_have_values_and_flags_have_none() {
        let line = Line::parse(b"G1 X10.5 Y-.25E+3 F1200 ; home");
        assert_eq!(line.value('X'), Some(10.5));
        assert_eq!(line.value('Y'), Some(-0.25));
        assert_eq!(line.value('E'), Some(3.0));
        assert_eq!(line.value('F'), Some(1200.0));
        let home = Line::parse(b"G28 X Y");
        assert!(home.has('X') && home.has('Y') && !home.has('Z'));
        assert_eq!(home.value('X'), None);
    }

    #[test]
    fn display_text_is_no_list_of_words() {
        let line = Line::parse(b"M117 Layer 3 of 9 E5");
        assert_eq!(line.text, "Layer 3 of 9 E5");
        assert!(!line.has('E'));
    }

    #[test]
    fn remarks_of_common_slicers_are_understood() {
        for (text, expected) in [
            (";LAYER:12", Some(Remark::Layer(Some(12)))),
            (";LAYER_CHANGE", Some(Remark::Layer(None))),
            ("; CHANGE_LAYER", Some(Remark::Layer(None))),
            (";BEFORE_LAYER_CHANGE", None),
            (";LAYER_COUNT:120", Some(Remark::LayerCount(120))),
            ("; total layer number: 44", Some(Remark::LayerCount(44))),
            (";TIME:1234.5", Some(Remark::TotalSeconds(1234.5))),
            (
                "; estimated printing time (normal mode) = 1h 2m 3s",
                Some(Remark::TotalSeconds(3723.0)),
            ),
            ("; estimated printing time (normal mode) = soon", None),
            (";TIME:-1", None),
        ] {
            assert_eq!(Line::parse(text.as_bytes()).remark, expected, "{text:?}");
        }
    }

    /// The body of a fuzz target: whatever comes, a line is read and nothing panics.
    fn read_anything(bytes: &[u8]) {
        for piece in bytes.split(|b| *b == b'\n') {
            let line = Line::parse(piece);
            assert!(line.text.len() <= super::LONGEST_LINE * 3);
            for letter in 'A'..='Z' {
                assert!(line.value(letter).is_none_or(f64::is_finite));
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let corpus: &[&[u8]] = &[
            b"",
            b"\xff\xfe",
            "G1 Xé5 ;LAYER:é".as_bytes(),
            b"G1 X1e999 Y--3 Z.+",
            b"N*",
            b"*12",
            b";=",
            b"G99999999999",
            b"M73 P R",
        ];
        for bytes in corpus {
            read_anything(bytes);
        }
        let mut chance = crate::chance::Chance::new(3);
        let alphabet = b"GMTNXYZEF0123456789.-+*;: =\n\xc3\xa9LAYERdhms";
        for _ in 0..4_000 {
            let bytes: Vec<u8> = (0..chance.next_u64() % 48)
                .map(|_| {
                    let pick = usize::try_from(chance.next_u64() % 1_000).unwrap();
                    alphabet
                        .get(pick % (alphabet.len() + 2))
                        .copied()
                        .unwrap_or_else(|| pick.to_le_bytes()[0])
                })
                .collect();
            read_anything(&bytes);
        }
    }
}
