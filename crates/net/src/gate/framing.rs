//! Finds the one smuggling shape that hyper repairs silently.

/// Watches the bytes of a connection for a request head with both `Content-Length` and
/// `Transfer-Encoding`.
///
/// Where a head starts is known for certain only to hyper, and requests may follow each
/// other without a pause. So every line that looks like a request line is taken for the
/// start of a head, and a find counts for the rest of the connection: the real heads are
/// never missed, and body bytes that only look like such a head can cause a refusal,
/// never a pass.
#[derive(Default)]
pub(crate) struct LengthScan {
    /// The line that has not ended yet, without its middle if it is long.
    line: Vec<u8>,
    head: Option<Lengths>,
    found: bool,
}

/// Which of the two the head at hand has.
#[derive(Default)]
struct Lengths {
    length: bool,
    coding: bool,
}

/// How much of each end of a line matters: more than any field name or version looked for.
const EDGE: usize = 32;

impl LengthScan {
    /// Takes in the next bytes of the connection, however they are cut.
    pub(crate) fn saw(&mut self, bytes: &[u8]) {
        let mut begun = 0;
        // Whole uploads come by here: byte by byte this was a quarter of what one costs.
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[begun..end];
            begun = end + 1;
            if self.line.is_empty() {
                self.line_ended(line);
            } else {
                self.extend(line);
                let mut line = std::mem::take(&mut self.line);
                self.line_ended(&line);
                // Its room is used again.
                line.clear();
                self.line = line;
            }
        }
        self.extend(&bytes[begun..]);
    }

    /// Whether there was such a head up to now.
    pub(crate) fn found(&self) -> bool {
        self.found
    }

    fn extend(&mut self, piece: &[u8]) {
        if let (Some(start), Some(end)) = (piece.first_chunk::<EDGE>(), piece.last_chunk::<EDGE>())
            && piece.len() > 2 * EDGE
        {
            self.line.extend_from_slice(start);
            self.line.extend_from_slice(end);
        } else {
            self.line.extend_from_slice(piece);
        }
        if self.line.len() > 2 * EDGE {
            self.line.drain(EDGE..self.line.len() - EDGE);
        }
    }

    fn line_ended(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(head) = &mut self.head else {
            let begins = line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0");
            self.head = begins.then(Lengths::default);
            return;
        };
        if line.is_empty() {
            self.head = None;
            return;
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        head.length |= name.eq_ignore_ascii_case(b"content-length");
        head.coding |= name.eq_ignore_ascii_case(b"transfer-encoding");
        self.found |= head.length && head.coding;
    }
}

#[cfg(test)]
mod tests {
    use super::LengthScan;

    fn found_in_pieces_of(size: usize, bytes: &[u8]) -> bool {
        let mut scan = LengthScan::default();
        for piece in bytes.chunks(size) {
            scan.saw(piece);
            assert!(scan.line.capacity() < 1024);
        }
        scan.found()
    }

    #[test]
    fn both_lengths_are_found_in_any_order_case_line_end_and_cut() {
        let long = "x".repeat(10_000);
        for head in [
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\ncontent-length: 4\r\n\r\n",
            "POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 4\n\n",
            "POST / HTTP/1.1\nContent-Length: 4\nX: a HTTP/1.1\nTransfer-Encoding: chunked\n\n",
            "GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 4\n\n",
            "the end of an earlier bodyPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nGET /fake HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            &format!(
                "POST /{long} HTTP/1.1\r\nContent-Length: 4\r\nX: {long}\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
        ] {
            for size in [1, 7, 40, 4096, head.len()] {
                assert!(found_in_pieces_of(size, head.as_bytes()), "{size} {head:?}");
            }
        }
    }

    #[test]
    fn one_length_per_head_is_fine() {
        for head in [
            "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nxPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nX-Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\nContent-Length: 4\r\n",
        ] {
            for size in [1, 7, head.len()] {
                assert!(
                    !found_in_pieces_of(size, head.as_bytes()),
                    "{size} {head:?}"
                );
            }
        }
    }
}
