//! Whole frames out of a running picture (`multipart/x-mixed-replace`), without looking into them.
//!
//! Cameras write it in many ways: with and without lengths, with line feeds alone, with a boundary
//! that begins with the two dashes already. A host may be anybody's, so all of it is bounded.

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderValue;

/// The largest frame.
pub(super) const LARGEST_FRAME: usize = 4 * 1024 * 1024;
/// The longest fields of one frame, and what may stand before the first.
const LONGEST_HEAD: usize = 16 * 1024;
/// The longest boundary (RFC 2046 section 5.1.1 allows 70).
const LONGEST_BOUNDARY: usize = 200;
/// Blanks after a boundary.
const MOST_BLANKS: usize = 64;

/// Fields of a frame that go no further: its length is written anew, and a picture sets no cookie.
const DROPPED: [&str; 3] = ["content-length", "set-cookie", "set-cookie2"];

/// A stream is not what it says it is, or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the media type names no boundary")]
    Boundary,
    #[error("no frame begins")]
    NoFrame,
    #[error("the fields of a frame are too long, or contradict each other")]
    Head,
    #[error("a frame is too large")]
    TooLarge,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its fields, each with its line end, with the length among them.
    pub(super) fields: Bytes,
    /// Its media type, as it says.
    pub(super) kind: Option<Bytes>,
    pub(super) data: Bytes,
}

/// What stands between frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boundary(Bytes);

impl Boundary {
    /// The boundary that a media type names.
    pub(super) fn of(kind: &HeaderValue) -> Result<Self, Unreadable> {
        let kind = kind.to_str().map_err(|_| Unreadable::Boundary)?;
        let mut parameters = kind.split(';').skip(1);
        let named = parameters.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("boundary")
                .then(|| value.trim().trim_matches('"'))
        });
        let named = named.ok_or(Unreadable::Boundary)?;
        if named.is_empty() || named.len() > LONGEST_BOUNDARY {
            return Err(Unreadable::Boundary);
        }
        Ok(Self(Bytes::copy_from_slice(named.as_bytes())))
    }

    /// The line that we write.
    pub(super) fn line(&self) -> Vec<u8> {
        [b"--", &self.0[..], b"\r\n"].concat()
    }

    /// The last line that we write.
    pub(super) fn last_line(&self) -> Vec<u8> {
        [b"--", &self.0[..], b"--\r\n"].concat()
    }

    /// Whether a line of the boundary begins here.
    fn at(&self, bytes: &[u8]) -> At {
        let dashed = match bytes {
            [] | [b'-'] => return At::Unsure,
            [b'-', b'-', rest @ ..] => self.at_name(rest),
            _ => return At::Elsewhere,
        };
        match dashed {
            At::Elsewhere if self.0.starts_with(b"--") => self.at_name(bytes),
            At::Line { length, is_last } => At::Line {
                length: length + 2,
                is_last,
            },
            at => at,
        }
    }

    fn at_name(&self, bytes: &[u8]) -> At {
        let known = bytes.len().min(self.0.len());
        if bytes[..known] != self.0[..known] {
            return At::Elsewhere;
        }
        if known < self.0.len() {
            return At::Unsure;
        }
        let rest = &bytes[known..];
        let (is_last, rest) = match rest {
            [b'-', b'-', rest @ ..] => (true, rest),
            [b'-'] => return At::Unsure,
            rest => (false, rest),
        };
        let blanks = rest.iter().take_while(|byte| b" \t\r".contains(byte));
        let blanks = blanks.count();
        match rest.get(blanks) {
            _ if blanks > MOST_BLANKS => At::Elsewhere,
            Some(b'\n') => At::Line {
                length: bytes.len() - rest.len() + blanks + 1,
                is_last,
            },
            // Nothing has to follow the last one.
            None if is_last => At::Line {
                length: bytes.len(),
                is_last,
            },
            Some(_) => At::Elsewhere,
            None => At::Unsure,
        }
    }
}

