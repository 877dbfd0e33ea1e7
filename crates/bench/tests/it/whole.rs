//! `./bench` as a whole, in small: whether the harness still fits what it measures. How fast anything is, is not asked.

use std::path::Path;
use std::time::Duration;

use latchkey_bench::board::{Board, LATENCY, MEMORY, PROCESSOR, THROUGHPUT};
use latchkey_bench::contenders::Setting;
use latchkey_bench::hosts;
use latchkey_bench::paths::{self, Choice, Field, Size};
use tempfile::TempDir;

/// With the `latchkey` that was built beside this test. `./test it` builds it; alone, `cargo build -p latchkey` does.
fn setting() -> Option<(TempDir, Setting)> {
    let own = Path::new(env!("CARGO_BIN_EXE_latchkey-bench"));
    let latchkey = own.with_file_name("latchkey");
    if !latchkey.exists() {
        #[expect(clippy::print_stderr, reason = "what is left out is said loudly")]
        {
            eprintln!("left out: {} was not built", latchkey.display());
        }
        return None;
    }
    let folder = TempDir::with_prefix("latchkey-bench-").unwrap();
    let setting = Setting {
        latchkey,
        own: own.to_owned(),
        nginx: None,
        peers: None,
        folder: folder.path().to_owned(),
    };
    Some((folder, setting))
}

#[tokio::test]
async fn latchkey_and_the_direct_way_are_measured() {
    let Some((_folder, setting)) = setting() else {
        return;
    };
    let mut board = Board::default();
    let field = Field::start(&setting, &Choice::default(), &mut board)
        .await
        .unwrap();
    let left_out =
        ["nginx", "bore", "rathole"].map(|name| format!("{name} is not here and is left out."));
    assert_eq!(board.troubles, left_out);
    let size = Size {
        rounds: 1,
        time: Duration::from_millis(200),
        rate: 50,
        bulk: 2_000_000,
        viewers: 3,
    };
    paths::measure(&field, &size, &Choice::default(), &mut board)
        .await
        .unwrap();
    assert_eq!(board.troubles[3..], [] as [String; 0], "nothing went wrong");
    for measure in THROUGHPUT
        .iter()
        .chain(&LATENCY)
        .chain(&PROCESSOR)
        .chain(&MEMORY)
    {
        for name in ["direct", "latchkey"] {
            let spread = board.spread(measure.key, name);
            assert!(
                spread.is_some_and(|it| it.median >= 0.0),
                "{name}: {}",
                measure.title
            );
        }
    }
    for measure in THROUGHPUT.iter().chain(&MEMORY) {
        assert!(
            board.spread(measure.key, "latchkey").unwrap().median > 0.0,
            "{}",
            measure.title
        );
    }
}

#[tokio::test]
async fn hosts_are_counted_and_come_back() {
    let Some((_folder, setting)) = setting() else {
        return;
    };
    let idle = hosts::idle(&setting, 4).await.unwrap();
    assert_eq!(idle.hosts, 4);
    let back = hosts::back(&setting, 4).await.unwrap();
    assert!(
        0.0 < back.half && back.half <= back.most && back.most <= back.all,
        "{back:?}"
    );
}
