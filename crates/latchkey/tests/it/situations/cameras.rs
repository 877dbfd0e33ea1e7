//! Camera streams: part by part, and one viewer that stalls takes nothing from the others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use latchkey_host::config::Webcam;
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::inproc::{Door, Printer, Setup, Way, at_both_hops, upstream};
use crate::harness::raw::RawConnection;
use crate::harness::within;

at_both_hops!(
    parts_arrive_one_by_one,
    stalled_viewer_takes_nothing_from_the_others,
);

const HEAD: &str =
    "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n";
const FRAMES: usize = 40;
const VIEWERS: usize = 9;
/// What all hops may hold for a viewer who reads nothing, the kernel's share included: about 1 MiB, and twice that
/// for a kernel in a generous mood. Without bounds of our own it is 4 MiB and more.
const BOUND: usize = 2 * 1024 * 1024;

fn part(number: usize, size: usize) -> Vec<u8> {
    let mut part = format!(
        "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {size}\r\nX-Number: {number}\r\n\r\n"
    )
    .into_bytes();
    part.resize(part.len() + size, u8::try_from(number % 251).unwrap());
    part.extend(b"\r\n");
    part
}

async fn with_camera(way: Way) -> (Printer, Printer, Door) {
    let camera = Printer::start().await;
    let address = camera.address();
    let setup = Setup::new(way).host(move |host| {
        host.webcams = vec![Webcam {
            path: "/webcam/".to_owned(),
            address: upstream(address),
        }];
    });
    let (printer, door) = setup.open().await;
    (printer, camera, door)
}

/// Reads what chunked framing carries until all of `expected` has come; `rest` is kept from call to call.
async fn read_part(viewer: &mut RawConnection, rest: &mut Vec<u8>, expected: &[u8]) {
    while rest.len() < expected.len() {
        let line = String::from_utf8(viewer.read_until("\r\n").await).unwrap();
        let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
        assert!(size > 0, "the stream ended");
        rest.extend(viewer.read_exactly(size).await);
        viewer.read_exactly(2).await;
    }
    assert!(rest.starts_with(expected), "not the part that was sent");
    rest.drain(..expected.len());
}

async fn parts_arrive_one_by_one(way: Way) {
    let (_printer, camera, door) = with_camera(way).await;
    let mut viewer = door.connect().await;
    viewer
        .send(door.head("GET /webcam/?action=stream", &[]))
        .await;
    let mut stream = camera.accept().await;
    assert_eq!(
        stream.read_request().await.line,
        "GET /?action=stream HTTP/1.1"
    );
    stream.send(HEAD).await;
    let head = viewer.read_response_head().await;
    assert_eq!(
        head.field("content-type"),
        Some("multipart/x-mixed-replace;boundary=frame")
    );
    let mut rest = Vec::new();
    for number in 0..10 {
        let part = part(number, 30_000);
        stream.send(&part).await;
        read_part(&mut viewer, &mut rest, &part).await;
    }
    assert!(rest.is_empty());
}

/// A connection whose kernel takes little beyond what its program reads.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(address).await.unwrap()
}

async fn stalled_viewer_takes_nothing_from_the_others(way: Way) {
    let (printer, camera, door) = with_camera(way).await;
    // At the edge all who watch one picture share it, so each has another one here.
    let request = |number: usize| door.head(&format!("GET /webcam/{number}/?action=stream"), &[]);

    let mut stalled = narrow(door.address).await;
    stalled
        .write_all(request(VIEWERS).as_bytes())
        .await
        .unwrap();
    let mut stream = camera.accept_stream().await;
    SockRef::from(&stream)
        .set_send_buffer_size(16 * 1024)
        .unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let pouring = tokio::spawn(async move {
        stream.write_all(HEAD.as_bytes()).await.unwrap();
        loop {
            let part = part(0, 30_000);
            for piece in part.chunks(1024) {
                stream.write_all(piece).await.unwrap();
                count.fetch_add(piece.len(), Ordering::Relaxed);
            }
        }
    });

    let mut viewers = Vec::new();
    for number in 0..VIEWERS {
        let mut viewer = door.connect().await;
        viewer.send(request(number)).await;
        let mut stream = camera.accept().await;
        stream.read_request().await;
        stream.send(HEAD).await;
        viewer.read_response_head().await;
        viewers.push((viewer, stream, Vec::new()));
    }
    let mut caller = door.connect().await;
    let mut api = None;
    for number in 0..FRAMES {
        let part = part(number, 30_000);
        for (viewer, stream, rest) in &mut viewers {
            stream.send(&part).await;
            read_part(viewer, rest, &part).await;
        }
        caller.send(door.head("GET /api/job", &[])).await;
        if api.is_none() {
            api = Some(printer.accept().await);
        }
        let api = api.as_mut().unwrap();
        api.read_request().await;
        api.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            .await;
        assert_eq!(caller.read_response().await.body, b"{}");
    }
    let taken = taken.load(Ordering::Relaxed);
    assert!(
        taken < BOUND,
        "{taken} bytes were taken for a viewer who reads none"
    );
    assert!(!pouring.is_finished());

    // Whoever looks away for good lets the camera go.
    drop(stalled);
    let ended = within("the end of the stalled stream", pouring).await;
    assert!(ended.is_err(), "a camera streams for ever");
}
