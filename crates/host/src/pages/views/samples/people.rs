use super::{Pages, Words, seconds_ago};
use crate::pages::views::{
    AccountDone, AccountPage, End, EndUser, Group, NewUser, PasswordProblem, SignedIn, Tab,
    UserChange, UserDone, UserPage, UserProblem, UserRow, Users,
};

pub(super) fn add(words: &Words, pages: &mut Pages) {
    users(words, pages);
    user_pages(words, pages);
    ends(words, pages);
    accounts(words, pages);
}

pub(super) fn user(name: &str, group: Group) -> UserRow {
    UserRow {
        name: name.into(),
        group,
        active: true,
        keys: 2,
        seen: Some(seconds_ago(7200)),
    }
}

/// The viewer, somebody else, and somebody who is kept out.
fn three(words: &Words) -> [UserRow; 3] {
    [
        user(words.user, Group::Admins),
        UserRow {
            keys: 1,
            ..user("ruaridh/../?#", Group::Users)
        },
        UserRow {
            active: false,
            seen: None,
            keys: 0,
            ..user("workshop tablet", Group::ReadOnly)
        },
    ]
}

fn users(words: &Words, pages: &mut Pages) {
    let (site, viewer) = (words.site(), words.viewer());
    let list = Users {
        shell: viewer.bar(&site, Tab::Users),
        site,
        viewer,
        users: three(words).to_vec(),
        form: NewUser::default(),
        done: None,
    };
    pages.add("users", &list);
    let name = || words.user.to_owned();
    for (page, done) in [
        ("added", UserDone::Added { name: name() }),
        ("removed", UserDone::Removed { name: name() }),
    ] {
        let done = Users {
            done: Some(done),
            ..list.clone()
        };
        pages.add(&format!("users-{page}"), &done);
    }
    for (page, problem) in [
        ("nameless", UserProblem::NameMissing),
        ("taken", UserProblem::NameTaken),
        ("unfit", UserProblem::NameUnfit),
        ("short", UserProblem::PasswordTooShort { least: 8 }),
        ("long", UserProblem::PasswordTooLong { most: 1024 }),
    ] {
        let form = NewUser {
            name: name(),
            group: Group::ReadOnly,
            problem: Some(problem),
        };
        let refused = Users {
            form,
            ..list.clone()
        };
        pages.add(&format!("users-{page}"), &refused);
    }
}

fn user_pages(words: &Words, pages: &mut Pages) {
    let (site, viewer) = (words.site(), words.viewer());
    let [own, other, inactive] = three(words);
    let one = UserPage {
        shell: viewer.bar(&site, Tab::Users),
        site,
        viewer,
        user: other,
        problem: None,
        changed: None,
    };
    pages.add("user", &one);
    for (name, user, problem, changed) in [
        ("self", own, Some(UserProblem::LastAdmin), None),
        ("inactive", inactive, None, Some(UserChange::Deactivated)),
    ] {
        let page = UserPage {
            user,
            problem,
            changed,
            ..one.clone()
        };
        pages.add(&format!("user-{name}"), &page);
    }
    let short = UserPage {
        problem: Some(UserProblem::PasswordTooShort { least: 8 }),
        ..one.clone()
    };
    pages.add("user-short", &short);
    for (name, changed) in [
        ("group", UserChange::Group),
        ("password", UserChange::Password),
        ("activated", UserChange::Activated),
    ] {
        let page = UserPage {
            changed: Some(changed),
            ..one.clone()
        };
        pages.add(&format!("user-{name}"), &page);
    }
}

fn ends(words: &Words, pages: &mut Pages) {
    let (site, viewer) = (words.site(), words.viewer());
    let [own, other, _] = three(words);
    for (name, end, user, problem) in [
        ("user-remove", End::Remove, other.clone(), None),
        ("user-deactivate", End::Deactivate, other, None),
        (
            "user-remove-last",
            End::Remove,
            own,
            Some(UserProblem::LastAdmin),
        ),
    ] {
        let page = EndUser {
            shell: viewer.bar(&site, Tab::Users),
            site: site.clone(),
            viewer: viewer.clone(),
            user,
            end,
            problem,
        };
        pages.add(name, &page);
    }
}

fn accounts(words: &Words, pages: &mut Pages) {
    let (site, viewer) = (words.site(), words.viewer());
    let session = |id: &str, device: &str, seconds| SignedIn {
        id: id.into(),
        device: device.into(),
        from: words.address.into(),
        seen: seconds_ago(seconds),
        this_one: id == "s1",
        remembered: id == "s2",
    };
    let account = AccountPage {
        shell: viewer.bar(&site, Tab::Account),
        site,
        viewer,
        sessions: vec![
            session("s1", words.device, 2),
            session("s2", "Safari on iPhone", 7200),
            session("s3", "Another browser", 3 * 86_400),
        ],
        problem: None,
        done: None,
    };
    pages.add("account", &account);
    for (name, problem) in [
        ("old-wrong", PasswordProblem::OldWrong),
        ("short", PasswordProblem::TooShort { least: 8 }),
        ("long", PasswordProblem::TooLong { most: 1024 }),
        ("differ", PasswordProblem::Differ),
        ("too-many", PasswordProblem::TooMany { minutes: 9 }),
    ] {
        let page = AccountPage {
            problem: Some(problem),
            ..account.clone()
        };
        pages.add(&format!("account-{name}"), &page);
    }
    for (name, done) in [
        ("changed", AccountDone::PasswordChanged),
        ("session-ended", AccountDone::SessionEnded),
    ] {
        let page = AccountPage {
            done: Some(done),
            ..account.clone()
        };
        pages.add(&format!("account-{name}"), &page);
    }
}
