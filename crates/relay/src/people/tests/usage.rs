//! What people see of their use.

use std::time::Duration;

use latchkey_model::clock::Clock;
use latchkey_model::limit::{Month, WebcamWindow};
use latchkey_store::relay::{MonthlyBytes, WatchedWebcam};

use crate::tests::Bench;

#[tokio::test]
async fn use_is_shown_beside_what_the_plan_allows() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.administrator("bob@example.com").await;
    let printer = bench.printer(&ann, "Garage").await;
    bench.app_connection(&ann, &printer, "Fieldglass").await;
    let now = bench.clock.now();
    let bytes = MonthlyBytes {
        account: ann.id.clone(),
        month: Month::of(now),
        bytes: 9_420_000_000,
    };
    let watched = WatchedWebcam {
        account: ann.id.clone(),
        printer: printer.id.clone(),
        window: WebcamWindow {
            began: now,
            used: Duration::from_secs(725),
        },
    };
    let usage = bench.store().account_usage();
    usage.keep(&[bytes], &[watched]).await.unwrap();
    let own = format!("/printers/{}", printer.id);
    let managed = format!("/admin/accounts/{}", ann.id);
    let mut browser = bench.signed_in(&ann).await;
    let mut administrator = bench.signed_in(&bob).await;
    let page = browser.get("/account").await;
    page.says("9.4 GB this month. Your plan has no limit on that.");
    let page = browser.get(&own).await;
    page.says("9.4 GB this month");
    assert!(!page.text.contains("This camera"));
    let page = administrator.get(&managed).await;
    page.says("9.4 GB this month. Their plan has no limit on that.");
    let accounts = bench.store().accounts();
    let small = "small".parse().unwrap();
    accounts.set_plan(&ann.id, &small).await.unwrap();
    for page in [
        browser.get("/account").await,
        administrator.get(&managed).await,
    ] {
        page.says("9.4 GB of 10 GB this month.");
        page.says("<dt>Printers</dt><dd>1 of 1</dd>");
        page.says("<dt>App connections</dt><dd>1 of 1</dd>");
        page.says("<dt>Largest upload</dt><dd>500 MB</dd>");
        page.says("1 hour in 1 day, for each printer");
        page.says("12 minutes of <bdi>Garage</bdi>");
        assert!(!page.text.contains("no limit"));
    }
    let page = browser.get(&own).await;
    page.says("9.4 GB of 10 GB this month");
    page.says("This camera: 12 minutes of 1 hour in 1 day");
    // Nobody knows the limits of a plan that is not configured.
    let gone = "gone".parse().unwrap();
    accounts.set_plan(&ann.id, &gone).await.unwrap();
    let page = administrator.get(&managed).await;
    page.says("9.4 GB this month.");
    assert!(!page.text.contains("plan has no limit"));
    // The month is over.
    bench.clock.set(now.plus(Month::of(now).left(now)));
    accounts.set_plan(&ann.id, &small).await.unwrap();
    let mut browser = bench.signed_in(&ann).await;
    browser.get("/account").await.says("0 bytes of 10 GB");
}
