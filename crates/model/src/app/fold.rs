//! What names of apps are compared by, so that none can pass for another.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::confusable_detection::skeleton;

/// Shortest registered name that is looked for inside longer ones.
const INSIDE: usize = 5;

/// The form of a name in which names that look alike are equal. It is compared, never shown.
///
/// The rule: compatibility forms are taken apart and accents dropped (NFKD), each letter becomes
/// the one it looks like in any script (the skeleton of UTS 39), case is dropped, digits that pass
/// for letters become them (`0` is `o`, `1` and `i` are `l`, `3` is `e`, `4` is `a`, `5` is `s`,
/// `8` is `b`, `vv` is `w`), and whatever is neither letter nor digit is left out, unless there is nothing
/// else. That makes some honest names equal; what it costs them is a sentence on a page.
pub fn fold(text: &str) -> String {
    // Twice: lower case brings letters that look like others again.
    let once = without_case(&skeleton(&bare(text)).collect::<String>());
    let twice = without_case(&skeleton(&bare(&once)).collect::<String>());
    let letters = twice.chars().filter_map(|c| match c {
        'i' | '1' => Some('l'),
        '0' => Some('o'),
        '3' => Some('e'),
        '4' | '@' => Some('a'),
        '5' | '$' => Some('s'),
        '8' => Some('b'),
        c => c.is_alphanumeric().then_some(c),
    });
    let letters = letters.collect::<String>().replace("vv", "w");
    if letters.is_empty() { twice } else { letters }
}

/// Whether a name's fold is another's, or has it in it.
pub(super) fn resembles(folded: &str, known: &str) -> bool {
    (folded == known && !known.is_empty())
        || (known.chars().count() >= INSIDE && folded.contains(known))
}

fn bare(text: &str) -> String {
    text.nfkd().filter(|c| !is_combining_mark(*c)).collect()
}

fn without_case(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_equal() {
        for (name, others) in [
            (
                "OctoPod",
                &[
                    "octopod",
                    "OCTOPOD",
                    "Octo Pod",
                    "octo-pod",
                    "Octo_Pod!?.",
                    "0ct0p0d",
                    "Оctорod",
                    "ΟctοΡοd",
                    "Öctöpöd",
                    "ｏｃｔｏｐｏｄ",
                    "Octo\u{200b}Pod",
                    "𝐎𝐜𝐭𝐨𝐏𝐨𝐝",
                ][..],
            ),
            (
                "Mobileraker",
                &[
                    "MobiIeraker",
                    "Mobi1eraker",
                    "Mobilerаker",
                    "M0bileraker",
                    "mobi leraker",
                    "rnobileraker",
                    "Mobil3raker",
                ],
            ),
            ("Swift", &["5wift", "Svvift", "SWlFT", "SWІFT"]),
        ] {
            for other in others {
                assert_eq!(fold(name), fold(other), "{other}");
            }
        }
    }

    #[test]
    fn honest_names_stay_different() {
        let names = [
            "OctoPod",
            "OctoApp",
            "Mobileraker",
            "Centauri Link",
            "Fieldglass",
            "Spool Butler",
            "プリンター",
            "打印机",
        ];
        for (at, one) in names.iter().enumerate() {
            assert!(!fold(one).is_empty(), "{one}");
            for other in &names[at + 1..] {
                assert_ne!(fold(one), fold(other));
            }
        }
    }

    #[test]
    fn symbols_stand_for_themselves() {
        assert_eq!(fold("★ ★"), fold("★ ★"));
        assert_ne!(fold("★★"), fold("♥♥"));
        assert_ne!(fold("★★"), fold("!!!"));
        assert_ne!(fold("★★"), fold("OctoPod"));
        assert_eq!(fold("★OctoPod★"), fold("OctoPod"));
    }

    #[test]
    fn names_are_found_inside_others_unless_they_are_short() {
        let alike = |text: &str, known: &str| resembles(&fold(text), &fold(known));
        assert!(alike("com.octopod.app", "OctoPod"));
        assert!(alike("OctoPod official", "OctoPod"));
        assert!(!alike("Octop", "OctoPod"));
        assert!(!alike("printer-app", "Prin"));
        assert!(alike("PRIN", "prin"));
    }
}
