use super::{Pages, Words};
use crate::pages::views::{
    Purpose, Setup, SetupForm, SetupProblem, SetupState, SignIn, SignInProblem, UserField,
};

pub(super) fn add(words: &Words, pages: &mut Pages) {
    sign_ins(words, pages);
    sign_ins_to_decide(words, pages);
    setups(words, pages);
}

fn plain(words: &Words) -> SignIn {
    let site = words.site();
    SignIn {
        shell: site.door(),
        site,
        purpose: Purpose::Printer,
        user: UserField::Free {
            typed: String::new(),
        },
        remember: false,
        redirect: String::new(),
        problem: None,
    }
}

fn typed(words: &Words) -> UserField {
    UserField::Free {
        typed: words.user.into(),
    }
}

fn fixed(words: &Words) -> UserField {
    UserField::Fixed {
        name: words.user.into(),
    }
}

fn sign_ins(words: &Words, pages: &mut Pages) {
    let plain = plain(words);
    pages.add("sign-in", &plain);
    for (name, remember, problem) in [
        ("wrong", true, SignInProblem::WrongPair),
        ("too-many", false, SignInProblem::TooMany { minutes: 7 }),
        ("stale", false, SignInProblem::Stale),
    ] {
        let page = SignIn {
            user: typed(words),
            remember,
            problem: Some(problem),
            ..plain.clone()
        };
        pages.add(&format!("sign-in-{name}"), &page);
    }
    for (name, problem) in [
        ("again", None),
        ("again-wrong", Some(SignInProblem::WrongPair)),
    ] {
        let page = SignIn {
            purpose: Purpose::Fresh {
                back: "/latchkey/keys".into(),
            },
            user: fixed(words),
            problem,
            ..plain.clone()
        };
        pages.add(&format!("sign-in-{name}"), &page);
    }
}

fn sign_ins_to_decide(words: &Words, pages: &mut Pages) {
    let app = || Some(words.app.to_owned());
    let deciding = SignIn {
        purpose: Purpose::Decide { app: app() },
        redirect: words.redirect.into(),
        ..plain(words)
    };
    pages.add("sign-in-decide", &deciding);
    let may_not = SignInProblem::MayNot {
        user: words.user.into(),
    };
    let page = SignIn {
        problem: Some(may_not),
        ..deciding.clone()
    };
    pages.add("sign-in-may-not", &page);
    let page = SignIn {
        purpose: Purpose::Decide { app: None },
        user: fixed(words),
        ..deciding.clone()
    };
    pages.add("sign-in-fixed", &page);
    let page = SignIn {
        purpose: Purpose::DecideFresh { app: app() },
        user: fixed(words),
        ..deciding
    };
    pages.add("sign-in-again-decide", &page);
}

fn setups(words: &Words, pages: &mut Pages) {
    let site = words.site();
    let setup = |state| Setup {
        shell: site.door(),
        site: site.clone(),
        state,
    };
    pages.add("setup", &setup(SetupState::Asking(SetupForm::default())));
    for (name, problem) in [
        ("code", SetupProblem::CodeWrong),
        ("too-many", SetupProblem::TooMany { minutes: 10 }),
        ("nameless", SetupProblem::NameMissing),
        ("unfit", SetupProblem::NameUnfit),
        ("short", SetupProblem::PasswordTooShort { least: 8 }),
        ("long", SetupProblem::PasswordTooLong { most: 1024 }),
        ("differ", SetupProblem::Differ),
    ] {
        let form = SetupForm {
            code: words.app.into(),
            name: words.user.into(),
            problem: Some(problem),
        };
        pages.add(&format!("setup-{name}"), &setup(SetupState::Asking(form)));
    }
    pages.add("setup-outside", &setup(SetupState::NotFromHere));
    pages.add("setup-done", &setup(SetupState::Done));
}
