//! Pictures of a webcam, made so that a whole one can be told from a broken one.

use bytes::{BufMut as _, Bytes, BytesMut};

const START: [u8; 2] = [0xFF, 0xD8];
const END: [u8; 2] = [0xFF, 0xD9];
/// Start, number, the same number, end.
const LEAST: usize = 20;

/// What separates pictures.
pub const BOUNDARY: &str = "latchkey-bench";

/// Picture `number`, of `size` bytes, with the lines that lead it in.
pub fn part(number: u64, size: usize, noise: &Bytes) -> Bytes {
    let size = size.max(LEAST);
    let mut part = BytesMut::with_capacity(size + 128);
    let head =
        format!("--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {size}\r\n\r\n");
    part.put_slice(head.as_bytes());
    part.put_slice(&START);
    part.put_u64(number);
    let mut left = size - LEAST;
    while left > 0 {
        let piece = noise.slice(..noise.len().min(left));
        left -= piece.len();
        part.put_slice(&piece);
    }
    part.put_u64(number);
    part.put_slice(&END);
    part.put_slice(b"\r\n");
    part.freeze()
}

/// Finds whole pictures in what arrives.
#[derive(Debug, Default)]
pub struct Finder {
    buffer: BytesMut,
    /// Whole ones.
    pub whole: u64,
    /// Those whose beginning and end are of different pictures, or none.
    pub broken: u64,
}

impl Finder {
    /// Takes what arrived.
    pub fn take(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while let Some((start, length)) = next(&self.buffer) {
            if self.buffer.len() < start + length {
                return;
            }
            let part = self.buffer.split_to(start + length);
            if is_whole(&part[start..]) {
                self.whole += 1;
            } else {
                self.broken += 1;
            }
        }
    }
}

/// Where the next picture begins, and how long it is.
fn next(buffer: &[u8]) -> Option<(usize, usize)> {
    let blank = buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&buffer[..blank]).unwrap_or_default();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let wanted = name.eq_ignore_ascii_case("content-length");
        wanted.then(|| value.trim().parse().ok()).flatten()
    });
    // A part that does not say its length is none of ours: counted as broken.
    Some((blank + 4, length.unwrap_or(0)))
}

fn is_whole(picture: &[u8]) -> bool {
    picture.len() >= LEAST
        && picture.starts_with(&START)
        && picture.ends_with(&END)
        && picture[2..10] == picture[picture.len() - 10..picture.len() - 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::noise;

    #[test]
    fn whole_pictures_are_found_however_they_arrive() {
        let noise = noise();
        let stream: Vec<u8> = (0..5)
            .flat_map(|number| part(number, 100_000, &noise).to_vec())
            .collect();
        for piece in [1_000, 7, stream.len()] {
            let mut finder = Finder::default();
            stream.chunks(piece).for_each(|bytes| finder.take(bytes));
            assert_eq!(
                (finder.whole, finder.broken),
                (5, 0),
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn a_picture_made_of_two_is_broken() {
        let noise = noise();
        let (one, two) = (part(1, 1_000, &noise), part(2, 1_000, &noise));
        let mut finder = Finder::default();
        finder.take(&one[..one.len() / 2]);
        finder.take(&two[two.len() / 2..]);
        assert_eq!((finder.whole, finder.broken), (0, 1));
    }
}
