//! Administration beside accounts, the directory of apps, and a person's apps over all printers.

use latchkey_model::plan::Entitlements;
use latchkey_web::shell::BarShell;

use super::{Pages, Words, seconds_ago};
use crate::doctor::Finding;
use crate::pages::views::{
    AdminApp, AdminApps, AdminAudit, AdminPlans, AdminSystem, AdminTunnels, Allowed,
    AppConnectionsPage, AppDone, AppSomewhere, AppStanding, AppsDone, AuditWho, Directory, EndApp,
    ListedApp, ListedConnection, ListedEntry, ListedPlan, ListedTunnel, Privacy, RegisterForm,
    RegisteredView, Tab,
};

const ID: &str = "abcdefghijklmnopqrst";
const PRINTER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST";

pub(super) fn add(words: &Words, pages: &mut Pages) {
    plans(words, pages);
    tunnels(words, pages);
    apps(words, pages);
    app(words, pages);
    audit(words, pages);
    system(words, pages);
    directory(words, pages);
    connections(words, pages);
}

fn bar(words: &Words) -> BarShell {
    words.viewer().bar(&words.site(), Tab::Administration)
}

fn plans(words: &Words, pages: &mut Pages) {
    let plan = |name: &str, apps| ListedPlan {
        name: name.into(),
        default: apps,
        accounts: 12,
        allows: Some(Allowed(if apps {
            Entitlements::default()
        } else {
            Entitlements {
                app_connections: false,
                max_upload_bytes: Some(1 << 30),
                max_download_bytes: Some(1 << 30),
                max_webcam_stream_seconds: Some(300),
                max_webcam_seconds_per_window: Some(3_600),
                max_concurrent_streams: Some(20),
                max_bytes_per_month: Some(50_000_000_000),
                max_bytes_per_second: Some(2_000_000),
                max_printers: Some(3),
                max_app_connections: Some(10),
                ..Entitlements::default()
            }
        })),
    };
    let page = AdminPlans {
        shell: bar(words),
        site: words.site(),
        version: "0.1.0",
        plans: vec![
            plan("free", false),
            plan("supporter", true),
            ListedPlan {
                allows: None,
                ..plan("gone", false)
            },
        ],
    };
    pages.add("admin-plans", &page);
}

fn tunnels(words: &Words, pages: &mut Pages) {
    let tunnel = ListedTunnel {
        id: PRINTER.into(),
        tunnel: "tn_example".into(),
        printer: words.printer.into(),
        account: ID.into(),
        email: words.email.into(),
        version: words.version.into(),
        network: Some(words.network.into()),
        since: seconds_ago(3 * 86_400),
        connections: vec![
            ListedConnection {
                streams: 3,
                rate: 1_200_000,
                answers_in: Some(38),
            },
            ListedConnection {
                streams: 0,
                rate: 0,
                answers_in: Some(41),
            },
        ],
        copy: None,
    };
    let page = AdminTunnels {
        shell: bar(words),
        site: words.site(),
        version: "0.1.0",
        cut: false,
        open: 74,
        list: vec![
            tunnel.clone(),
            ListedTunnel {
                network: None,
                connections: vec![ListedConnection {
                    streams: 1,
                    rate: 900,
                    answers_in: None,
                }],
                copy: Some((seconds_ago(360), words.network.into())),
                ..tunnel
            },
        ],
        next: Some("/admin/tunnels?page=1".into()),
    };
    pages.add("admin-tunnels", &page);
    let none = AdminTunnels {
        cut: true,
        open: 0,
        list: Vec::new(),
        next: None,
        ..page
    };
    pages.add("admin-tunnels-none", &none);
}

fn registered(words: &Words) -> RegisteredView {
    RegisteredView {
        id: words.app.into(),
        path: "fieldglass".into(),
        name: words.app.into(),
        developer: Some(words.app.into()),
        website: Some("https://northlight.example".into()),
        targets: vec![words.app.into(), "http://127.0.0.1/".into()],
        logo: Some("/apps/fieldglass/logo.png".into()),
        standing: AppStanding::Verified,
        since: seconds_ago(86_400),
    }
}

fn bare(words: &Words) -> RegisteredView {
    RegisteredView {
        developer: None,
        website: None,
        targets: Vec::new(),
        logo: None,
        standing: AppStanding::Trial,
        ..registered(words)
    }
}

fn typed(words: &Words) -> RegisterForm {
    RegisterForm {
        id: words.app.into(),
        name: words.app.into(),
        developer: words.app.into(),
        website: words.app.into(),
        targets: words.app.into(),
        problem: Some(words.app.into()),
    }
}

fn apps(words: &Words, pages: &mut Pages) {
    let page = AdminApps {
        shell: bar(words),
        site: words.site(),
        version: "0.1.0",
        done: None,
        list: vec![registered(words), bare(words)],
        form: RegisterForm::default(),
    };
    pages.add("admin-apps", &page);
    for (name, done) in [
        ("registered", AppsDone::Registered),
        ("removed", AppsDone::Removed),
    ] {
        let page = AdminApps {
            done: Some(done),
            list: Vec::new(),
            form: typed(words),
            ..page.clone()
        };
        pages.add(&format!("admin-apps-{name}"), &page);
    }
}

