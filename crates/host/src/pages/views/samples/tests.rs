use latchkey_web::page_check::{faults, tags};

use super::*;
use crate::pages::views::{NewUser, ShownHow, ShownKey, Tab, Users};

/// What people and apps have tried on pages like these, and what breaks naive escaping.
const HOSTILE: [&str; 16] = [
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

#[test]
fn all_pages_are_without_faults() {
    for (name, html) in all() {
        assert_eq!(faults(&html), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn names_of_samples_are_different() {
    let mut names: Vec<_> = all().into_iter().map(|(name, _)| name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// The tags of a page are the same whatever the texts are, so no text became a tag or an
/// attribute: names, and names of attributes, in order.
#[test]
fn hostile_text_stays_text_on_every_page() {
    let skeleton = |html: &str| -> Vec<String> {
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
    };
    let harmless = hostile("harmless");
    for payload in HOSTILE {
        let faced = hostile(payload);
        assert_eq!(faced.len(), harmless.len());
        for ((name, page), (_, plain)) in faced.iter().zip(&harmless) {
            assert_eq!(skeleton(page), skeleton(plain), "{name} with {payload:?}");
            let head = |html: &str| html.split("<body").next().unwrap().matches('<').count();
            assert_eq!(head(page), head(plain), "head of {name} with {payload:?}");
            if payload.contains('<') {
                assert!(!page.contains(payload), "{name} repeats {payload:?}");
            }
        }
    }
}

#[test]
fn hostile_text_reaches_every_kind_of_page() {
    let reached = hostile("\u{7c7}wherever")
        .into_iter()
        .filter(|(_, html)| html.contains("\u{7c7}wherever"));
    let every = all().len();
    assert_eq!(
        reached.count(),
        every,
        "a sample shows nothing from outside"
    );
}

#[test]
fn names_from_outside_are_kept_apart_from_the_sentence_around_them() {
    for (name, html) in hostile("\u{202e}x") {
        let body = html.split_once("<body").unwrap().1;
        for (at, _) in body.match_indices("\u{202e}x") {
            let before = &body[..at];
            // The body's own tag was cut in two.
            let in_attribute = before.rfind('<') > before.rfind('>') || !before.contains('>');
            let alone = before.ends_with("<bdi>") || before.ends_with("<code id=\"new-key\">");
            let unseen = before
                .rsplit_once('>')
                .is_some_and(|(tag, _)| tag.ends_with("<span class=\"unseen\""));
            let account = before.ends_with("<span>");
            let field = before.rfind("<textarea") > before.rfind("</textarea");
            assert!(
                in_attribute || alone || unseen || account || field,
                "{name}: …{}",
                &before[before.len() - 60.min(before.len())..]
            );
        }
    }
}

/// Scripted browsers and the tests of other programs find the parts by these.
#[test]
fn ids_that_others_rely_on_are_there() {
    let pages = all();
    let has = |prefix: &str, ids: &[&str]| {
        let of_kind = pages.iter().filter(|(name, _)| name.starts_with(prefix));
        for (name, html) in of_kind {
            for id in ids {
                let both = *id == "login-remember" && name.contains("again");
                assert!(
                    both || html.contains(&format!("id=\"{id}\"")),
                    "{name}: {id}"
                );
            }
        }
    };
    has(
        "sign-in",
        &[
            "login-user",
            "login-password",
            "login-remember",
            "login-button",
        ],
    );
    has("decide", &["auth-grant", "auth-reject"]);
}

#[test]
fn a_path_prefix_is_in_front_of_every_address() {
    let site = Site {
        prefix: "/octo".into(),
        ..site()
    };
    let viewer = viewer();
    let page = Users {
        shell: viewer.bar(&site, Tab::Users),
        site,
        viewer,
        users: vec![people::user("a b", Group::Users)],
        form: NewUser::default(),
        done: None,
    };
    let html = page.render().unwrap();
    assert_eq!(faults(&html), Vec::<String>::new());
    for name in ["href=\"", "src=\"", "action=\""] {
        for (at, _) in html.match_indices(name) {
            assert!(
                html[at + name.len()..].starts_with("/octo/"),
                "{}",
                &html[at..at + 60]
            );
        }
    }
    assert!(html.contains("/octo/latchkey/users/a%20b\""));
}

#[test]
fn enter_in_the_question_does_not_allow() {
    for (name, html) in all()
        .into_iter()
        .filter(|(name, _)| name.starts_with("decide"))
    {
        let first = tags(&html).into_iter().find(|(tag, _)| *tag == "button");
        assert_eq!(
            first,
            Some(("button", r#"formmethod="dialog" hidden"#)),
            "{name}"
        );
        assert!(!html.contains("autofocus"), "{name}");
    }
}

#[test]
fn a_key_is_in_no_debug_output() {
    let shown = ShownKey {
        app: "App".into(),
        key: "planted".into(),
        how: ShownHow::New,
    };
    assert!(!format!("{shown:?}").contains("planted"));
}
