//! Hosts and relays as processes, paired by the command and by the host's page.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use http::StatusCode;
use latchkey_model::id::PrinterId;
use latchkey_store::RelayStore;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::harness::browser::Browser;
use crate::harness::http::Request;
use crate::harness::stack::{Process, free_address, latchkey};
use crate::harness::{eventually, within};

const PASSWORD: &str = "a few words in a row";

/// A relay, a host that knows no relay, and a browser of somebody with an account.
struct Bench {
    folder: TempDir,
    url: String,
    host_url: String,
    relay: Process,
    host: Process,
    ann: Browser,
}

impl Bench {
    async fn start() -> Self {
        let folder = TempDir::with_prefix("latchkey-pairing-").unwrap();
        let (relay_at, host_at) = (free_address(), free_address());
        let url = format!("http://localhost:{}", relay_at.port());
        let relay = json!({
            "listen": relay_at,
            "status_listen": null,
            "public_url": url,
            "connection_domain": format!("printers.localhost:{}", relay_at.port()),
            "data": "relay",
            "registration": "open",
        });
        std::fs::write(folder.path().join("relay.yaml"), relay.to_string()).unwrap();
        write_host(
            &folder.path().join("host.yaml"),
            &host_at.to_string(),
            "host",
        );
        let mut bench = Self {
            relay: Process::new("relay", folder.path()),
            host: Process::new("host", folder.path()),
            ann: Browser::at(&url),
            host_url: format!("http://{host_at}"),
            url,
            folder,
        };
        bench.start_relay().await;
        bench.ann.sign_up("ann@oyelaran.example", PASSWORD).await;
        bench
    }

    async fn start_relay(&mut self) {
        self.relay.start();
        self.relay.await_line("the relay is listening").await;
    }

    async fn start_host(&mut self) {
        self.host.start();
        self.host.await_line("the host is listening").await;
    }

    fn host_yaml(&self) -> PathBuf {
        self.folder.path().join("host.yaml")
    }

    async fn pair(&self) -> Pairing {
        Pairing::start(&self.host_yaml(), Some(&self.url)).await
    }

    /// Confirms a code in the browser, as a form without script does.
    async fn confirm(&mut self, code: &str, name: &str) -> String {
        let page = self.ann.open(&format!("/pair?code={code}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        for shown in [code, "Voron", "ann@oyelaran.example", "127.0.0.0/24"] {
            assert!(page.text().contains(shown), "{shown}: {}", page.text());
        }
        let fields = [("code", code), ("name", name), ("answer", "add")];
        let done = self.ann.post("/pair", &fields).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
        let page = done.header("location").strip_suffix("?done=paired");
        page.unwrap().strip_prefix("/printers/").unwrap().to_owned()
    }

    async fn store(&self) -> RelayStore {
        RelayStore::open(self.folder.path().join("relay/relay.db"))
            .await
            .unwrap()
    }

    /// What the host says of itself at home.
    async fn of_host(&self) -> Value {
        let asked = Request::get(format!("{}/api/plugin/latchkey", self.host_url));
        asked.send().await.read().await.json()
    }

    async fn await_connected(&self) {
        eventually("the host to be connected", async || {
            let host = self.of_host().await;
            host["relay"]["connected"] == true && host["paired"] == true
        })
        .await;
    }
}

fn write_host(file: &Path, listen: &str, data: &str) {
    let text = format!(
        "# Mine, with a word to myself.\nname: Voron # the red one\nlisten: {listen}\n\
         status_listen: null\nannounce: false\ndata: {data}\n\
         upstream: {{kind: generic, url: \"http://127.0.0.1:1\"}}\n"
    );
    std::fs::write(file, text).unwrap();
}

/// `latchkey pair` while it waits.
struct Pairing {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    code: String,
}

impl Pairing {
    async fn start(host_yaml: &Path, relay: Option<&str>) -> Self {
        let mut command = latchkey();
        command.arg("pair").arg("--config").arg(host_yaml);
        command.arg("--json").args(relay);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = within("a code", lines.next_line()).await.unwrap();
        let Some(first) = first else {
            let mut said = String::new();
            child
                .stderr
                .unwrap()
                .read_to_string(&mut said)
                .await
                .unwrap();
            panic!("no code: {said}");
        };
        let shown: Value = serde_json::from_str(&first).unwrap();
        let code = shown["code"].as_str().unwrap().to_owned();
        assert!(shown["link"].as_str().unwrap().ends_with(&code));
        Self { child, lines, code }
    }

    /// The exit code, what was printed at the end, and what was said to the person.
    async fn end(mut self) -> (i32, Option<Value>, String) {
        let last = within("the outcome", self.lines.next_line()).await.unwrap();
        let status = within("the end", self.child.wait()).await.unwrap();
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).await.unwrap();
        let last = last.map(|line| serde_json::from_str(&line).unwrap());
        (status.code().unwrap(), last, said)
    }
}

