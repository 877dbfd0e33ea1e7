//! A host is found in the local network by a client that is not ours, and says no more there than it should. Each story
//! has a network of its own.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

use crate::harness::home::Home;
use crate::harness::lan::Lan;
use crate::harness::somebody::{HEARD_WITHIN, LATCHKEY, OCTOPRINT, Somebody, python};

const PORT: u16 = 5010;

const GUIDE: &str = include_str!("../../../../docs/guide/find-a-host.md");

/// A host that is in `lan` and has not started. What is behind it is away.
async fn host(lan: &Lan, name: &str, listen: &str) -> Home {
    let mut home = Home::prepare("http://127.0.0.1:1", "key").await;
    home.configure("name", json!(name));
    home.configure("listen", json!(listen));
    home.host.move_to(&lan.host);
    home
}

async fn started(lan: &Lan, name: &str, listen: &str) -> Home {
    let mut home = host(lan, name, listen).await;
    home.start_host().await;
    home
}

#[tokio::test]
async fn an_app_finds_a_host_and_hears_when_it_goes() {
    let lan = Lan::connect().await;
    let mut app = Somebody::browsing(&lan.apps).await;
    let mut home = started(&lan, "Büro 2.4", "0.0.0.0:5010").await;
    // A dot that the library can hear: see `announce/services.rs`.
    let name = "Büro 2\u{2024}4";

    let latchkey = app.finds(LATCHKEY, name).await;
    let octoprint = app.finds(OCTOPRINT, name).await;
    for service in [&latchkey, &octoprint] {
        assert_eq!(service["port"], PORT);
        assert_eq!(service["addresses"], json!([Lan::HOST]));
        assert_eq!(service["hostname"], latchkey["hostname"]);
    }
    let hostname = latchkey["hostname"].as_str().unwrap();
    let id = hostname
        .strip_prefix("latchkey-")
        .and_then(|rest| rest.strip_suffix(".local."))
        .unwrap();
    assert!(id.len() == 8 && id == id.to_ascii_lowercase(), "{hostname}");
    assert_eq!(latchkey["texts"], json!({"path": "/latchkey/"}));
    let uuid = octoprint["texts"]["uuid"].as_str().unwrap();
    assert!(uuid.len() == 36 && uuid.starts_with(id), "{uuid}");
    assert_eq!(
        octoprint["texts"],
        json!({"path": "/", "version": "1.11.8", "api": "0.1", "uuid": uuid})
    );
    let asked = app.asks(OCTOPRINT, name).await;
    assert_eq!(asked["texts"], octoprint["texts"]);
    assert_eq!(app.fetches(&latchkey, "/login/").await, 200);

    home.host.terminate().await;
    app.hears_goodbye(name).await;
    assert!(home.host.ended().await.success());

    // After a restart it is the same one.
    app.heard.clear();
    home.start_host().await;
    let again = app.finds(OCTOPRINT, name).await;
    assert_eq!(again["texts"], octoprint["texts"]);
    assert_eq!(again["hostname"], octoprint["hostname"]);
    home.host.stop().await;
}

#[tokio::test]
async fn what_is_announced_is_where_the_host_listens() {
    let lan = Lan::connect().await;
    let second = "10.77.0.3";
    lan.host.take_address(second).await;
    lan.host.take_address(Lan::HOST_V6).await;
    lan.apps.take_address(Lan::APPS_V6).await;
    let mut app = Somebody::browsing(&lan.apps).await;
    for (name, listen, expected) in [
        ("One", "10.77.0.3:5010", vec![second]),
        ("All", "0.0.0.0:5010", vec![Lan::HOST, second]),
        ("Both", "[::]:5010", vec![Lan::HOST, second, Lan::HOST_V6]),
    ] {
        let mut home = started(&lan, name, listen).await;
        let is_there = |heard: &Value| {
            heard["kind"] == LATCHKEY
                && heard["name"] == name
                && addresses(heard).is_some_and(|found| found == expected)
        };
        // The two families come in packets of their own.
        app.hears_like(listen, HEARD_WITHIN, is_there).await;
        home.host.stop().await;
    }
}

/// Where a service is, without the addresses of IPv6 that count on one cable only.
fn addresses(service: &Value) -> Option<Vec<&str>> {
    let all = service["addresses"].as_array()?.iter();
    let all = all.filter_map(Value::as_str);
    Some(all.filter(|one| !one.starts_with("fe80:")).collect())
}

