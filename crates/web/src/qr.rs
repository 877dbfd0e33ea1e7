//! QR codes of short links, for pages and terminals.

use std::fmt::Write as _;

use fast_qr::{ECL, QRBuilder, QRCode};

/// Light modules around the code, without which readers do not find it.
const QUIET: usize = 4;

/// A text as a QR code.
pub struct Qr(QRCode);

impl Qr {
    /// The code of a text; none if it is too long for one.
    pub fn of(text: &str) -> Option<Self> {
        QRBuilder::new(text).ecl(ECL::M).build().ok().map(Self)
    }

    /// A picture, dark on white in every scheme, as an element to be put into a page. Nothing of
    /// the text is in it as text.
    pub fn svg(&self, label: &str) -> String {
        let whole = self.0.size + 2 * QUIET;
        let mut path = String::new();
        for y in 0..self.0.size {
            let mut x = 0;
            while x < self.0.size {
                let begin = x;
                while x < self.0.size && self.is_dark(x, y) {
                    x += 1;
                }
                if x > begin {
                    let (left, top, run) = (begin + QUIET, y + QUIET, x - begin);
                    let _ = write!(path, "M{left} {top}h{run}v1h-{run}z");
                }
                x += 1;
            }
        }
        let label: String = label.chars().filter(|c| !"<>&\"'".contains(*c)).collect();
        format!(
            "<svg class=\"qr\" role=\"img\" aria-label=\"{label}\" width=\"184\" height=\"184\" \
             viewBox=\"0 0 {whole} {whole}\" shape-rendering=\"crispEdges\">\
             <path fill=\"#fff\" stroke=\"none\" d=\"M0 0h{whole}v{whole}H0z\"/>\
             <path fill=\"#000\" stroke=\"none\" d=\"{path}\"/></svg>"
        )
    }

    /// Lines for a terminal, two rows of modules in each, black on white whatever its colours are.
    pub fn terminal(&self) -> String {
        let size = self.0.size.cast_signed();
        let quiet = QUIET.cast_signed();
        let mut text = String::new();
        for y in (-quiet..size + quiet).step_by(2) {
            text.push_str("\x1b[30;107m");
            for x in -quiet..size + quiet {
                text.push(match (self.at(x, y), self.at(x, y + 1)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push_str("\x1b[0m\n");
        }
        text
    }

    /// Whether a module is dark; outside all are light.
    fn at(&self, x: isize, y: isize) -> bool {
        match (usize::try_from(x), usize::try_from(y)) {
            (Ok(x), Ok(y)) if x < self.0.size && y < self.0.size => self.is_dark(x, y),
            _ => false,
        }
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        self.0[y][x].value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://relay.example.com/pair?code=BCDF-GHJK";

    #[test]
    fn a_code_has_its_finders_and_a_quiet_zone() {
        let qr = Qr::of(LINK).unwrap();
        let size = qr.0.size.cast_signed();
        for (x, y) in [(0, 0), (size - 7, 0), (0, size - 7)] {
            for step in 0..7 {
                let edge = [
                    (x + step, y),
                    (x + step, y + 6),
                    (x, y + step),
                    (x + 6, y + step),
                ];
                assert!(edge.iter().all(|&(x, y)| qr.at(x, y)), "finder at {x}, {y}");
            }
            assert!(!qr.at(x + 1, y + 1), "ring at {x}, {y}");
        }
        let lines: Vec<String> = qr.terminal().lines().map(str::to_owned).collect();
        let blank = " ".repeat(qr.0.size + 2 * QUIET);
        assert!(lines[0].contains(&blank) && lines[1].contains(&blank));
        assert!(lines.iter().all(|line| line.ends_with("\x1b[0m")));
    }

    #[test]
    fn the_picture_is_dark_on_white_and_says_nothing_of_its_own() {
        let svg = Qr::of(LINK).unwrap().svg("A \"code\" <b>");
        assert!(svg.contains("fill=\"#fff\"") && svg.contains("fill=\"#000\""));
        assert!(svg.contains("aria-label=\"A code b\""));
        assert!(!svg.contains("BCDF") && !svg.contains("style"));
        assert!(Qr::of(&"x".repeat(5000)).is_none());
    }
}
