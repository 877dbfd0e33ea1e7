//! Apps that signed for their key at a host before a real OctoPrint, which has forgotten that there ever were such keys.

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::fake::Ended;
use crate::harness::home::Home;
use crate::harness::http::Request;
use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint};
use crate::harness::session_keys::{APP, PRIVATE_KEY, PUBLIC_KEY, entry};

/// The host, its OctoPrint, and keys of a full app, of one that watches, and of one that administers.
async fn signed_in(authority: &str) -> (Home, OctoPrint, [String; 3]) {
    let octoprint = OctoPrint::start().await;
    let base = octoprint.base_url();
    let mut home = Home::prepare(base.as_str().trim_end_matches('/'), ADMIN_API_KEY).await;
    let file = |name: &str| home.folder().join(name).to_str().unwrap().to_owned();
    let (short, long) = (file("short.pem"), file("long.pem"));
    std::fs::write(&short, PRIVATE_KEY).unwrap();
    let make = [
        "app-keygen",
        "--bits",
        "2048",
        "--id",
        APP,
        "--version",
        "admin",
    ];
    let made = Ended::of(&[&make[..], &["--private-key", &long]].concat()).await;
    made.assert_done();
    let (name, pubkey) = entry(&made.result);
    let weak = |scope| json!({"pubkey": PUBLIC_KEY, "allow_weak_keys": true, "scope": scope});
    let apps = json!({
        format!("{APP}:1.0"): weak("full"),
        format!("{APP}:view"): weak("view"),
        name: {"pubkey": pubkey, "scope": "admin"},
    });
    home.configure("api", json!({ "apps": apps }));
    home.configure("authority", json!(authority));
    home.start_host().await;
    let mut keys = Vec::new();
    for (version, file) in [("1.0", &short), ("view", &short), ("admin", &long)] {
        let url = home.url("");
        let ask = [
            "key",
            "session",
            &url,
            "--id",
            APP,
            "--version",
            version,
            "--private-key",
            file,
        ];
        let ended = Ended::of(&ask).await;
        ended.assert_done();
        keys.push(ended.result.trim().to_owned());
    }
    (home, octoprint, keys.try_into().unwrap())
}

async fn reaches(home: &Home, path: &str, key: &str) -> u16 {
    let asked = Request::get(home.url(path)).header("X-Api-Key", key);
    asked.send().await.status().as_u16()
}

async fn settings(home: &Home, key: &str) -> Value {
    let asked = Request::get(home.url("/api/settings")).header("X-Api-Key", key);
    asked.send().await.read().await.json()
}

#[tokio::test]
async fn each_goes_as_far_as_its_scope_whoever_judges_people() {
    for authority in ["host", "upstream"] {
        let (home, _octoprint, [full, view, admin]) = signed_in(authority).await;
        for (path, expected) in [
            ("/api/version", [200, 200, 200]),
            ("/api/job", [200, 200, 200]),
            ("/api/files", [200, 200, 200]),
            ("/api/system/commands", [403, 403, 200]),
            ("/api/access/users", [403, 403, 200]),
            // No key makes itself one that lasts longer.
            ("/api/plugin/appkeys", [403, 403, 403]),
        ] {
            for (key, expected) in [&full, &view, &admin].into_iter().zip(expected) {
                assert_eq!(
                    reaches(&home, path, key).await,
                    expected,
                    "{authority} {path}"
                );
            }
        }
        let upload = |key: &str, name: &str| {
            let form = Request::post(home.url("/api/files/local")).header("X-Api-Key", key);
            let body = format!(
                "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\nG28\r\n--b--\r\n"
            );
            form.body("multipart/form-data; boundary=b", body)
        };
        assert_eq!(
            upload(&full, "a.gcode").send().await.status(),
            StatusCode::CREATED
        );
        assert_eq!(
            upload(&view, "b.gcode").send().await.status(),
            StatusCode::FORBIDDEN
        );
        // OctoPrint's own key stays with the host, but for who may administer OctoPrint.
        for key in [&full, &view] {
            let told = settings(&home, key).await;
            assert!(told["api"].is_object(), "{told}");
            assert!(
                !told.to_string().contains("latchkey-tests-only"),
                "{authority}"
            );
        }
        assert!(settings(&home, &admin).await["api"].is_object());
        let who = Request::get(home.url("/api/currentuser")).header("X-Api-Key", &full);
        let who = who.send().await.read().await;
        match authority {
            "host" => assert_eq!(who.json()["name"], "_api"),
            _ => assert_eq!(
                who.status,
                StatusCode::FORBIDDEN,
                "it is OctoPrint's to say"
            ),
        }
        // The host does not become OctoPrint's, nor the other way round.
        let octoprints = reaches(&home, "/api/version", ADMIN_API_KEY).await;
        assert_eq!(octoprints, if authority == "host" { 403 } else { 200 });
        let log = home.host.whole_log().await;
        for secret in [&full, &view, &admin] {
            assert!(!log.contains(secret), "{log}");
        }
    }
}
