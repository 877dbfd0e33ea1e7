//! Letters about prints, to a mail server that keeps them.

use latchkey_model::account::Account;
use latchkey_model::clock::Timestamp;
use latchkey_model::printer::Printer;
use latchkey_model::printing::{PrinterEvent, Progress};

use super::*;
use crate::tests::{Bench, MailServer};

struct Scene {
    server: MailServer,
    bench: Bench,
    owner: Account,
    printer: Printer,
}

impl Scene {
    async fn new() -> Self {
        let server = MailServer::start().await;
        let bench = Bench::with_mail(&server).await;
        let owner = confirmed(&bench, "ann@example.com").await;
        let printer = bench.printer(&owner, "Garage Voron").await;
        Self {
            server,
            bench,
            owner,
            printer,
        }
    }

    async fn choose(&self, account: &Account, occasions: &[Occasion]) {
        let occasions = Occasions::of(occasions.iter().copied());
        let letters = &self.bench.state.print_letters;
        let chosen = letters
            .choose(&self.printer.id, &account.id, occasions)
            .await;
        assert!(chosen.unwrap());
    }

    async fn happen(&self, kind: EventKind) {
        self.happen_at(kind, self.bench.clock.now()).await;
    }

    async fn happen_at(&self, kind: EventKind, at: Timestamp) {
        let event = PrinterEvent {
            at,
            kind,
            print: None,
            file: Some("vase.gcode".to_owned()),
            progress: Progress::default(),
            message: (kind == EventKind::Error).then(|| "thermal runaway".to_owned()),
        };
        let events = &self.bench.state.events;
        events.note(&self.printer.id, event).await.unwrap();
    }

    async fn write(&self) {
        self.bench.state.print_letters.write_due().await;
    }

    fn pass_time(&self, span: Duration) {
        let now = self.bench.clock.now().plus(span);
        self.bench.clock.set(now);
    }
}

async fn confirmed(bench: &Bench, email: &str) -> Account {
    let account = bench.account(email).await;
    let now = bench.clock.now();
    let accounts = bench.store().accounts();
    let noted = accounts
        .note_verified(&account.id, &account.email, now)
        .await;
    assert!(noted.unwrap());
    account
}

#[tokio::test]
async fn each_is_written_to_about_what_they_chose_and_once() {
    let scene = Scene::new().await;
    let mia = confirmed(&scene.bench, "mia@example.com").await;
    scene.bench.share(&scene.printer, &mia).await;
    scene.happen(EventKind::Complete).await;
    scene
        .choose(&scene.owner, &[Occasion::Done, Occasion::NeedsYou])
        .await;
    scene.choose(&mia, &[Occasion::Trouble]).await;
    for kind in [EventKind::Started, EventKind::Complete, EventKind::Paused] {
        scene.happen(kind).await;
    }
    scene.write().await;
    let letter = scene.server.letter().await;
    assert_eq!(letter.to, ["ann@example.com"]);
    let subject = "A print is complete, at relay.example.net";
    assert_eq!(letter.subject(), subject);
    assert!(letter.body.contains("Garage Voron"), "{}", letter.body);
    assert!(letter.body.contains("vase.gcode"), "{}", letter.body);
    let page = format!(
        "https://relay.example.net/printers/{}#letters",
        scene.printer.id
    );
    // Long lines are folded on their way.
    let unfolded = letter.body.replace("=\r\n", "").replace("=\n", "");
    assert!(unfolded.contains(&page), "{}", letter.body);
    scene.write().await;
    scene.happen(EventKind::Error).await;
    scene.write().await;
    let letter = scene.server.letter().await;
    assert_eq!(letter.to, ["mia@example.com"]);
    assert!(letter.body.contains("thermal runaway"), "{}", letter.body);
    scene.server.is_quiet().await;
}

#[tokio::test]
async fn who_may_not_use_it_or_has_no_confirmed_address_gets_no_letter() {
    let scene = Scene::new().await;
    let mia = confirmed(&scene.bench, "mia@example.com").await;
    let bob = scene.bench.account("bob@example.com").await;
    for member in [&mia, &bob] {
        scene.bench.share(&scene.printer, member).await;
        scene.choose(member, &[Occasion::Done]).await;
    }
    let life = &scene.bench.state.life;
    assert!(
        life.remove_member(&scene.printer.id, &mia.id)
            .await
            .unwrap()
    );
    let eve = confirmed(&scene.bench, "eve@example.com").await;
    let letters = &scene.bench.state.print_letters;
    let some = Occasions::of([Occasion::Done]);
    let chosen = letters.choose(&scene.printer.id, &eve.id, some).await;
    assert!(!chosen.unwrap());
    scene.happen(EventKind::Complete).await;
    scene.write().await;
    scene.server.is_quiet().await;
}

#[tokio::test]
async fn away_is_who_does_not_come_back() {
    let scene = Scene::new().await;
    scene
        .choose(&scene.owner, &[Occasion::Away, Occasion::Done])
        .await;
    scene.happen(EventKind::Offline).await;
    scene.write().await;
    scene.happen(EventKind::Online).await;
    scene.pass_time(AWAY);
    scene.write().await;
    scene.happen(EventKind::Offline).await;
    scene.write().await;
    scene.server.is_quiet().await;
    scene.pass_time(AWAY);
    scene.write().await;
    let letter = scene.server.letter().await;
    let subject = "A printer is not connected, at relay.example.net";
    assert_eq!(letter.subject(), subject);
    scene.write().await;
    scene.server.is_quiet().await;
}

#[tokio::test]
async fn nobody_gets_a_flood_or_yesterdays_news() {
    let scene = Scene::new().await;
    scene
        .choose(&scene.owner, &[Occasion::Trouble, Occasion::Done])
        .await;
    let begun = scene.bench.clock.now();
    scene.pass_time(LATE);
    scene.happen_at(EventKind::Complete, begun).await;
    for _ in 0..20 {
        scene.happen(EventKind::Error).await;
    }
    scene.write().await;
    for _ in 0..12 {
        let letter = scene.server.letter().await;
        assert_eq!(letter.subject(), "A print has failed, at relay.example.net");
    }
    scene.server.is_quiet().await;
    scene.pass_time(Duration::from_hours(1));
    scene.happen(EventKind::Complete).await;
    scene.write().await;
    let letter = scene.server.letter().await;
    assert_eq!(
        letter.subject(),
        "A print is complete, at relay.example.net"
    );
}

#[tokio::test]
async fn letters_come_by_themselves_until_the_relay_stops() {
    let scene = Scene::new().await;
    scene.choose(&scene.owner, &[Occasion::Done]).await;
    let stop = CancellationToken::new();
    let letters = scene.bench.state.print_letters.clone();
    let running = tokio_util::task::TaskTracker::new().spawn(letters.run(stop.clone()));
    scene.happen(EventKind::Complete).await;
    assert_eq!(scene.server.letter().await.to, ["ann@example.com"]);
    stop.cancel();
    running.await.unwrap();
    // Without a mail server there is nothing to run.
    let bench = Bench::new().await;
    bench
        .state
        .print_letters
        .clone()
        .run(CancellationToken::new())
        .await;
}
