use super::*;
use crate::samples;
use latchkey_model::clock::Timestamp;

const RELAY: &str = "https://relay.example.net";

fn browser() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
    headers
}

fn problem(status: RelayStatus) -> RelayProblem {
    RelayProblem {
        printer_name: Some("Garage Voron".into()),
        last_seen: Some(Moment {
            at: Timestamp::from_millis(0),
            now: Timestamp::from_millis(60_000),
        }),
        ..RelayProblem::new(status, RELAY, "r-1")
    }
}

fn page(status: RelayStatus) -> String {
    let response = respond(&problem(status), &browser(), &Method::GET);
    String::from_utf8(response.body().to_vec()).unwrap()
}

fn both(status: RelayStatus) -> [Response<Bytes>; 2] {
    [HeaderMap::new(), browser()].map(|headers| respond(&problem(status), &headers, &Method::GET))
}

#[test]
fn status_line_is_the_code_itself() {
    for status in RelayStatus::ALL {
        for response in both(status) {
            assert_eq!(response.status().as_u16(), status.code());
        }
    }
    assert!(
        RelayStatus::ALL
            .map(RelayStatus::code)
            .into_iter()
            .eq(600..=613)
    );
}

#[test]
fn apps_get_the_envelope_they_know() {
    for status in RelayStatus::ALL {
        let response = respond(&problem(status), &HeaderMap::new(), &Method::POST);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        let members: Vec<_> = body
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(members, ["Status", "Error", "IsUserError", "Result"]);
        assert_eq!(body["Status"], status.code());
        assert!(body["Error"].as_str().unwrap().ends_with('.') && body["Result"].is_null());
    }
}

#[test]
fn what_is_known_beyond_the_status_is_said_to_apps_and_people() {
    let sentence = "The printer’s host is too old for this. Update the host.";
    let known = RelayProblem {
        sentence: Some(sentence),
        ..problem(RelayStatus::Unknown)
    };
    for headers in [HeaderMap::new(), browser()] {
        let response = respond(&known, &headers, &Method::GET);
        let body = std::str::from_utf8(response.body()).unwrap();
        assert!(body.contains(sentence), "{body}");
    }
}

#[test]
fn a_limit_is_told_as_one_and_not_asked_again_in_a_moment() {
    let limit = RelayProblem {
        sentence: Some("This month is used up."),
        is_limit: true,
        ..problem(RelayStatus::Unknown)
    };
    let response = respond(&limit, &browser(), &Method::GET);
    assert!(!response.headers().contains_key(header::REFRESH));
    let body = std::str::from_utf8(response.body()).unwrap();
    assert!(body.contains("This month is used up.") && body.contains("A limit is reached"));
    assert!(!body.contains("every 30 seconds") && !body.contains("doctor"));
}

#[test]
fn answers_are_never_stored_and_readable_from_other_origins() {
    for status in RelayStatus::ALL {
        for response in both(status) {
            let fields = response.headers();
            assert_eq!(fields[header::CACHE_CONTROL], "no-store");
            assert_eq!(fields[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(fields[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            assert_eq!(fields["latchkey-request-id"], "r-1");
            assert!(fields.contains_key(header::VARY));
            assert!(fields.contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS));
            // A browser would open its own password dialog, and apps would loop.
            assert!(!fields.contains_key(header::WWW_AUTHENTICATE));
        }
    }
}

#[test]
fn pages_carry_a_policy_that_allows_their_style_only() {
    for status in RelayStatus::ALL {
        let response = respond(&problem(status), &browser(), &Method::GET);
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("style-src 'sha256-"));
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(response.headers()[header::REFERRER_POLICY], "same-origin");
        let html = std::str::from_utf8(response.body()).unwrap();
        assert!(html.contains(&format!("<style>{}</style>", self_contained::style())));
        assert!(
            !html.contains("/latchkey/"),
            "{status:?} refers to our assets"
        );
    }
}

#[test]
fn only_what_passes_by_itself_is_asked_again() {
    for status in RelayStatus::ALL {
        let repeats = matches!(status.code(), 600..=602);
        for (headers, method, expected) in [
            (browser(), Method::GET, repeats),
            (browser(), Method::POST, false),
            (HeaderMap::new(), Method::GET, false),
        ] {
            let response = respond(&problem(status), &headers, &method);
            assert_eq!(
                response.headers().contains_key(header::REFRESH),
                expected,
                "{status:?}"
            );
        }
        assert_eq!(
            page(status).contains("every 30 seconds"),
            repeats,
            "{status:?}"
        );
    }
}

#[test]
fn pages_anybody_may_see_name_neither_account_nor_printer() {
    for status in RelayStatus::ALL {
        let named = page(status).contains("Garage Voron");
        let anybody = matches!(status.code(), 603..=606);
        assert!(!(named && anybody), "{status:?} names the printer");
    }
    assert!(page(RelayStatus::NotConnected).contains("Garage Voron"));
    assert!(page(RelayStatus::NotConnected).contains("1 minute"));
}

#[test]
fn every_page_says_its_code_and_whether_trying_again_helps() {
    for status in RelayStatus::ALL {
        let html = page(status);
        assert!(html.contains(&format!("Code {}", status.code())));
        let foot = html
            .split_once(r#"class="foot">"#)
            .unwrap()
            .1
            .to_lowercase();
        assert!(
            foot.contains("trying again") || foot.contains("tries again"),
            "{status:?}"
        );
    }
}

#[test]
fn words_of_the_house_are_kept() {
    let forbidden = [
        "token",
        "oauth",
        "scope",
        "instance",
        "invalid",
        "unauthorized",
        "oops",
        "please",
        "!",
        "secure",
    ];
    for (name, html) in samples::all() {
        let (_, main) = html.split_once("<main").unwrap();
        let text: String = main
            .split('<')
            .filter_map(|part| part.split_once('>').map(|(_, text)| text))
            .collect();
        let text = text.to_lowercase();
        for word in forbidden {
            assert!(!text.contains(word), "{name} says {word}");
        }
    }
}

#[test]
fn an_unknown_authority_is_misdirected() {
    for headers in [HeaderMap::new(), browser()] {
        let response = misdirected(RELAY, "r-1", &headers, &Method::GET);
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(!response.headers().contains_key(header::REFRESH));
    }
}

#[test]
fn relay_address_becomes_a_link_only_if_it_is_one() {
    let mut problem = problem(RelayStatus::Ended);
    problem.relay_url = "javascript:alert(1)".into();
    let response = respond(&problem, &browser(), &Method::GET);
    assert!(!String::from_utf8_lossy(response.body()).contains("href=\"javascript"));
}
