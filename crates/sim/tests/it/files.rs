//! Uploads, downloads and what can be done with files.

use axum::body::Body;
use http::StatusCode;
use latchkey_sim::fill_virtual_file;
use serde_json::json;

use crate::harness::{Bench, KEY};

#[tokio::test]
async fn an_upload_comes_back_byte_for_byte() {
    let bench = Bench::start().await;
    let content: Vec<u8> = (0..300_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let stored = bench
        .upload("würfel 1.gcode", &content, &[("path", "deep/er")])
        .await;
    assert_eq!(stored.status, StatusCode::CREATED);
    let location = stored.header("location").to_owned();
    assert_eq!(
        location,
        format!(
            "http://{}/api/files/local/deep/er/w%C3%BCrfel%201.gcode",
            bench.addr
        )
    );
    let answer = stored.json();
    assert_eq!(
        (&answer["done"], &answer["effectiveSelect"]),
        (&json!(true), &json!(false))
    );
    let download = answer["files"]["local"]["refs"]["download"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = download
        .strip_prefix(&format!("http://{}", bench.addr))
        .unwrap();
    let whole = bench.get(path).await;
    assert!(whole.body == content, "the download differs");
    let request = bench
        .request("GET", path)
        .header("x-api-key", KEY)
        .header("range", "bytes=1000-1999");
    let part = bench.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        part.header("content-range"),
        format!("bytes 1000-1999/{}", content.len())
    );
    assert!(part.body == content[1000..2000]);
    let request = bench
        .request("GET", path)
        .header("x-api-key", KEY)
        .header("if-none-match", whole.header("etag"));
    assert_eq!(
        bench
            .send(request.body(Body::empty()).unwrap())
            .await
            .status,
        StatusCode::NOT_MODIFIED
    );
    bench.stop().await;
}

#[tokio::test]
async fn addresses_follow_the_forwarded_host() {
    let bench = Bench::start().await;
    let request = bench
        .request("GET", "/api/files/local/latchkey-vase.gcode")
        .header("x-api-key", KEY);
    let request = request
        .header("x-forwarded-host", "p.example:8443")
        .header("x-forwarded-proto", "https");
    let file = bench
        .send(request.body(Body::empty()).unwrap())
        .await
        .json();
    assert_eq!(
        file["refs"]["download"],
        "https://p.example:8443/downloads/files/local/latchkey-vase.gcode"
    );
    assert!(
        file["gcodeAnalysis"]["estimatedPrintTime"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    bench.stop().await;
}

#[tokio::test]
async fn names_that_lead_out_or_cannot_be_printed_are_refused() {
    let bench = Bench::start().await;
    assert_eq!(
        bench.upload("../../out.gcode", b"G28", &[]).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        bench
            .upload("a.gcode", b"G28", &[("path", "../out")])
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        bench.upload("photo.png", b"G28", &[]).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(
        bench
            .get("/downloads/files/local/..%2f..%2fetc%2fpasswd")
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        bench.get("/api/files/local/.incoming").await.status,
        StatusCode::NOT_FOUND
    );
    bench.stop().await;
}

#[tokio::test]
async fn an_upload_above_the_limit_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let bench = Bench::start_with(|config| {
        config.max_upload_bytes = 1_000;
        config.uploads_dir = Some(root);
    })
    .await;
    assert_eq!(
        bench.upload("big.gcode", &[b' '; 4_000], &[]).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(
        std::fs::read_dir(folder.path().join(".incoming"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(
        bench.get("/api/files/local/big.gcode").await.status,
        StatusCode::NOT_FOUND
    );
    bench.stop().await;
}

#[tokio::test]
async fn files_are_moved_copied_and_deleted() {
    let bench = Bench::start().await;
    bench.upload("a.gcode", b"G28\n", &[]).await;
    let folder = bench.upload_folder("box").await;
    assert_eq!(folder.status, StatusCode::CREATED);
    let act = |command: &str, to: &str| json!({ "command": command, "destination": to });
    assert_eq!(
        bench
            .post("/api/files/local/a.gcode", &act("copy", "box"))
            .await
            .status,
        StatusCode::CREATED
    );
    assert_eq!(
        bench
            .post("/api/files/local/a.gcode", &act("copy", "box"))
            .await
            .status,
        StatusCode::CONFLICT
    );
    assert_eq!(
        bench
            .post("/api/files/local/a.gcode", &act("move", "box/b.gcode"))
            .await
            .status,
        StatusCode::CREATED
    );
    assert_eq!(
        bench
            .post("/api/files/local/box/b.gcode", &act("move", "../b.gcode"))
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    let listing = bench.get("/api/files?recursive=true").await.json();
    let names: Vec<_> = listing["files"][0]["children"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].clone())
        .collect();
    assert_eq!(names, ["box/a.gcode", "box/b.gcode"]);
    let delete = bench
        .request("DELETE", "/api/files/local/box")
        .header("x-api-key", KEY);
    assert_eq!(
        bench.send(delete.body(Body::empty()).unwrap()).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        bench.get("/api/files/local/box/a.gcode").await.status,
        StatusCode::NOT_FOUND
    );
    bench.stop().await;
}

#[tokio::test]
async fn a_file_that_is_stored_nowhere_can_be_checked() {
    let bench = Bench::start().await;
    let path = "/downloads/files/local/big-1000003.gcode";
    let whole = bench.get(path).await;
    let mut expected = vec![0; 1_000_003];
    fill_virtual_file(0, &mut expected);
    assert!(whole.body == expected);
    let request = bench
        .request("GET", path)
        .header("x-api-key", KEY)
        .header("range", "bytes=999990-");
    let tail = bench.send(request.body(Body::empty()).unwrap()).await;
    assert!(tail.body == expected[999_990..]);
    let request = bench
        .request("GET", path)
        .header("x-api-key", KEY)
        .header("range", "bytes=1000003-");
    assert_eq!(
        bench
            .send(request.body(Body::empty()).unwrap())
            .await
            .status,
        StatusCode::RANGE_NOT_SATISFIABLE
    );
    bench.stop().await;
}

impl Bench {
    async fn upload_folder(&self, name: &str) -> crate::harness::Answer {
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"foldername\"\r\n\r\n{name}\r\n--b--\r\n"
        );
        let request = self
            .request("POST", "/api/files/local")
            .header("x-api-key", KEY);
        self.send(
            request
                .header("content-type", "multipart/form-data; boundary=b")
                .body(Body::from(form))
                .unwrap(),
        )
        .await
    }
}