/// Whether the boundary is somewhere.
enum At {
    Line {
        length: usize,
        is_last: bool,
    },
    Elsewhere,
    /// More has to come before it can be told.
    Unsure,
}

/// Reads frames out of the pieces of a stream.
pub(super) struct Parts {
    boundary: Boundary,
    read: BytesMut,
    /// Up to where the boundary was looked for.
    searched: usize,
    state: State,
}

enum State {
    /// Before the first boundary, or between the end of a frame and the next one.
    Between {
        most: usize,
    },
    Head,
    /// In a frame whose length is told.
    Counted(Head, usize),
    /// In a frame up to the next boundary.
    Open(Head),
    Over,
}

struct Head {
    fields: Vec<u8>,
    kind: Option<Bytes>,
    length: Option<usize>,
}

impl Parts {
    pub(super) fn new(boundary: Boundary) -> Self {
        Self {
            boundary,
            read: BytesMut::new(),
            searched: 0,
            state: State::Between { most: LONGEST_HEAD },
        }
    }

    /// Takes what has come.
    pub(super) fn push(&mut self, piece: &[u8]) {
        if !matches!(self.state, State::Over) {
            self.read.extend_from_slice(piece);
        }
    }

    /// Whether the stream said that it is over.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The next whole frame, if all of it has come.
    pub(super) fn next(&mut self) -> Result<Option<Part>, Unreadable> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Between { most } => {
                    self.state = State::Between { most };
                    if !self.skip(most)? {
                        return Ok(None);
                    }
                }
                State::Head => {
                    self.state = State::Head;
                    let Some(head) = self.head()? else {
                        return Ok(None);
                    };
                    self.state = match head.length {
                        Some(length) => State::Counted(head, length),
                        None => State::Open(head),
                    };
                }
                State::Counted(head, length) => {
                    if self.read.len() < length {
                        self.state = State::Counted(head, length);
                        return Ok(None);
                    }
                    self.state = State::Between {
                        most: LARGEST_FRAME,
                    };
                    return Ok(Some(self.part(head, length, length)));
                }
                State::Open(head) => {
                    let Some((end, length, is_last)) = self.find() else {
                        self.state = State::Open(head);
                        if self.read.len() > LARGEST_FRAME + LONGEST_BOUNDARY {
                            return Err(Unreadable::TooLarge);
                        }
                        return Ok(None);
                    };
                    if end > LARGEST_FRAME {
                        return Err(Unreadable::TooLarge);
                    }
                    self.state = after(is_last);
                    let data = without_line_end(&self.read[..end]);
                    return Ok(Some(self.part(head, data, end + length)));
                }
                State::Over => return Ok(None),
            }
        }
    }

    /// What the stream ended with: a frame whose end is the stream's own.
    pub(super) fn last(&mut self) -> Option<Part> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Open(head) if !self.read.is_empty() => {
                let all = self.read.len();
                let data = without_line_end(&self.read);
                (data <= LARGEST_FRAME).then(|| self.part(head, data, all))
            }
            _ => None,
        }
    }

    /// Goes to the next boundary. False if it has not come.
    fn skip(&mut self, most: usize) -> Result<bool, Unreadable> {
        let Some((start, length, is_last)) = self.find() else {
            if self.read.len() > most {
                return Err(Unreadable::NoFrame);
            }
            return Ok(false);
        };
        self.forward(start + length);
        self.state = after(is_last);
        Ok(true)
    }

    fn head(&mut self) -> Result<Option<Head>, Unreadable> {
        let mut start = 0;
        let mut lines: Vec<(usize, usize)> = Vec::new();
        let end = loop {
            let rest = self.read.get(start..).unwrap_or_default();
            let Some(feed) = rest.iter().position(|byte| *byte == b'\n') else {
                if self.read.len() > LONGEST_HEAD {
                    return Err(Unreadable::Head);
                }
                return Ok(None);
            };
            let line = start + without_line_end(&rest[..=feed]);
            let next = start + feed + 1;
            if next > LONGEST_HEAD {
                return Err(Unreadable::Head);
            }
            if line == start {
                break next;
            }
            lines.push((start, line));
            start = next;
        };
        let head = Head::read(lines.into_iter().map(|(from, to)| &self.read[from..to]))?;
        self.forward(end);
        Ok(Some(head))
    }

    /// Takes a frame out, with so much data, and goes on after `end`.
    fn part(&mut self, head: Head, data: usize, end: usize) -> Part {
        let bytes = Bytes::copy_from_slice(&self.read[..data]);
        self.forward(end);
        let mut fields = head.fields;
        if head.length.is_none() {
            fields.extend_from_slice(format!("Content-Length: {data}\r\n").as_bytes());
        }
        Part {
            fields: fields.into(),
            kind: head.kind,
            data: bytes,
        }
    }

    fn forward(&mut self, length: usize) {
        self.read.advance(length);
        self.searched = 0;
    }

    /// Where the next boundary begins at the beginning of a line, how long it is, and whether it
    /// is the last one.
    fn find(&mut self) -> Option<(usize, usize, bool)> {
        let mut from = self.searched;
        loop {
            let is_start = from == 0 || self.read.get(from - 1) == Some(&b'\n');
            if is_start {
                match self.boundary.at(&self.read[from..]) {
                    At::Line { length, is_last } => return Some((from, length, is_last)),
                    At::Unsure => {
                        self.searched = from;
                        return None;
                    }
                    At::Elsewhere => {}
                }
            }
            let rest = &self.read[from..];
            let Some(feed) = rest.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.read.len();
                return None;
            };
            from += feed + 1;
        }
    }
}