#[tokio::test]
async fn a_host_that_is_to_be_silent_or_is_for_its_own_machine_is_not_found() {
    let lan = Lan::connect().await;
    let mut app = Somebody::browsing(&lan.apps).await;
    let mut silent = host(&lan, "Silent", "0.0.0.0:5010").await;
    silent.configure("announce", json!(false));
    silent.start_host().await;
    let mut own = started(&lan, "Own", "127.0.0.1:5020").await;
    for home in [&mut silent, &mut own] {
        home.host.await_line("not announced").await;
    }
    assert_eq!(app.asks(OCTOPRINT, "Silent").await["event"], "refused");

    // Whoever finds the one that came last would have found the others.
    let mut loud = started(&lan, "Loud", "0.0.0.0:5030").await;
    app.finds(OCTOPRINT, "Loud").await;
    app.finds(LATCHKEY, "Loud").await;
    for heard in &app.heard {
        assert!(
            heard["name"] != "Silent" && heard["name"] != "Own",
            "{heard}"
        );
    }
    for home in [&mut silent, &mut own, &mut loud] {
        home.host.stop().await;
    }
}

#[tokio::test]
async fn an_impostor_changes_nothing_about_a_host() {
    let lan = Lan::connect().await;
    let mut app = Somebody::browsing(&lan.apps).await;
    let mut home = started(&lan, "Workshop", "0.0.0.0:5010").await;
    let mut honest = Vec::new();
    for kind in [OCTOPRINT, LATCHKEY] {
        app.finds(kind, "Workshop").await;
        honest.push((kind, app.asks(kind, "Workshop").await));
    }
    assert_eq!(honest[0].1["port"], PORT);

    // The same names, the host's own among them, with another address, port and identity.
    let mut impostor = Somebody::at(&lan.apps);
    for (kind, service) in &honest {
        let lie = json!({
            "kind": kind,
            "name": "Workshop",
            "port": 6666,
            "hostname": service["hostname"],
            "address": Lan::APPS,
            "texts": {"path": "/elsewhere/", "uuid": "11111111-2222-8333-8444-555555555555"},
        });
        impostor.does(json!({"announce": lie})).await;
        impostor.hears("announced").await;
    }
    for (kind, service) in &honest {
        assert_eq!(&app.asks(kind, "Workshop").await, service);
    }
    let found = app.finds(LATCHKEY, "Workshop").await;
    assert_eq!(app.fetches(&found, "/login/").await, 200);
    home.host.stop().await;
    assert_eq!(home.host.count_lines("has the host's name"), 0);
}

#[tokio::test]
async fn a_name_that_somebody_has_stays_theirs() {
    let lan = Lan::connect().await;
    let name = "Prusa MK3";
    let mut first = Somebody::at(&lan.apps);
    let service = json!({
        "kind": OCTOPRINT,
        "name": name,
        "port": 80,
        "hostname": "octopi.local.",
        "address": Lan::APPS,
        "texts": {"path": "/"},
    });
    first.does(json!({"announce": service})).await;
    first.hears("announced").await;

    let mut home = started(&lan, name, "0.0.0.0:5010").await;
    let line = r#"is announced in the local network","service.name":"Prusa MK3 (2)""#;
    home.host.await_line(line).await;
    let mut app = Somebody::browsing(&lan.apps).await;
    for kind in [OCTOPRINT, LATCHKEY] {
        let ours = app.finds(kind, "Prusa MK3 (2)").await;
        assert_eq!(ours["port"], PORT);
        let answer = app.asks(kind, "Prusa MK3 (2)").await;
        assert_eq!(answer["port"], PORT);
    }
    assert_eq!(home.host.count_lines("has the host's name"), 1);
    assert_eq!(app.finds(OCTOPRINT, name).await["port"], 80);
    home.host.terminate().await;
    app.hears_goodbye("Prusa MK3 (2)").await;
    assert!(home.host.ended().await.success());
}