fn app(words: &Words, pages: &mut Pages) {
    let page = AdminApp {
        shell: bar(words),
        site: words.site(),
        done: None,
        app: registered(words),
        form: RegisterForm {
            problem: None,
            ..typed(words)
        },
        logo_problem: None,
    };
    pages.add("admin-app", &page);
    for (name, done) in [
        ("changed", AppDone::Changed),
        ("logo", AppDone::NewLogo),
        ("no-logo", AppDone::NoLogo),
    ] {
        let page = AdminApp {
            done: Some(done),
            app: bare(words),
            form: typed(words),
            logo_problem: Some(words.app.into()),
            ..page.clone()
        };
        pages.add(&format!("admin-app-{name}"), &page);
    }
    let end = EndApp {
        shell: bar(words),
        site: words.site(),
        app: registered(words),
    };
    pages.add("admin-end-app", &end);
}

fn audit(words: &Words, pages: &mut Pages) {
    let account = || AuditWho::Account {
        id: ID.into(),
        email: words.email.into(),
    };
    let entry = ListedEntry {
        number: 1204,
        at: seconds_ago(60),
        who: account(),
        act: "App connection made".into(),
        about: None,
        printer: Some(words.printer.into()),
        detail: words.app.into(),
        from: Some(words.network.into()),
    };
    let page = AdminAudit {
        shell: bar(words),
        site: words.site(),
        version: "0.1.0",
        acts: vec![
            ("signed_in".into(), "Signed in".into()),
            ("plan_changed".into(), "Plan changed".into()),
        ],
        act: "plan_changed".into(),
        email: words.email.into(),
        nobody: false,
        list: vec![
            entry.clone(),
            ListedEntry {
                who: AuditWho::CommandLine,
                about: Some(account()),
                printer: None,
                from: None,
                ..entry.clone()
            },
            ListedEntry {
                who: AuditWho::App,
                act: "Webhook set".into(),
                from: None,
                ..entry.clone()
            },
            ListedEntry {
                who: AuditWho::Relay,
                about: Some(AuditWho::Gone { id: ID.into() }),
                printer: None,
                detail: String::new(),
                ..entry
            },
        ],
        next: Some("/admin/audit?before=1201".into()),
    };
    pages.add("admin-audit", &page);
    let nothing = AdminAudit {
        nobody: true,
        list: Vec::new(),
        next: None,
        ..page.clone()
    };
    pages.add("admin-audit-nobody", &nothing);
    let empty = AdminAudit {
        act: String::new(),
        email: String::new(),
        nobody: false,
        ..nothing
    };
    pages.add("admin-audit-empty", &empty);
}

fn system(words: &Words, pages: &mut Pages) {
    let page = AdminSystem {
        shell: bar(words),
        site: words.site(),
        version: "0.1.0",
        started: seconds_ago(7200),
        database: 4_200_000,
        free: Some(54_000_000_000),
        traffic: 0,
        facts: vec![("Web address", words.relay.into())],
        findings: vec![
            Finding::Fine(words.relay.into()),
            Finding::Note(words.relay.into()),
            Finding::Wrong {
                what: words.relay.into(),
                try_this: words.relay.into(),
            },
        ],
    };
    pages.add("admin-system", &page);
}

fn directory(words: &Words, pages: &mut Pages) {
    let page = Directory {
        shell: words.site().door(),
        site: words.site(),
        apps: vec![registered(words), bare(words)],
    };
    pages.add("apps", &page);
    let none = Directory {
        apps: Vec::new(),
        ..page
    };
    pages.add("apps-none", &none);
    let privacy = Privacy {
        shell: words.site().door(),
        site: words.site(),
    };
    pages.add("privacy", &privacy);
}

fn connections(words: &Words, pages: &mut Pages) {
    let app = ListedApp {
        id: ID.into(),
        app: words.app.into(),
        standing: AppStanding::Verified,
        logo: Some("/apps/fieldglass/logo.png".into()),
        watch_only: false,
        allowed_by: None,
        created: seconds_ago(86_400),
        used: Some(seconds_ago(60)),
        requests: 42,
        bytes: 9_400_000,
    };
    let somewhere = |app| AppSomewhere {
        app,
        printer: words.printer.into(),
        printer_id: PRINTER.into(),
    };
    let page = AppConnectionsPage {
        shell: words.viewer().bar(&words.site(), Tab::Apps),
        site: words.site(),
        revoked: false,
        list: vec![
            somewhere(app.clone()),
            somewhere(ListedApp {
                standing: AppStanding::Unverified,
                logo: None,
                watch_only: true,
                allowed_by: Some(words.email.into()),
                used: None,
                ..app
            }),
        ],
        more: true,
    };
    pages.add("app-connections", &page);
    let none = AppConnectionsPage {
        revoked: true,
        list: Vec::new(),
        more: false,
        ..page
    };
    pages.add("app-connections-none", &none);
}
