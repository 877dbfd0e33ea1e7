use super::{Pages, Words};
use crate::pages::views::{Access, Decide, Decided, Group, Outcome, Pending, Target, Whence};

pub(super) fn add(words: &Words, pages: &mut Pages) {
    questions(words, pages);
    outcomes(words, pages);
}

fn questions(words: &Words, pages: &mut Pages) {
    let site = words.site();
    let decide = Decide {
        shell: site.door(),
        site,
        pending: words.pending(),
        user: words.user.into(),
        group: Group::Admins,
        access: Access::Full,
        by_name: false,
        target: None,
        target_refused: false,
    };
    pages.add("decide", &decide);
    let outside = Decide {
        pending: Pending {
            app: words.other_app.into(),
            asked_from: "2001:db8:85a3:8d3:1319:8a2e:370:7348".into(),
            whence: Whence::Outside,
            ..words.pending()
        },
        group: Group::Users,
        by_name: true,
        target: Target::read(words.redirect),
        ..decide.clone()
    };
    pages.add("decide-target", &outside);
    let refused = Decide {
        target_refused: true,
        ..decide
    };
    pages.add("decide-refused-target", &refused);
}

fn outcomes(words: &Words, pages: &mut Pages) {
    let site = words.site();
    let app = || words.app.to_owned();
    let decided = |outcome| Decided {
        shell: site.door(),
        site: site.clone(),
        outcome,
        user: Some(words.user.into()),
        target: None,
    };
    let allowed = |access| decided(Outcome::Allowed { app: app(), access });
    pages.add("allowed", &allowed(Access::Full));
    let onward = Decided {
        target: Target::read(words.redirect),
        ..allowed(Access::View)
    };
    pages.add("allowed-target", &onward);
    pages.add("denied", &decided(Outcome::Denied { app: app() }));
    let blocked = Outcome::Blocked {
        app: app(),
        address: words.address.into(),
    };
    pages.add("blocked", &decided(blocked));
    let nobody = Decided {
        user: None,
        ..decided(Outcome::Gone)
    };
    pages.add("gone", &nobody);
}
