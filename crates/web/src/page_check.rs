//! Looks at a page the way a browser and a screen reader would mind.
//!
//! For the tests of whoever has pages: each function gives what is wrong, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

const VOID: [&str; 6] = ["meta", "link", "input", "img", "hr", "br"];

static SHEETS: LazyLock<BTreeMap<&'static str, String>> = LazyLock::new(|| {
    crate::assets::all()
        .map(|(url, body)| (url, String::from_utf8_lossy(&body).into_owned()))
        .collect()
});

/// Everything that is wrong with a page.
pub fn faults(html: &str) -> Vec<String> {
    let mut faults = Vec::new();
    shape(html, &mut faults);
    headings(html, &mut faults);
    slips(html, &mut faults);
    policy(html, &mut faults);
    icons(html, &mut faults);
    classes(html, &mut faults);
    references(html, &mut faults);
    faults
}

/// The tags of a page's body in order, with their attributes as written.
pub fn tags(html: &str) -> Vec<(&str, &str)> {
    let html = html.split_once("<body").map_or(html, |(_, body)| body);
    html.split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag))
        .map(|tag| tag.split_once([' ', '\n']).unwrap_or((tag, "")))
        .collect()
}

/// What people and apps have tried on pages like these, and what breaks naive escaping.
pub const HOSTILE: [&str; 16] = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "\" autofocus onfocus=\"alert(1)",
    "</textarea></template></form><svg onload=alert(1)>",
    "<!--",
    "]]><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "${alert(1)}`;alert(1)//",
    "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&quot;",
    "\u{202e}gnp.nimda",
    "\u{2066}\u{2067}x\u{2069}",
    "<bdo dir=rtl>x</bdo>\r\n\t\u{0}",
    "0;url=https://evil.example/\"><meta http-equiv=refresh content=\"0;url=//evil.example",
];

/// What is wrong with a role's sample pages: `all` gives them by name, `hostile` the same with a
/// text wherever text comes from outside.
///
/// Each page is looked at by [`faults`]; names are different; no text from outside becomes a tag or
/// an attribute, is repeated as it is, or stands in a sentence without being kept apart.
pub fn sample_faults(
    all: &dyn Fn() -> Vec<(String, String)>,
    hostile: &dyn Fn(&'static str) -> Vec<(String, String)>,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for (name, html) in all() {
        found.extend(
            faults(&html)
                .into_iter()
                .map(|fault| format!("{name}: {fault}")),
        );
        if !names.insert(name.clone()) {
            found.push(format!("two samples have the name {name}"));
        }
    }
    let harmless = hostile("harmless");
    for payload in HOSTILE {
        for ((name, page), (_, plain)) in hostile(payload).iter().zip(&harmless) {
            if skeleton(page) != skeleton(plain) {
                found.push(format!("{name}: {payload:?} changes its tags"));
            }
            let head = |html: &str| {
                html.split("<body")
                    .next()
                    .map(|head| head.matches('<').count())
            };
            if head(page) != head(plain) {
                found.push(format!("{name}: {payload:?} changes its head"));
            }
            if payload.contains('<') && page.contains(payload) {
                found.push(format!("{name} repeats {payload:?}"));
            }
        }
    }
    for (name, html) in hostile("\u{202e}x") {
        apart(&name, &html, &mut found);
    }
    found
}

/// The tags of a page, and the names of their attributes, in order.
fn skeleton(html: &str) -> Vec<String> {
    tags(html)
        .into_iter()
        .map(|(tag, attributes)| {
            let mut names = String::from(tag);
            for (place, piece) in attributes.split('"').enumerate() {
                if place % 2 == 0 {
                    names.push_str(piece);
                }
            }
            names
        })
        .collect()
}

/// Whether texts from outside are kept apart from the sentence around them.
fn apart(name: &str, html: &str, found: &mut Vec<String>) {
    let body = html.split_once("<body").map_or(html, |(_, body)| body);
    for (at, _) in body.match_indices("\u{202e}x") {
        let before = &body[..at];
        // The body's own tag was cut in two.
        let in_attribute = before.rfind('<') > before.rfind('>') || !before.contains('>');
        let alone = before.ends_with("<bdi>")
            || before.ends_with("<code>")
            || before.ends_with("<code id=\"new-key\">");
        let unseen = before
            .rsplit_once('>')
            .is_some_and(|(tag, _)| tag.ends_with("<span class=\"unseen\""));
        let account = before.ends_with("<span>");
        let field = before.rfind("<textarea") > before.rfind("</textarea");
        if !(in_attribute || alone || unseen || account || field) {
            let from = before.len() - 60.min(before.len());
            let shown = before.get(from..).unwrap_or_default();
            found.push(format!(
                "{name}: a text from outside is not kept apart after …{shown}"
            ));
        }
    }
}

/// An attribute's value as written.
fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("{name}=\"");
    let at = attributes
        .match_indices(&start)
        .map(|(at, _)| at)
        .find(|at| *at == 0 || attributes[..*at].ends_with([' ', '\n']))?;
    attributes[at + start.len()..].split('"').next()
}

/// The page without what only scripts bring into it.
fn without_templates(html: &str) -> String {
    let mut pieces = html.split("<template");
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        kept.push_str(piece.split_once("</template>").map_or("", |(_, rest)| rest));
    }
    kept
}

fn shape(html: &str, faults: &mut Vec<String>) {
    if !html.starts_with("<!doctype html>") {
        faults.push("no doctype".into());
    }
    let mut open = vec!["body"];
    for (tag, attributes) in tags(html) {
        if let Some(closed) = tag.strip_prefix('/') {
            // The `html` element opens before the part that is looked at.
            if closed != "html" && open.pop() != Some(closed) {
                faults.push(format!("</{closed}> closes something else"));
            }
        } else if !VOID.contains(&tag) && !attributes.ends_with('/') && !tag.ends_with('/') {
            open.push(tag);
        }
    }
    if !open.is_empty() {
        faults.push(format!("{open:?} stay open"));
    }
}

fn headings(html: &str, faults: &mut Vec<String>) {
    let shown = without_templates(html);
    for tag in ["h1", "main", "header"] {
        let count = tags(&shown).iter().filter(|(name, _)| *name == tag).count();
        if count != 1 {
            faults.push(format!("{count} times {tag}"));
        }
    }
    let title = html
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split('<').next())
        .unwrap_or_default();
    if !title.ends_with(" · Latchkey") || title.len() <= 12 {
        faults.push(format!("the title is {title:?}"));
    }
    if !html.contains(r#"<html lang="en">"#) || !html.contains("width=device-width") {
        faults.push("no language or no viewport".into());
    }
    let main_buttons = shown.matches(r#"class="btn main""#).count();
    if main_buttons > 1 {
        faults.push(format!("{main_buttons} main buttons"));
    }
}

fn slips(html: &str, faults: &mut Vec<String>) {
    let html = html.replace(crate::self_contained::style(), "");
    for slip in [
        "{{",
        "}}",
        "{%",
        "Some(",
        "None",
        "assets/missing",
        "%NOTE%",
    ] {
        if html.contains(slip) {
            faults.push(format!("{slip} is on the page"));
        }
    }
}

fn policy(html: &str, faults: &mut Vec<String>) {
    let head = html.split_once("<body").map_or("", |(head, _)| head);
    for script in head.split("<script").skip(1) {
        let ours = script.split_once("</script>").is_some_and(|(tag, _)| {
            tag.starts_with(r#" type="module" src=""#) && tag.ends_with(r#"">"#)
        });
        if !ours {
            faults.push("a script in the page".into());
        }
    }
    for (tag, attributes) in tags(html) {
        let mut names = attributes
            .split([' ', '\n'])
            .filter_map(|attribute| attribute.split_once('='));
        if tag == "script" || tag == "style" || attribute(attributes, "style").is_some() {
            faults.push(format!("{tag} with script or style in the page"));
        }
        if names.any(|(name, _)| name.starts_with("on")) {
            faults.push(format!("handler on {tag}"));
        }
        if tag == "img" && attribute(attributes, "alt").is_none() {
            faults.push("img without alt".into());
        }
        let leads = ["href", "src", "action"].map(|name| attribute(attributes, name));
        for address in leads.into_iter().flatten() {
            let scheme = address.trim_start().to_ascii_lowercase();
            if scheme.starts_with("javascript:") || scheme.starts_with("data:text") {
                faults.push(format!("{tag} leads to {address}"));
            }
        }
        if tag == "form" && attribute(attributes, "method") != Some("post") {
            faults.push("a form that does not post".into());
        }
    }
    // To another origin no token goes: there it would be worth what it is worth here.
    let mut elsewhere = 0;
    for form in html.split("<form").skip(1) {
        let (tag, rest) = form.split_once('>').unwrap_or((form, ""));
        let leads_away = attribute(tag, "action").is_some_and(|action| action.starts_with("http"));
        let inside = rest.split("</form").next().unwrap_or_default();
        if leads_away && inside.contains("csrf_token") {
            faults.push("a form that takes its token elsewhere".into());
        }
        elsewhere += usize::from(leads_away);
    }
    let forms = html.matches("<form").count() - elsewhere;
    if html.matches(r#"name="csrf_token""#).count() < forms {
        faults.push("a form without token".into());
    }
}

fn icons(html: &str, faults: &mut Vec<String>) {
    for (tag, attributes) in tags(html) {
        if tag == "svg" && !attributes.contains("aria-hidden") && !attributes.contains("aria-label")
        {
            faults.push(format!("svg {attributes} is neither hidden nor named"));
        }
        if tag != "use" {
            continue;
        }
        let target = attribute(attributes, "href").unwrap_or_default();
        let found = target.split_once('#').is_some_and(|(file, icon)| {
            let sprite = if file.is_empty() {
                Some(html)
            } else {
                // Behind a path prefix, too.
                let known = SHEETS.iter().find(|(url, _)| file.ends_with(**url));
                known.map(|(_, text)| text.as_str())
            };
            sprite.is_some_and(|sprite| sprite.contains(&format!(r#"<symbol id="{icon}""#)))
        });
        if !found {
            faults.push(format!("no icon {target}"));
        }
    }
}

/// A class nobody styles is a slip in a template or a part that was dropped.
fn classes(html: &str, faults: &mut Vec<String>) {
    let css = if html.contains("<style>") {
        crate::self_contained::style()
    } else {
        SHEETS
            .iter()
            .find(|(url, _)| url.ends_with("latchkey.css"))
            .map_or("", |(_, text)| text.as_str())
    };
    let used: BTreeSet<_> = tags(html)
        .iter()
        .filter_map(|(_, attributes)| attribute(attributes, "class"))
        .flat_map(str::split_whitespace)
        .collect();
    for class in used {
        if !css.contains(&format!(".{class}")) {
            faults.push(format!("class {class} has no style"));
        }
    }
}

/// Ids are there once, and what is referred to is there.
fn references(html: &str, faults: &mut Vec<String>) {
    let mut ids = BTreeSet::new();
    // Icons of self-contained pages have ids of their own in their sprite.
    for (_, attributes) in tags(html) {
        if let Some(id) = attribute(attributes, "id")
            && !ids.insert(id)
        {
            faults.push(format!("id {id} twice"));
        }
    }
    for (tag, attributes) in tags(html) {
        for name in ["for", "aria-describedby", "aria-labelledby"] {
            let named = attribute(attributes, name).unwrap_or_default();
            for id in named.split_whitespace() {
                if !ids.contains(id) {
                    faults.push(format!("{name} of {tag} names {id}, which is not there"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width"><title>Sample · Latchkey</title></head><body><header></header><main><h1>Sample</h1><form method="post"><input type="hidden" name="csrf_token" value="x"><label for="a">A</label><input id="a"></form></main></body></html>"#;

    #[test]
    fn a_good_page_has_no_faults() {
        assert_eq!(faults(GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_noticed() {
        for (right, wrong) in [
            ("</h1>", "</h1></b>"),
            ("<h1>Sample</h1>", ""),
            ("Sample · Latchkey", " · Latchkey"),
            ("<h1>Sample", "<h1>{{ title }}"),
            ("<h1>Sample", "<h1 style=\"color: red\">Sample"),
            ("<h1>Sample", "<h1 onclick=\"x()\">Sample"),
            ("<h1>Sample", "<h1 class=\"no-such\">Sample"),
            ("<h1>Sample", "<h1><a href=\" JavaScript:x()\">x</a>"),
            ("<h1>Sample", "<h1><script>x()</script>"),
            ("</head>", "<script>x()</script></head>"),
            ("<h1>Sample", "<h1><img src=\"/x\">"),
            ("<h1>Sample", "<h1><svg></svg>"),
            (
                "<h1>Sample",
                "<h1><svg aria-hidden=\"true\"><use href=\"#no-such\"/></svg>",
            ),
            ("method=\"post\"", "method=\"get\""),
            ("name=\"csrf_token\"", "name=\"other\""),
            ("for=\"a\"", "for=\"b\""),
            ("<h1>", "<h1 id=\"a\">"),
        ] {
            let page = GOOD.replace(right, wrong);
            assert!(!faults(&page).is_empty(), "{wrong}");
        }
    }
}
