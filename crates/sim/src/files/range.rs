//! Which bytes of a file a `Range` header asks for. RFC 9110, section 14.

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    /// First byte and number of bytes; never empty.
    Part {
        first: u64,
        length: u64,
    },
    /// 416
    Beyond,
}

/// Reads the header for a file of that size. Several ranges are answered with the whole file, which
/// the RFC allows; so is a header that cannot be read.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.split_once('-').filter(|_| !spec.contains(',')) else {
        return Wanted::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let (first, last) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last),
        (Some(first), None) if last.is_empty() => (first, u64::MAX),
        (None, Some(0)) if first.is_empty() => return Wanted::Beyond,
        (None, Some(suffix)) if first.is_empty() => (size.saturating_sub(suffix), u64::MAX),
        _ => return Wanted::Whole,
    };
    if first >= size {
        return Wanted::Beyond;
    }
    Wanted::Part {
        first,
        length: last.min(size - 1) - first + 1,
    }
}

fn number(text: &str) -> Option<u64> {
    // `parse` alone would take a plus sign.
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::{Wanted, wanted};

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let part = |first, length| Wanted::Part { first, length };
        for (header, size, expected) in [
            ("bytes=0-9", 100, part(0, 10)),
            ("bytes=90-", 100, part(90, 10)),
            ("bytes=90-1000", 100, part(90, 10)),
            ("bytes=-5", 100, part(95, 5)),
            ("bytes=-500", 100, part(0, 100)),
            ("bytes=100-", 100, Wanted::Beyond),
            ("bytes=-0", 100, Wanted::Beyond),
            ("bytes=0-0", 0, Wanted::Beyond),
            ("bytes=9-3", 100, Wanted::Whole),
            ("bytes=0-1,5-6", 100, Wanted::Whole),
            ("lines=0-1", 100, Wanted::Whole),
            ("bytes=+1-5", 100, Wanted::Whole),
            ("bytes=-", 100, Wanted::Whole),
            ("bytes=99999999999999999999-", 100, Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), size), expected, "{header} of {size}");
        }
        assert_eq!(wanted(None, 100), Wanted::Whole);
    }
}
