use super::{Pages, Words, seconds_ago};
use crate::pages::views::{
    Access, Key, KeyForm, KeyProblem, Keys, RevokeKey, ShownHow, ShownKey, Tab, Used, Whose,
};

const DAY: i64 = 86_400;

pub(super) fn add(words: &Words, pages: &mut Pages) {
    let mine = mine(words);
    pages.add("keys", &mine);
    shown(&mine, pages);
    let empty = Keys {
        keys: Vec::new(),
        everyone: None,
        pending: vec![words.pending()],
        ..mine.clone()
    };
    pages.add("keys-empty", &empty);
    for (name, problem) in [
        ("nameless", KeyProblem::NameMissing),
        ("long-name", KeyProblem::NameTooLong),
    ] {
        let form = KeyForm {
            app: words.app.into(),
            access: Access::Full,
            problem: Some(problem),
        };
        let page = Keys {
            form,
            ..mine.clone()
        };
        pages.add(&format!("keys-{name}"), &page);
    }
    let all = Keys {
        whose: Whose::Everyone,
        revoked: Some(words.app.into()),
        ..mine
    };
    pages.add("keys-all", &all);
    revocations(words, pages);
}

fn mine(words: &Words) -> Keys {
    let (site, viewer) = (words.site(), words.viewer());
    Keys {
        shell: viewer.bar(&site, Tab::Keys),
        site,
        viewer,
        whose: Whose::Mine,
        everyone: Some(9),
        keys: list(words),
        pending: Vec::new(),
        shown: None,
        revoked: None,
        form: KeyForm::default(),
    }
}

fn list(words: &Words) -> Vec<Key> {
    let key = |id: &str, app: &str, access| Key {
        id: id.into(),
        app: app.into(),
        user: words.user.into(),
        access,
        created: seconds_ago(60 * DAY),
        used: Some(Used {
            at: seconds_ago(190),
            from: words.address.into(),
        }),
        requests: 12_345,
        through_relay: false,
    };
    vec![
        key("k1", words.app, Access::Full),
        key("k2", "Print Tally", Access::View),
        Key {
            created: seconds_ago(3),
            used: None,
            requests: 0,
            through_relay: true,
            ..key("k3", "Workshop dashboard", Access::View)
        },
        Key {
            created: seconds_ago(400 * DAY),
            used: Some(Used {
                at: seconds_ago(210 * DAY),
                from: words.address.into(),
            }),
            requests: 1,
            ..key("k4", words.other_app, Access::Full)
        },
    ]
}

fn shown(mine: &Keys, pages: &mut Pages) {
    for (name, how) in [
        ("new", ShownHow::New),
        ("was-there", ShownHow::WasThere),
        ("asked-for", ShownHow::AskedFor),
    ] {
        let shown = ShownKey {
            app: "Workshop dashboard".into(),
            key: "7Qm2vXc9TgRz4LwY8HdKpN3sB6fJ1aUe-EXAMPLE-000".into(),
            how,
        };
        let page = Keys {
            shown: Some(shown),
            ..mine.clone()
        };
        pages.add(&format!("keys-{name}"), &page);
    }
}

fn revocations(words: &Words, pages: &mut Pages) {
    let (site, viewer) = (words.site(), words.viewer());
    let mut keys = list(words).into_iter();
    for (name, whose) in [("revoke", Whose::Mine), ("revoke-other", Whose::Everyone)] {
        let Some(key) = keys.next() else { return };
        let page = RevokeKey {
            shell: viewer.bar(&site, Tab::Keys),
            site: site.clone(),
            viewer: viewer.clone(),
            key,
            whose,
        };
        pages.add(name, &page);
    }
}
