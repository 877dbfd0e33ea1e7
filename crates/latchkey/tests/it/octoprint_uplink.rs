//! The pages of a real OctoPrint over a relay: the same as without, and much less over the printer's uplink.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use http::{HeaderMap, StatusCode};
use latchkey_model::app_connection::AccessMode;

use crate::harness::eventually;
use crate::harness::http::{Request, Response};
use crate::harness::inproc::{Door, RunningRelay};
use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint};
use crate::harness::stack::free_address;

/// What changes with every answer: the time, how long it took, and what a session is called.
const EVER_NEW: [&str; 4] = ["date", "server-timing", "set-cookie", "x-from-cache"];

fn fields(of: &HeaderMap) -> HeaderMap {
    let mut fields = of.clone();
    for name in EVER_NEW {
        fields.remove(name);
    }
    fields
}

/// Everything that the page names and that is at the printer.
fn named_in(page: &str) -> BTreeSet<String> {
    let paths = ["src=\"", "href=\""].into_iter();
    paths
        .flat_map(|attribute| page.split(attribute).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.starts_with("/static/") || path.starts_with("/i18n/"))
        .map(str::to_owned)
        .collect()
}

/// How something is asked for by somebody who knows its tag.
type Ask = fn(Request, &str) -> Request;

struct House {
    octoprint: OctoPrint,
    door: Door,
    status: SocketAddr,
    _relay: RunningRelay,
}

impl House {
    async fn new() -> Self {
        let octoprint = OctoPrint::start().await;
        let status = free_address();
        let relay = RunningRelay::start(|relay| relay.status_listen = Some(status)).await;
        let address = SocketAddr::from(([127, 0, 0, 1], octoprint.port()));
        let door = relay.attach(address, AccessMode::Bearer, |_| {}).await;
        Self {
            octoprint,
            door,
            status,
            _relay: relay,
        }
    }

    /// The printer's own answer, as a proxy beside it would ask for it.
    fn direct(&self, path: &str) -> Request {
        Request::get(self.octoprint.url(path.trim_start_matches('/')))
            .header("X-Api-Key", ADMIN_API_KEY)
            .header("X-Forwarded-Host", &self.door.authority)
            .header("X-Forwarded-Proto", "http")
    }

    fn through(&self, path: &str) -> Request {
        Request::get(self.door.url(path))
            .via(self.door.address)
            .header("X-Api-Key", ADMIN_API_KEY)
            .header_opt("authorization", self.door.authorization().as_deref())
    }

    async fn metric(&self, name: &str) -> u64 {
        let page = Request::get(format!("http://{}/metrics", self.status));
        let page = page.send().await.read().await;
        let mut lines = page.text().lines();
        let found = lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no {name}"))
    }

    /// Text as it came through the tunnel, and as callers got it; once all is counted.
    async fn text(&self, plain: u64) -> (u64, u64) {
        eventually("the count", async || {
            self.metric("latchkey_tunnel_plain_bytes_total").await == plain
        })
        .await;
        (
            self.metric("latchkey_tunnel_coded_bytes_total").await,
            plain,
        )
    }
}

fn assert_same(path: &str, direct: &Response, through: &Response) {
    assert_eq!(through.status, direct.status, "{path}");
    assert_eq!(fields(&through.headers), fields(&direct.headers), "{path}");
    assert!(through.body == direct.body, "{path}: another body");
    let cookies = |of: &Response| of.headers.get_all("set-cookie").iter().count();
    assert_eq!(cookies(through), cookies(direct), "{path}");
}

fn is_text(answer: &Response) -> bool {
    let kind = answer.header("content-type");
    ["text/", "javascript", "json", "svg"]
        .iter()
        .any(|part| kind.contains(part))
        && answer.body.len() >= 1024
}

#[tokio::test]
async fn octoprints_pages_are_the_same_and_cost_a_quarter_and_then_almost_nothing() {
    let house = House::new().await;
    // OctoPrint keeps the page itself after the first time, and says so in a field.
    house.direct("/").send().await.read().await;
    let page = house.direct("/").send().await.read().await;
    let mut paths = named_in(page.text());
    assert!(paths.len() > 12, "{paths:?}");
    paths.extend(["/", "/api/settings", "/api/printerprofiles", "/api/nothing"].map(str::to_owned));
    let (mut all, mut text) = (0, 0);
    for path in &paths {
        let direct = house.direct(path).send().await.read().await;
        let through = house.through(path).send().await.read().await;
        assert_same(path, &direct, &through);
        all += through.body.len() as u64;
        if is_text(&through) {
            text += through.body.len() as u64;
        }
    }
    let (coded, plain) = house.text(text).await;
    assert!(plain > 2_900_000, "{plain}");
    assert!(coded * 4 < plain, "{coded} of {plain}");
    eprintln!("first load: {all} bytes, text {plain} as {coded}");
    // The second time the scripts and styles need not come. (Nor do fonts, which are no text.)
    for path in paths.iter().filter(|path| !path.contains("/vendor/")) {
        let direct = house.direct(path).send().await.read().await;
        let through = house.through(path).send().await.read().await;
        assert_same(path, &direct, &through);
    }
    let spared = house.metric("latchkey_cache_answer_bytes_total").await;
    assert!(spared > 2_500_000, "{spared}");
    let (again, _) = house.text(2 * text - spared).await;
    eprintln!(
        "second load: {spared} bytes need not come, text as {}",
        again - coded
    );
    assert!((again - coded) * 4 < coded, "{again} after {coded}");
}

#[tokio::test]
async fn parts_heads_and_conditions_are_octoprints_own() {
    let house = House::new().await;
    let page = house.direct("/").send().await.read().await;
    let named = named_in(page.text());
    let script = named.iter().find(|path| path.contains("packed_libs.js"));
    let script = script.unwrap();
    // Kept from now on.
    house.through(script).send().await.read().await;
    let tag = {
        let whole = house.direct(script).send().await.read().await;
        whole.header("etag").to_owned()
    };
    let asks: [(&str, Ask); 5] = [
        ("a part", |ask, _| ask.range(1_000, 60_999)),
        ("the end", |ask, _| ask.header("range", "bytes=-5000")),
        ("too far", |ask, _| ask.header("range", "bytes=99999999-")),
        ("the same", |ask, tag| ask.header("if-none-match", tag)),
        ("another", |ask, _| {
            ask.header("if-none-match", "\"nothing\"")
        }),
    ];
    for (what, ask) in asks {
        let direct = ask(house.direct(script), &tag).send().await.read().await;
        let through = ask(house.through(script), &tag).send().await.read().await;
        assert_same(what, &direct, &through);
    }
    let part = house.through(script).range(1_000, 60_999).send().await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    let head = |url: String| Request::new(http::Method::HEAD, url);
    let direct = head(
        house
            .octoprint
            .url(script.trim_start_matches('/'))
            .to_string(),
    );
    let direct = direct.send().await.read().await;
    let through = head(house.door.url(script)).via(house.door.address);
    let through = through.header_opt("authorization", house.door.authorization().as_deref());
    let through = through.send().await.read().await;
    assert_same("the head", &direct, &through);
}
