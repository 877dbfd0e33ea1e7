//! A minifier for our own style sheets, so that the files in the tree stay readable.
//!
//! It knows what our style sheets use and no more: comments, quoted strings,
//! white space. Nothing here is meant for anybody else's CSS.

/// Strips comments and the white space that carries no meaning.
pub(crate) fn minify(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut space = false;
    while let Some(next) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
            space = true;
        } else if next.is_whitespace() {
            rest = &rest[next.len_utf8()..];
            space = true;
        } else if next == '"' {
            push_space(&mut out, next, &mut space);
            let end = rest[1..].find('"').map_or(rest.len(), |at| at + 2);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else {
            push_space(&mut out, next, &mut space);
            if next == '}' && out.ends_with(';') {
                out.pop();
            }
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

/// Writes a pending space unless one of its neighbours makes it needless.
///
/// `(` and `+` keep theirs: `and (` and `calc(a + b)` need them, and so does the
/// space before `:` and `[`, which is a descendant combinator.
fn push_space(out: &mut String, next: char, pending: &mut bool) {
    let needless_after = |c: char| "{};:,>(".contains(c);
    let needless_before = |c: char| "{};,>)".contains(c);
    if *pending && !needless_before(next) && !out.chars().last().is_none_or(needless_after) {
        out.push(' ');
    }
    *pending = false;
}

#[cfg(test)]
mod tests {
    use super::minify;

    #[test]
    fn white_space_without_meaning_goes() {
        let css = "/* why */\n.a > .b ,\n.c {\n  margin : 0 auto;\n  content: \" /* \" ;\n}\n";
        assert_eq!(minify(css), ".a>.b,.c{margin :0 auto;content:\" /* \"}");
    }

    #[test]
    fn white_space_with_meaning_stays() {
        for kept in [
            "@media (width>=48rem) and (hover){a{b:c}}",
            ".a :hover{w:calc(1px + 2px)}",
            ".a [b] .c{d:e}",
        ] {
            assert_eq!(minify(kept), kept);
        }
    }
}