#[tokio::test]
async fn the_command_pairs_beside_a_running_host_which_connects_by_itself() {
    let mut bench = Bench::start().await;
    bench.start_host().await;
    assert_eq!(bench.of_host().await["paired"], false);
    let pairing = bench.pair().await;
    let code = pairing.code.clone();
    let printer = bench.confirm(&code, "Garage Voron").await;
    let (exit, told, said) = pairing.end().await;
    assert_eq!(exit, 0, "{said}");
    let told = told.unwrap();
    assert_eq!(told["account"], "a…@oyelaran.example");
    assert_eq!(told["printer_name"], "Garage Voron");
    assert_eq!(told["printer_id"], printer.as_str());
    assert!(said.contains("a…@oyelaran.example confirmed"), "{said}");
    bench.await_connected().await;
    assert_eq!(bench.of_host().await["printer_id"], printer.as_str());

    let text = std::fs::read_to_string(bench.host_yaml()).unwrap();
    assert!(text.starts_with("# Mine, with a word to myself.\nname: Voron # the red one\n"));
    assert!(
        text.contains(&format!("relay:\n  url: \"{}\"\n", bench.url)),
        "{text}"
    );

    // What the relay knows of it now.
    let store = bench.store().await;
    let id: PrinterId = printer.parse().unwrap();
    eventually("the host's address at home", async || {
        let seen = store.printers().load(&id).await.unwrap();
        seen.local_address.as_deref() == bench.host_url.strip_prefix("http://")
            && seen.seen.network.as_deref() == Some("127.0.0.0/24")
    })
    .await;

    // A second click, and a restart of both, change nothing.
    let fields = [
        ("code", code.as_str()),
        ("name", "Other"),
        ("answer", "add"),
    ];
    let again = bench.ann.post("/pair", &fields).await;
    let paired = format!("/printers/{printer}?done=paired");
    assert_eq!(again.header("location"), paired);
    bench.host.stop().await;
    bench.relay.stop().await;
    bench.start_relay().await;
    bench.start_host().await;
    bench.await_connected().await;
    let name = store.printers().load(&id).await.unwrap().name;
    assert_eq!(name.as_str(), "Garage Voron");
}

#[tokio::test]
async fn relay_and_host_may_restart_in_the_middle() {
    let mut bench = Bench::start().await;
    bench.start_host().await;
    let pairing = bench.pair().await;
    bench.relay.kill().await;
    bench.host.kill().await;
    bench.start_relay().await;
    bench.confirm(&pairing.code.clone(), "Garage").await;
    let (exit, told, said) = pairing.end().await;
    assert_eq!(
        (exit, &told.unwrap()["state"]),
        (0, &json!("confirmed")),
        "{said}"
    );
    bench.start_host().await;
    bench.await_connected().await;
}

#[tokio::test]
async fn a_host_that_is_refused_hears_so() {
    let mut bench = Bench::start().await;
    let before = std::fs::read_to_string(bench.host_yaml()).unwrap();
    let pairing = bench.pair().await;
    bench
        .ann
        .open(&format!("/pair?code={}", pairing.code))
        .await;
    let fields = [("code", pairing.code.as_str()), ("answer", "refuse")];
    let page = bench.ann.post("/pair", &fields).await;
    assert!(page.text().contains("Nothing was added"));
    let (exit, told, said) = pairing.end().await;
    assert_eq!((exit, told), (1, None), "{said}");
    assert!(said.contains("not theirs"), "{said}");
    assert_eq!(std::fs::read_to_string(bench.host_yaml()).unwrap(), before);
}

#[tokio::test]
async fn a_removed_printers_host_is_no_longer_paired_and_may_be_paired_again() {
    let mut bench = Bench::start().await;
    bench.start_host().await;
    let pairing = bench.pair().await;
    let printer = bench.confirm(&pairing.code.clone(), "Garage").await;
    assert_eq!(pairing.end().await.0, 0);
    bench.await_connected().await;

    let store = bench.store().await;
    let id: PrinterId = printer.parse().unwrap();
    let owner = store.printers().load(&id).await.unwrap().account;
    let now = latchkey_model::clock::Timestamp::from_millis(1);
    store
        .printers()
        .remove(&owner, &id, now)
        .await
        .unwrap()
        .unwrap();
    eventually("the host to hear of it", async || {
        let host = bench.of_host().await;
        host["relay"]["connected"] == false && host["paired"] == false
    })
    .await;
    // It does not knock again and again.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let dialled = bench.relay.count_lines("paired with no printer");
    assert!(dialled <= 2, "{dialled}");

    let pairing = Pairing::start(&bench.host_yaml(), None).await;
    assert_eq!(
        bench.confirm(&pairing.code.clone(), "Garage").await,
        printer
    );
    assert_eq!(pairing.end().await.0, 0);
    bench.await_connected().await;
}