impl Head {
    fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Self, Unreadable> {
        let mut head = Self {
            fields: Vec::new(),
            kind: None,
            length: None,
        };
        for line in lines {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
            let is_text = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
            if !name.iter().all(u8::is_ascii_graphic) || !value.iter().all(is_text) {
                continue;
            }
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if is("content-length") {
                head.count(value)?;
            } else if !DROPPED.into_iter().any(is) {
                head.fields.extend_from_slice(line);
                head.fields.extend_from_slice(b"\r\n");
            }
            if is("content-type") && head.kind.is_none() {
                head.kind = Some(Bytes::copy_from_slice(value));
            }
        }
        Ok(head)
    }

    /// Takes a length, and keeps its place among the fields.
    fn count(&mut self, value: &[u8]) -> Result<(), Unreadable> {
        let value = std::str::from_utf8(value).ok();
        let length = value.and_then(|value| value.parse::<u64>().ok());
        // What is no number says nothing.
        let Some(length) = length else {
            return Ok(());
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        match self.length {
            Some(known) if known != length => return Err(Unreadable::Head),
            Some(_) => return Ok(()),
            None if length > LARGEST_FRAME => return Err(Unreadable::TooLarge),
            None => self.length = Some(length),
        }
        let line = format!("Content-Length: {length}\r\n");
        self.fields.extend_from_slice(line.as_bytes());
        Ok(())
    }
}

fn after(is_last: bool) -> State {
    if is_last { State::Over } else { State::Head }
}

/// How long a piece is without the line end that it ends with.
fn without_line_end(piece: &[u8]) -> usize {
    match piece {
        [.., b'\r', b'\n'] => piece.len() - 2,
        [.., b'\n'] => piece.len() - 1,
        _ => piece.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary(kind: &'static str) -> Result<Boundary, Unreadable> {
        Boundary::of(&HeaderValue::from_static(kind))
    }

    /// What is read of a stream that comes in pieces of this size.
    fn read(kind: &'static str, stream: &[u8], piece: usize) -> Result<Vec<Part>, Unreadable> {
        let mut parts = Parts::new(boundary(kind)?);
        let mut all = Vec::new();
        for piece in stream.chunks(piece) {
            parts.push(piece);
            while let Some(part) = parts.next()? {
                all.push(part);
            }
        }
        all.extend(parts.last());
        Ok(all)
    }

    /// The same, however it is cut.
    fn read_cut(kind: &'static str, stream: &[u8]) -> Result<Vec<Part>, Unreadable> {
        let whole = read(kind, stream, stream.len());
        for piece in 1..stream.len() {
            assert_eq!(read(kind, stream, piece), whole, "in pieces of {piece}");
        }
        whole
    }

    fn data(parts: &[Part]) -> Vec<&[u8]> {
        parts.iter().map(|part| &part.data[..]).collect()
    }

    const KIND: &str = "multipart/x-mixed-replace;boundary=frame";

    #[test]
    fn a_boundary_is_found_in_the_media_type() {
        for (kind, expected) in [
            ("multipart/x-mixed-replace;boundary=frame", Some("frame")),
            (
                "multipart/x-mixed-replace; a=b; Boundary=\"a b\"",
                Some("a b"),
            ),
            ("multipart/x-mixed-replace; boundary=--x", Some("--x")),
            ("multipart/x-mixed-replace; boundary=", None),
            ("multipart/x-mixed-replace", None),
        ] {
            let found = boundary(kind).ok();
            let found = found.as_ref().map(|found| &found.0[..]);
            assert_eq!(found, expected.map(str::as_bytes), "{kind}");
        }
    }

    #[test]
    fn frames_come_whole_however_the_stream_is_cut() {
        let stream = b"\r\n--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 7\r\n\
            X-Timestamp: 1.5\r\n\r\none\r\n--\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n\
            two\n--frames\n-\r\n--frame \r\n\r\n\r\n--frame--\r\nafter";
        let parts = read_cut(KIND, stream).unwrap();
        assert_eq!(data(&parts), [&b"one\r\n--"[..], b"two\n--frames\n-", b""]);
        let fields = "Content-Type: image/jpeg\r\nContent-Length: 7\r\nX-Timestamp: 1.5\r\n";
        assert_eq!(parts[0].fields, fields, "as they came");
        let fields = "Content-Type: image/jpeg\r\nContent-Length: 14\r\n";
        assert_eq!(parts[1].fields, fields, "with the length that they lacked");
        assert_eq!(parts[1].kind.as_deref(), Some(&b"image/jpeg"[..]));
        assert_eq!(parts[2].kind, None);
    }

    #[test]
    fn a_frame_is_whole_with_its_last_byte() {
        let mut parts = Parts::new(boundary(KIND).unwrap());
        parts.push(b"--frame\r\nContent-Length: 3\r\n\r\nab");
        assert_eq!(parts.next(), Ok(None));
        parts.push(b"c");
        assert_eq!(parts.next().unwrap().unwrap().data, "abc");
        assert!(!parts.is_over());
        parts.push(b"\r\n--frame--");
        assert_eq!(parts.next(), Ok(None));
        assert!(parts.is_over());
    }

    #[test]
    fn the_ways_of_cameras_are_understood() {
        for (kind, stream) in [
            // Line feeds alone.
            (
                KIND,
                &b"--frame\nContent-Length: 1\n\na\n--frame\n\nb\n--frame--\n"[..],
            ),
            // No line end before the boundary.
            (
                KIND,
                b"--frame\r\nContent-Length: 1\r\n\r\na--frame\r\nContent-Length: 1\r\n\r\nb",
            ),
            // The dashes are named with the boundary, and written twice or once.
            (
                "multipart/x-mixed-replace; boundary=--frame",
                b"----frame\r\nContent-Length: 1\r\n\r\na\r\n--frame\r\n\r\nb\r\n----frame--",
            ),
            // Something before the first frame.
            (KIND, b"hello\r\n--frame\r\n\r\na\r\n--frame\r\n\r\nb\r\n--frame\r\n"),
            // The last frame ends with the stream.
            (KIND, b"--frame\r\n\r\na\r\n--frame\r\n\r\nb\r\n"),
            // A length that is none, and fields that are none.
            (
                KIND,
                b"--frame\r\nContent-Length: many\r\nnonsense\r\n\r\na\r\n--frame\r\nA\x01: b\r\n\r\nb",
            ),
            // Too short a length: what it leaves is passed over.
            (
                KIND,
                b"--frame\r\nContent-Length: 1\r\n\r\naaaa\r\n--frame\r\nContent-Length: 1\r\n\r\nb\r\n",
            ),
        ] {
            let parts = read_cut(kind, stream).unwrap();
            let shown = String::from_utf8_lossy(stream);
            assert_eq!(data(&parts), [b"a", b"b"], "{shown}");
        }
    }

    #[test]
    fn cookies_of_a_frame_go_no_further() {
        let stream = b"--frame\r\nSet-Cookie: a=b\r\nX-A: b\r\nContent-Length: 1\r\n\r\na";
        let parts = read_cut(KIND, stream).unwrap();
        assert_eq!(parts[0].fields, "X-A: b\r\nContent-Length: 1\r\n");
    }

    #[test]
    fn what_is_too_large_or_nonsense_is_not_read_on() {
        let long = |start: &[u8], length: usize| [start, &vec![b'x'; length]].concat();
        for (stream, error) in [
            (long(b"", LONGEST_HEAD + 1), Unreadable::NoFrame),
            (long(b"--frame\r\nA: ", LONGEST_HEAD), Unreadable::Head),
            (
                long(b"--frame\r\n\r\n", LARGEST_FRAME + LONGEST_BOUNDARY + 1),
                Unreadable::TooLarge,
            ),
            (
                b"--frame\r\nContent-Length: 4194305\r\n\r\n".to_vec(),
                Unreadable::TooLarge,
            ),
            (
                b"--frame\r\nContent-Length: 99999999999999999999\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n".to_vec(),
                Unreadable::Head,
            ),
        ] {
            assert_eq!(read(KIND, &stream, 1 << 16).unwrap_err(), error);
        }
        // As many short lines as fit are no way around it.
        let lines = [&b"--frame\r\n"[..], &b"a:b\n".repeat(LONGEST_HEAD)].concat();
        assert_eq!(read(KIND, &lines, 1000).unwrap_err(), Unreadable::Head);
    }

    #[test]
    fn random_frames_come_as_they_were_sent() {
        use latchkey_model::chance::{Chance as _, SeededChance};
        let chance = SeededChance::new(7);
        let mut random = [0; 2];
        for round in 0..200 {
            let mut stream = Vec::new();
            let mut sent: Vec<Vec<u8>> = Vec::new();
            for _ in 0..4 {
                chance.fill(&mut random);
                let mut frame = vec![0; usize::from(random[0])];
                chance.fill(&mut frame);
                // Much of what the boundary is made of.
                for byte in &mut frame {
                    if *byte > 100 {
                        *byte = b"\r\n--frame"[usize::from(*byte % 9)];
                    }
                }
                let is_counted = random[1] % 2 == 0;
                let ambiguous = [&b"\n"[..], &frame, b"\r\n--"].concat();
                if !is_counted && ambiguous.windows(8).any(|bytes| bytes == b"\n--frame") {
                    continue;
                }
                stream.extend_from_slice(b"--frame\r\n");
                if is_counted {
                    let length = format!("Content-Length: {}\r\n", frame.len());
                    stream.extend_from_slice(length.as_bytes());
                }
                stream.extend_from_slice(b"\r\n");
                stream.extend_from_slice(&frame);
                stream.extend_from_slice(b"\r\n");
                sent.push(frame);
            }
            stream.extend_from_slice(b"--frame--\r\n");
            let piece = 1 + usize::from(random[0]) % 50;
            let parts = read(KIND, &stream, piece).unwrap();
            assert_eq!(data(&parts), sent, "round {round}");
        }
    }
}
