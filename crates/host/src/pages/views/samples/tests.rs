use latchkey_web::page_check::{faults, sample_faults, tags};

use super::*;
use crate::pages::views::{NewUser, ShownHow, ShownKey, Tab, Users};

#[test]
fn all_pages_are_without_faults_whatever_texts_are_in_them() {
    assert_eq!(sample_faults(&all, &hostile), Vec::<String>::new());
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
