//! Finds the one smuggling shape that hyper repairs silently.

/// Whether `window` holds a request head with both `Content-Length` and `Transfer-Encoding`.
///
/// `window` is what was read since the last request was taken: perhaps the end of an
/// earlier body, then the head in question, then perhaps more. Every line that looks
/// like a request line is taken for the start of a head, so the real one is never
/// missed; body bytes that only look like such a head can cause a refusal, never a pass.
pub(super) fn has_head_with_both_lengths(window: &[u8]) -> bool {
    let mut lines = window.split(|byte| *byte == b'\n').map(trim_cr);
    while let Some(line) = lines.next() {
        if looks_like_request_line(line) && head_has_both(lines.clone()) {
            return true;
        }
    }
    false
}

fn head_has_both<'a>(lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut length, mut coding) = (false, false);
    for line in lines.take_while(|line| !line.is_empty()) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        length |= name.eq_ignore_ascii_case(b"content-length");
        coding |= name.eq_ignore_ascii_case(b"transfer-encoding");
    }
    length && coding
}

fn looks_like_request_line(line: &[u8]) -> bool {
    line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0")
}

fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::has_head_with_both_lengths;

    #[test]
    fn both_lengths_are_found_in_any_order_case_and_line_end() {
        for head in [
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\ncontent-length: 4\r\n\r\n",
            "POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 4\n\n",
            "the end of an earlier body\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nGET /fake HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(has_head_with_both_lengths(head.as_bytes()), "{head:?}");
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
            assert!(!has_head_with_both_lengths(head.as_bytes()), "{head:?}");
        }
    }
}