#[tokio::test]
async fn of_two_hosts_that_start_together_one_gives_way() {
    let lan = Lan::connect().await;
    let mut homes = [
        host(&lan, "Voron", "0.0.0.0:5010").await,
        host(&lan, "Voron", "0.0.0.0:5010").await,
    ];
    homes[1].host.move_to(&lan.apps);
    for home in &mut homes {
        home.host.start();
    }
    let line = r#"is announced in the local network","service.name":"Voron (2)""#;
    let [one, other] = &mut homes;
    tokio::select! {
        () = one.host.await_line(line) => {}
        () = other.host.await_line(line) => {}
    }
    let gave_way = homes
        .each_ref()
        .map(|home| home.host.count_lines("has the host's name"));
    assert_eq!(gave_way.iter().sum::<usize>(), 1);

    let mut app = Somebody::browsing(&lan.apps).await;
    let mut hostnames = Vec::new();
    for name in ["Voron", "Voron (2)"] {
        let octoprint = app.finds(OCTOPRINT, name).await;
        assert_eq!(
            app.finds(LATCHKEY, name).await["hostname"],
            octoprint["hostname"]
        );
        hostnames.push(octoprint["hostname"].clone());
    }
    assert_ne!(hostnames[0], hostnames[1], "{:#?}", app.heard);
    for home in &mut homes {
        home.host.stop().await;
    }
}

#[tokio::test]
async fn a_host_with_two_interfaces_in_one_network_does_not_give_way_to_itself() {
    let lan = Lan::connect().await;
    lan.plug_in_again().await;
    let mut app = Somebody::browsing(&lan.apps).await;
    let mut home = started(&lan, "Both Legs", "[::]:5010").await;
    let is_there = |heard: &Value| {
        let all = [
            Lan::HOST,
            Lan::HOST_SECOND,
            Lan::HOST_V6,
            Lan::HOST_SECOND_V6,
        ];
        // The one that is announced last.
        heard["kind"] == OCTOPRINT
            && heard["name"] == "Both Legs"
            && addresses(heard).is_some_and(|found| found == all)
    };
    app.hears_like("both legs", HEARD_WITHIN, is_there).await;
    home.host.terminate().await;
    app.hears_goodbye("Both Legs").await;
    assert!(home.host.ended().await.success());
    assert_eq!(home.host.count_lines("has the host's name"), 0);
}

#[tokio::test]
async fn a_host_follows_the_addresses_of_its_machine() {
    let lan = Lan::without_addresses().await;
    lan.apps.take_address(Lan::APPS).await;
    let mut app = Somebody::browsing(&lan.apps).await;
    let mut home = started(&lan, "Early", "0.0.0.0:5010").await;
    home.host.await_line("no network is up yet").await;

    lan.host.take_address(Lan::HOST).await;
    let service = app.finds(OCTOPRINT, "Early").await;
    assert_eq!(service["addresses"], json!([Lan::HOST]));

    let second = "10.77.0.3";
    lan.host.lose_address(Lan::HOST).await;
    lan.host.take_address(second).await;
    let moved = |heard: &Value| {
        heard["name"] == "Early" && addresses(heard).is_some_and(|all| all.contains(&second))
    };
    app.hears_like("the new address", HEARD_WITHIN, moved).await;
    home.host.stop().await;
}

#[tokio::test]
async fn a_host_that_cannot_be_announced_says_so_and_goes_on() {
    let lan = Lan::connect().await;
    // A program that shares the port with nobody.
    let hold = "import socket, sys\n\
        held = [socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]\n\
        held[1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\n\
        [one.bind(('', 5353)) for one in held]\n\
        print('held')\n\
        sys.stdin.read()";
    let mut holder = python(&lan.host).args(["-c", hold]).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let line = timeout(HEARD_WITHIN, lines.next_line()).await.unwrap();
    assert_eq!(line.unwrap().unwrap(), "held");

    let mut home = started(&lan, "Unheard", "0.0.0.0:5010").await;
    home.host.await_line("holds UDP port 5353").await;
    let mut app = Somebody::at(&lan.apps);
    let told = json!({"addresses": [Lan::HOST], "port": PORT, "hostname": Lan::HOST});
    assert_eq!(app.fetches(&told, "/login/").await, 200);
    home.host.stop().await;
}

#[tokio::test]
async fn the_guides_example_finds_a_host() {
    let (_, rest) = GUIDE.split_once("```python\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let lan = Lan::connect().await;
    let mut home = started(&lan, "Garage Voron", "0.0.0.0:5010").await;
    let mut program = python(&lan.apps).args(["-c", example]).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("Garage Voron") {
                return line;
            }
        }
        panic!("the example ended");
    };
    let line = timeout(HEARD_WITHIN, found).await.expect("a line");
    assert!(line.contains(Lan::HOST) && line.contains("5010"), "{line}");
    let mut input = program.stdin.take().unwrap();
    input.write_all(b"\n").await.unwrap();
    let ended = timeout(HEARD_WITHIN, program.wait()).await.unwrap();
    assert!(ended.unwrap().success());
    home.host.stop().await;
}
