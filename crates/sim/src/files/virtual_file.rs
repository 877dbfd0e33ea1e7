//! Large files that are stored nowhere: every byte follows from its place, so that a download of any
//! length, whole or in parts, can be checked without a copy.

/// Every line has this many bytes, line end included.
const LINE: u64 = 64;
/// The largest file that is made up: 1 TiB.
const LARGEST: u64 = 1 << 40;

/// The size in a name `big-<bytes>.gcode`.
pub(crate) fn size_in_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("big-")?.strip_suffix(".gcode")?;
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|size| *size <= LARGEST)
}

/// Writes the bytes that stand at `offset` of every virtual file (they differ only in length).
pub fn fill_virtual_file(offset: u64, into: &mut [u8]) {
    let mut place = offset;
    let mut rest = into;
    while !rest.is_empty() {
        let line = line(place / LINE);
        let column = usize::try_from(place % LINE).unwrap_or(0);
        let part = (line.len() - column).min(rest.len());
        let (now, later) = rest.split_at_mut(part);
        now.copy_from_slice(&line[column..column + part]);
        place += u64::try_from(part).unwrap_or(0);
        rest = later;
    }
}

/// A comment with its own number in hexadecimal, so that a misplaced block is seen at once.
fn line(number: u64) -> [u8; 64] {
    let mut line = *b"; ................ a line of a file that is not stored anywhere\n";
    for (nibble, byte) in line[2..18].iter_mut().rev().enumerate() {
        *byte = b"0123456789abcdef"[usize::from((number >> (4 * nibble)).to_le_bytes()[0] & 15)];
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{fill_virtual_file, size_in_name};

    #[test]
    fn parts_fit_together_wherever_they_are_cut() {
        let mut whole = [0; 1_000];
        fill_virtual_file(0, &mut whole);
        for cut in [1, 63, 64, 65, 500] {
            let mut tail = vec![0; 1_000 - cut];
            fill_virtual_file(cut.try_into().unwrap(), &mut tail);
            assert_eq!(&whole[cut..], tail);
        }
        assert!(
            whole
                .chunks(64)
                .all(|line| line.len() < 64 || line[63] == b'\n')
        );
    }

    #[test]
    fn only_plain_sizes_are_taken_from_a_name() {
        assert_eq!(size_in_name("big-1048576.gcode"), Some(1_048_576));
        for other in [
            "big-.gcode",
            "big-1k.gcode",
            "big-1.gco",
            "big--1.gcode",
            "big-9999999999999999.gcode",
            "vase.gcode",
        ] {
            assert_eq!(size_in_name(other), None, "{other}");
        }
    }
}
