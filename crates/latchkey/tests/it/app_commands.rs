//! `latchkey app …`: registered apps, from the command line.

use std::path::PathBuf;

use latchkey_model::app::AppId;
use latchkey_store::RelayStore;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::harness::PATIENCE;
use crate::harness::stack::latchkey;

/// The commands on a relay that does not run.
struct Commands {
    folder: TempDir,
}

struct Ended {
    code: Option<i32>,
    result: String,
    said: String,
}

impl Commands {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let text = "public_url: http://localhost:7010\nconnection_domain: localhost:7010\n";
        std::fs::write(folder.path().join("relay.yaml"), text).unwrap();
        Self { folder }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    async fn app(&self, arguments: &[&str]) -> Ended {
        let mut command = latchkey();
        command.arg("app").args(arguments);
        command.arg("--config").arg(self.at("relay.yaml"));
        let output = timeout(PATIENCE, command.output()).await;
        let output = output.expect("it ends").unwrap();
        Ended {
            code: output.status.code(),
            result: String::from_utf8(output.stdout).unwrap(),
            said: String::from_utf8(output.stderr).unwrap(),
        }
    }

    async fn list(&self) -> Vec<Value> {
        let ended = self.app(&["list", "--json"]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        serde_json::from_str(&ended.result).unwrap()
    }
}

/// A picture of one red pixel to each of 16 by 16: zlib with stored blocks, so that no encoder is
/// needed here.
fn red_png() -> Vec<u8> {
    let row = [&[0_u8][..], &[255, 0, 0].repeat(16)].concat();
    let raw = row.repeat(16);
    let length = u16::try_from(raw.len()).unwrap();
    let adler = raw.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (a + b) % 65521)
    });
    let mut zlib = vec![0x78, 0x01, 0x01];
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(raw);
    zlib.extend((adler.1 << 16 | adler.0).to_be_bytes());
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let head = [
        &16_u32.to_be_bytes()[..],
        &16_u32.to_be_bytes(),
        &[8, 2, 0, 0, 0],
    ]
    .concat();
    for (kind, body) in [(b"IHDR", head), (b"IDAT", zlib), (b"IEND", Vec::new())] {
        file.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        let chunk = [&kind[..], &body].concat();
        file.extend(&chunk);
        file.extend(crc32(&chunk).to_be_bytes());
    }
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[tokio::test]
async fn apps_are_registered_listed_and_removed() {
    let commands = Commands::new();
    std::fs::write(commands.at("logo.png"), red_png()).unwrap();
    let logo = commands.at("logo.png");
    let added = commands
        .app(&[
            "add",
            "Fieldglass",
            "--name",
            "Fieldglass for iPad",
            "--developer",
            "Northlight Labs",
            "--website",
            "https://northlight.example",
            "--target",
            "fieldglass:",
            "--target",
            "http://127.0.0.1/cb",
            "--logo",
            logo.to_str().unwrap(),
            "--json",
        ])
        .await;
    assert_eq!(added.code, Some(0), "{}", added.said);
    let app: Value = serde_json::from_str(&added.result).unwrap();
    assert_eq!(app["id"], "fieldglass");
    assert_eq!(
        app["targets"],
        json!(["fieldglass:", "http://127.0.0.1/cb"])
    );
    assert_eq!(
        (&app["logo"], &app["verified"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(commands.list().await, [app]);
    let store = RelayStore::open(commands.at("data/relay.db"))
        .await
        .unwrap();
    let kept = store
        .apps()
        .find_logo(&AppId::parse("fieldglass").unwrap())
        .await
        .unwrap()
        .unwrap();
    assert!(kept.starts_with(b"\x89PNG") && kept != red_png());
    store.close().await;
    let removed = commands.app(&["remove", "FIELDGLASS"]).await;
    assert_eq!(
        (removed.code, removed.result.as_str()),
        (Some(0), ""),
        "{}",
        removed.said
    );
    assert_eq!(commands.list().await, [] as [Value; 0]);
    assert_eq!(commands.app(&["remove", "fieldglass"]).await.code, Some(1));
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_is_kept() {
    let commands = Commands::new();
    std::fs::write(
        commands.at("logo.svg"),
        "<svg xmlns='http://www.w3.org/2000/svg'/>",
    )
    .unwrap();
    let (svg, none) = (commands.at("logo.svg"), commands.at("none.png"));
    for (arguments, code, said) in [
        (&["add", "two words", "--name", "X"][..], 2, "id"),
        (
            &["add", "x", "--name", "X", "--target", "javascript:alert(1)"],
            2,
            "target",
        ),
        (
            &["add", "x", "--name", "X", "--website", "http://x.example"],
            2,
            "https://",
        ),
        (
            &["add", "x", "--name", "X", "--logo", svg.to_str().unwrap()],
            2,
            "PNG",
        ),
        (
            &["add", "x", "--name", "X", "--logo", none.to_str().unwrap()],
            1,
            "cannot read",
        ),
        (&["add", "x"], 2, "--name"),
    ] {
        let ended = commands.app(arguments).await;
        assert_eq!(ended.code, Some(code), "{arguments:?} {}", ended.said);
        assert!(ended.said.contains(said), "{arguments:?} {}", ended.said);
    }
    assert_eq!(commands.list().await, [] as [Value; 0]);
    assert_eq!(
        commands
            .app(&["add", "octopod", "--name", "OctoPod"])
            .await
            .code,
        Some(0)
    );
    for alike in [
        ["add", "octopod", "--name", "Other"],
        ["add", "other", "--name", "0cto-Pod"],
    ] {
        let ended = commands.app(&alike).await;
        assert_eq!(ended.code, Some(1), "{}", ended.said);
    }
    assert_eq!(commands.list().await.len(), 1);
}
