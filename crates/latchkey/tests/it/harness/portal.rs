//! An app's way through the portal of a running demo, by forms alone.

use std::collections::HashMap;

use super::browser::{Browser, attribute};
use super::demo::Demo;
use super::http::Response;

/// What an app is given at the end.
pub(crate) type Completion = HashMap<String, String>;

/// Walks through the portal as the demo's person, and gives what the app gets.
pub(crate) async fn through_the_portal(demo: &Demo, scope: &str) -> Completion {
    asking(demo, scope, "").await
}

/// The same, with more in the address that the app opens.
pub(crate) async fn asking(demo: &Demo, scope: &str, more: &str) -> Completion {
    let mut browser = Browser::at(demo.text("relay_url"));
    let start = format!(
        "/appportal/v1?appid=octopod&authType=enhanced&returnUrl=octopod://octoeverywhere\
         &OctoPrintApiKeyAppName=OctoPod%20on%20iPhone{more}"
    );
    let welcome = browser.open(&start).await;
    let mut page = browser.press(&welcome, ("decision", "continue"), &[]).await;
    let account = &demo.facts["account"];
    let person = [
        ("email", account["email"].as_str().unwrap()),
        ("password", account["password"].as_str().unwrap()),
    ];
    assert!(page.text().contains("Sign in"), "{}", page.text());
    page = browser.press(&page, ("", ""), &person).await;
    page = browser.press(&page, ("decision", "continue"), &[]).await;
    let sure = [("sure", "yes"), ("scope", scope), ("key", "yes")];
    let done = browser.press(&page, ("decision", "allow"), &sure).await;
    completion(&done)
}

fn completion(done: &Response) -> Completion {
    let html = done.text();
    let link = html
        .split("<a ")
        .filter_map(|tag| attribute(tag, "href"))
        .find(|href| href.starts_with("octopod://"));
    let link = link.unwrap_or_else(|| panic!("no way back in {html}"));
    let (address, query) = link.split_once('?').unwrap();
    assert_eq!(address, "octopod://octoeverywhere");
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}