#[tokio::test]
async fn a_copy_is_held_off_until_the_owner_wants_it() {
    let mut bench = Bench::start().await;
    bench.start_host().await;
    let pairing = bench.pair().await;
    let printer = bench.confirm(&pairing.code.clone(), "Garage").await;
    assert_eq!(pairing.end().await.0, 0);
    bench.await_connected().await;

    // The memory card, copied.
    let copied = bench.folder.path().join("copy");
    std::fs::create_dir_all(copied.join("host")).unwrap();
    for name in ["identity.key", "relay.json"] {
        let from = bench.folder.path().join("host").join(name);
        std::fs::copy(from, copied.join("host").join(name)).unwrap();
    }
    let copy_at = free_address();
    write_host(&copied.join("host.yaml"), &copy_at.to_string(), "host");
    let mut copy = Process::new("host", &copied);
    copy.start();
    copy.await_line("same identity").await;
    bench.await_connected().await;

    let path = format!("/printers/{printer}/swap");
    let page = bench.ann.open(&path).await;
    assert!(page.text().contains("127.0.0.0/24"), "{}", page.text());
    let done = bench.ann.post(&path, &[]).await;
    assert_eq!(done.header("location"), format!("/printers/{printer}"));
    // It asks again within half a minute, or at once when it is started anew.
    copy.kill().await;
    copy.start();
    copy.await_line("tunnel is up").await;
    eventually("the first to be held off", async || {
        bench.of_host().await["relay"]["connected"] == false
    })
    .await;
}

#[tokio::test]
async fn the_command_says_what_it_cannot_do() {
    let bench = Bench::start().await;
    let run = async |args: &[&str]| {
        let mut command = latchkey();
        command.arg("pair").arg("--config").arg(bench.host_yaml());
        let ended = within("the end", command.args(args).output())
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        (ended.status.code().unwrap(), said)
    };
    let (exit, said) = run(&[]).await;
    assert_eq!(exit, 2, "{said}");
    assert!(said.contains("which relay?"), "{said}");
    let (exit, said) = run(&["http://relay.example.com"]).await;
    assert_eq!(exit, 2, "{said}");
    assert!(said.contains("use https"), "{said}");
    let (exit, said) = run(&["https://relay.example.com/pair"]).await;
    assert_eq!(exit, 2, "{said}");
    let nobody = format!("http://localhost:{}", free_address().port());
    let (exit, said) = run(&[&nobody]).await;
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("is the relay running"), "{said}");
}

#[tokio::test]
async fn an_administrator_pairs_and_unpairs_on_the_hosts_page() {
    let mut bench = Bench::start().await;
    let mut added = latchkey();
    added.args([
        "user",
        "add",
        "ann",
        "--admin",
        "--password-stdin",
        "--config",
    ]);
    added.arg(bench.host_yaml()).stdin(Stdio::piped());
    let mut added = added.spawn().unwrap();
    let mut stdin = added.stdin.take().unwrap();
    stdin.write_all(PASSWORD.as_bytes()).await.unwrap();
    drop(stdin);
    assert!(added.wait().await.unwrap().success());
    bench.start_host().await;
    let mut page = Browser::at(&bench.host_url);
    page.open("/latchkey/relay").await;
    let login = Request::post(format!("{}/api/login", bench.host_url))
        .header("X-CSRF-Token", page.token())
        .json(&json!({"user": "ann", "pass": PASSWORD}));
    let login = page.send(login).await;
    assert_eq!(login.status, StatusCode::OK, "{}", login.text());

    let shown = page.get("/latchkey/relay").await;
    assert!(
        shown.text().contains("Connect to a relay"),
        "{}",
        shown.text()
    );
    let wrong = page.post("/latchkey/relay", &[("url", "nonsense/x")]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let url = bench.url.clone();
    let started = page.post("/latchkey/relay", &[("url", &url)]).await;
    assert_eq!(started.status, StatusCode::SEE_OTHER, "{}", started.text());
    let shown = page.get("/latchkey/relay").await;
    assert_eq!(shown.header("refresh"), "5");
    assert!(shown.text().contains("<svg class=\"qr\""));
    let (_, rest) = shown.text().split_once("class=\"big-code\">").unwrap();
    let code = rest.split_once('<').unwrap().0.to_owned();
    bench.confirm(&code, "Garage").await;
    bench.await_connected().await;
    let shown = page.get("/latchkey/relay").await;
    for text in ["a…@oyelaran.example", "Garage", "Connected"] {
        assert!(shown.text().contains(text), "{text}: {}", shown.text());
    }
    assert!(!shown.headers.contains_key("refresh"));

    page.get("/latchkey/relay/unpair").await;
    let left = page.post("/latchkey/relay/unpair", &[]).await;
    assert_eq!(left.status, StatusCode::SEE_OTHER);
    eventually("the host to have left", async || {
        bench.of_host().await["relay"].is_null()
    })
    .await;
    bench.host.stop().await;
    bench.start_host().await;
    assert!(bench.of_host().await["relay"].is_null());
}
