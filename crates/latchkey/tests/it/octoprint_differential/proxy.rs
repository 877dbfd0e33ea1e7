//! Sections 9 and 10 of the contract: addresses behind a reverse proxy, and other origins.

use http::Method;
use serde_json::json;

use super::server::Probe;

/// What a proxy may say of the address it was asked at.
const FIELDS: [(&str, &[(&str, &str)]); 13] = [
    ("nothing", &[]),
    ("host", &[("Host", "printer.example")]),
    ("host and port", &[("Host", "printer.example:8080")]),
    ("X-Forwarded-Host", &[("X-Forwarded-Host", "p.example")]),
    (
        "X-Forwarded-Host with port",
        &[("X-Forwarded-Host", "p.example:8443")],
    ),
    (
        "X-Forwarded-Host, a list",
        &[("X-Forwarded-Host", "p.example, q.example")],
    ),
    (
        "https",
        &[
            ("X-Forwarded-Host", "p.example"),
            ("X-Forwarded-Proto", "https"),
        ],
    ),
    (
        "https, a list",
        &[
            ("X-Forwarded-Host", "p.example"),
            ("X-Forwarded-Proto", "https, http"),
        ],
    ),
    (
        "X-Scheme",
        &[("X-Forwarded-Host", "p.example"), ("X-Scheme", "https")],
    ),
    ("X-Script-Name", &[("X-Script-Name", "/octo")]),
    ("X-Forwarded-Prefix", &[("X-Forwarded-Prefix", "/octo")]),
    (
        "all",
        &[
            ("X-Forwarded-Host", "p.example"),
            ("X-Forwarded-Proto", "https"),
            ("X-Script-Name", "/octo"),
        ],
    ),
    (
        "ignored",
        &[
            ("X-Forwarded-Port", "99"),
            ("X-Forwarded-Server", "s.example"),
            ("Forwarded", "host=f.example;proto=https"),
        ],
    ),
];

pub(super) async fn addresses(probe: &mut Probe) {
    probe.section("proxy");
    let [_, user, _] = probe.people();
    let reader = probe.signed_in(&user).await;
    for (name, fields) in FIELDS {
        let add = |mut request: crate::harness::http::Request| {
            for (field, value) in fields {
                request = request.header(field, value);
            }
            request
        };
        let app = probe.visitor();
        let request = app.post(
            "/plugin/appkeys/request",
            &json!({"app": "proxy", "user": user.name}),
        );
        let answer = probe.ask(&format!("{name}, request"), add(request)).await;
        let Some(answer) = answer.filter(|answer| answer.status == 201) else {
            continue;
        };
        let token = answer.json()["app_token"].as_str().unwrap().to_owned();
        let dialog = format!("/plugin/appkeys/auth/{token}?user={}", user.name);
        probe
            .ask(&format!("{name}, dialog"), add(app.get(&dialog)))
            .await;
        probe
            .ask(&format!("{name}, login page"), add(app.get("/login/")))
            .await;
        let back = reader.get("/login/?redirect=/plugin/appkeys/auth/x");
        probe.ask(&format!("{name}, signed in"), add(back)).await;
        if let Some((_, prefix)) = fields.iter().find(|(_, value)| value.starts_with('/')) {
            let poll = format!("{prefix}/plugin/appkeys/request/{token}");
            probe
                .ask(
                    &format!("{name}, poll with the prefix"),
                    add(app.get(&poll)),
                )
                .await;
        }
    }
    clients(probe).await;
}

/// Whom a pending request is said to come from.
async fn clients(probe: &mut Probe) {
    let [_, user, _] = probe.people();
    let reader = probe.signed_in(&user).await;
    for chain in [
        "198.51.100.7",
        "198.51.100.7, 127.0.0.1",
        "198.51.100.7, 198.51.100.8",
        "198.51.100.9, 10.0.0.1",
        "::ffff:198.51.100.10",
        "2001:db8::1",
        "garbage",
        "",
    ] {
        let name = if chain.is_empty() { "nothing" } else { chain };
        let app = format!("for {name}");
        let url = format!("{}/plugin/appkeys/request", probe.server.base);
        let request = crate::harness::http::Request::post(url).json(&json!({"app": app}));
        probe
            .ask(&app, request.header("X-Forwarded-For", chain))
            .await;
        let listed = reader.listed().await;
        let pending = listed["pending"].as_object().unwrap().values();
        let seen = pending.filter(|one| one["app_id"] == app.as_str());
        let seen: Vec<_> = seen.map(|one| one["remote_address"].clone()).collect();
        probe.note(&format!("{app}, seen"), json!(seen));
    }
}

pub(super) async fn origins(probe: &mut Probe) {
    probe.section("origins");
    let app = probe.visitor();
    for path in [
        "/api/version",
        "/api/currentuser",
        "/plugin/appkeys/probe",
        "/plugin/appkeys/request",
    ] {
        let foreign = app.get(path).header("Origin", "http://elsewhere.example");
        probe.ask(&format!("GET {path}"), foreign).await;
        let preflight = app
            .request(Method::OPTIONS, path)
            .header("Origin", "http://elsewhere.example");
        let preflight = preflight.header("Access-Control-Request-Method", "POST");
        let preflight = preflight.header("Access-Control-Request-Headers", "x-api-key");
        probe.ask(&format!("OPTIONS {path}"), preflight).await;
        probe
            .ask(
                &format!("OPTIONS {path}, no origin"),
                app.request(Method::OPTIONS, path),
            )
            .await;
    }
    let [_, user, _] = probe.people();
    let reader = probe.signed_in(&user).await;
    let key = probe.key("origins", &reader).await;
    let keyed = app
        .get("/api/version")
        .header("Origin", "http://elsewhere.example");
    probe
        .ask("with a key", keyed.header("X-Api-Key", key))
        .await;
}
