//! Lines out of a file, one after the other, with bounded memory whatever the file holds:
//! a gigabyte without a line end must not become a gigabyte of memory.

use std::io::{self, BufRead};

use super::line::LONGEST_LINE;

/// Where a print's lines come from.
pub(crate) struct Source {
    reader: Box<dyn BufRead + Send>,
    /// Bytes handed out so far: the print's position in its file.
    pub(crate) position: u64,
}

impl Source {
    pub(crate) fn new(reader: impl BufRead + Send + 'static) -> Self {
        Self {
            reader: Box::new(reader),
            position: 0,
        }
    }

    /// The next line without its end, cut at [`LONGEST_LINE`]; `None` at the end of the file.
    pub(crate) fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<Option<()>> {
        line.clear();
        let mut any = false;
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                return Ok(any.then_some(()));
            }
            any = true;
            let end = available.iter().position(|b| *b == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            let room = LONGEST_LINE.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            let used = end.map_or(available.len(), |at| at + 1);
            self.reader.consume(used);
            self.position += u64::try_from(used).unwrap_or(u64::MAX);
            if end.is_some() {
                return Ok(Some(()));
            }
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Source;
    use std::io::Cursor;

    #[test]
    fn lines_come_with_their_position_and_the_last_needs_no_end() {
        let mut source = Source::new(Cursor::new(b"G28\r\n\nG1 X1".to_vec()));
        let mut line = Vec::new();
        let mut seen = Vec::new();
        while source.next_line(&mut line).unwrap().is_some() {
            seen.push((String::from_utf8(line.clone()).unwrap(), source.position));
        }
        assert_eq!(
            seen,
            [
                ("G28\r".to_owned(), 5),
                (String::new(), 6),
                ("G1 X1".to_owned(), 11)
            ]
        );
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let mut source = Source::new(Cursor::new(vec![b'x'; 100_000]));
        let mut line = Vec::new();
        source.next_line(&mut line).unwrap();
        assert_eq!(line.len(), super::LONGEST_LINE);
        assert_eq!(source.position, 100_000);
    }
}
