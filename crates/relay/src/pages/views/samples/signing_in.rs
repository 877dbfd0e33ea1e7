//! Signing in and up.

use super::{Pages, Words};
use crate::pages::views::{
    Beside, CodeProblem, SignIn, SignInCode, SignInProblem, SignUp, SignUpProblem, WhoMaySignUp,
};

pub(super) fn add(words: &Words, pages: &mut Pages) {
    let sign_in = SignIn {
        shell: words.site().door(),
        site: words.site(),
        app: None,
        email: words.email.into(),
        again: false,
        turn_back: "/printers".into(),
        then: "/printers".into(),
        sign_up: Some("/sign-up?then=/printers".into()),
        by_mail: true,
        beside: Beside {
            passkey: true,
            ..Beside::default()
        },
        problem: None,
    };
    pages.add("sign-in", &sign_in);
    for (name, problem) in [
        ("wrong", SignInProblem::WrongPair),
        ("too-many", SignInProblem::TooMany { minutes: 12 }),
        ("stale", SignInProblem::Stale),
        ("busy", SignInProblem::Busy),
        ("took-too-long", SignInProblem::TookTooLong),
    ] {
        let page = SignIn {
            app: Some(words.asking_app()),
            problem: Some(problem),
            ..sign_in.clone()
        };
        pages.add(&format!("sign-in-{name}"), &page);
    }
    let again = SignIn {
        again: true,
        ..sign_in.clone()
    };
    pages.add("sign-in-again", &again);
    let with_code = SignIn {
        beside: Beside {
            passkey: true,
            code: true,
            needed: true,
        },
        problem: Some(SignInProblem::WrongCode),
        ..again.clone()
    };
    pages.add("sign-in-again-with-code", &with_code);
    let for_app = SignIn {
        app: Some(words.asking_app()),
        ..again
    };
    pages.add("sign-in-again-for-app", &for_app);
    let closed = SignIn {
        sign_up: None,
        by_mail: false,
        ..sign_in
    };
    pages.add("sign-in-closed", &closed);
    code(words, pages);
    sign_up(words, pages);
}

fn code(words: &Words, pages: &mut Pages) {
    let code = SignInCode {
        shell: words.site().door(),
        site: words.site(),
        app: None,
        step: "lk_step_example".into(),
        then: "/printers".into(),
        problem: None,
    };
    pages.add("sign-in-code", &code);
    for (name, problem) in [
        ("wrong", CodeProblem::Wrong),
        ("too-many", CodeProblem::TooMany { minutes: 12 }),
    ] {
        let page = SignInCode {
            app: Some(words.asking_app()),
            problem: Some(problem),
            ..code.clone()
        };
        pages.add(&format!("sign-in-code-{name}"), &page);
    }
}

fn sign_up(words: &Words, pages: &mut Pages) {
    let sign_up = SignUp {
        shell: words.site().door(),
        site: words.site(),
        app: Some(words.asking_app()),
        who: WhoMaySignUp::Everybody,
        email: words.email.into(),
        invitation: String::new(),
        then: "/appportal/v1?appid=fieldglass".into(),
        sign_in: "/sign-in?then=/printers".into(),
        problem: None,
    };
    pages.add("sign-up", &sign_up);
    let first = SignUp {
        app: None,
        who: WhoMaySignUp::FirstAdministrator,
        invitation: "lk_link_example".into(),
        ..sign_up.clone()
    };
    pages.add("sign-up-first", &first);
    for (name, problem) in [
        ("unfit", SignUpProblem::EmailUnfit),
        ("taken", SignUpProblem::EmailTaken),
        ("short", SignUpProblem::PasswordTooShort { least: 12 }),
        ("long", SignUpProblem::PasswordTooLong { most: 1024 }),
        ("not-invited", SignUpProblem::NotInvited),
        ("too-many", SignUpProblem::TooMany { minutes: 1 }),
        ("stale", SignUpProblem::Stale),
        ("busy", SignUpProblem::Busy),
    ] {
        let page = SignUp {
            app: None,
            who: WhoMaySignUp::WithInvitation,
            problem: Some(problem),
            ..sign_up.clone()
        };
        pages.add(&format!("sign-up-{name}"), &page);
    }
}
