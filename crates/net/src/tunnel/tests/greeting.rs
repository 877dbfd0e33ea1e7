//! Who is believed, and who is not.

use super::super::hello::{Challenge, HostAnswer, HostSide, RelayHello};
use super::*;
use crate::key_file::KeyFileError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const NONCE: [u8; 32] = [7; 32];

fn hello_body(binding: Binding) -> Vec<u8> {
    let hello = RelayHello {
        protocol: PROTOCOL,
        oldest_protocol: OLDEST_PROTOCOL,
        relay: NAME.to_owned(),
        version: "1".to_owned(),
        features: vec!["from-the-future".to_owned()],
        nonce: URL_SAFE_NO_PAD.encode(NONCE),
        binding,
    };
    serde_json::to_vec(&hello).unwrap()
}

fn side<'a>(identity: &'a HostIdentity, exporter: Option<&'a Exporter>) -> HostSide<'a> {
    HostSide {
        identity,
        connection: 0,
        name: "Workshop",
        version: "0.1.0",
        features: &[],
        relay_name: NAME,
        exporter,
        allow_unbound: false,
    }
}

fn challenge<'a>(exporter: Option<&'a Exporter>, hello_body: &'a [u8]) -> Challenge<'a> {
    Challenge {
        exporter,
        relay_name: NAME,
        nonce: &NONCE,
        hello_body,
    }
}

/// A good answer on a connection with this exporter.
fn answered(exporter: &Exporter) -> (Vec<u8>, HostAnswer) {
    let identity = HostIdentity::generate().unwrap();
    let body = hello_body(Binding::TlsExporter);
    let answer = side(&identity, Some(exporter)).answer(&body).unwrap();
    (body, answer)
}

#[test]
fn proof_is_accepted_on_its_own_connection() {
    let exporter = Exporter::new([1; 32]);
    let (body, answer) = answered(&exporter);
    let hello = challenge(Some(&exporter), &body).verify(answer).unwrap();
    assert_eq!(hello.name, "Workshop");
    assert_eq!(hello.binding, Binding::TlsExporter);
}

#[test]
fn proof_is_refused_when_anything_signed_differs() {
    let exporter = Exporter::new([1; 32]);
    let other_exporter = Exporter::new([2; 32]);
    let other_body = hello_body(Binding::None);
    let (body, answer) = answered(&exporter);

    let mut renamed = answer.clone();
    renamed.name = "Kitchen".to_owned();
    let mut moved = answer.clone();
    moved.connection = 1;
    let mut featured = answer.clone();
    featured.features = vec!["x".to_owned()];
    let mut other_key = answer.clone();
    other_key.host_key = URL_SAFE_NO_PAD.encode(HostIdentity::generate().unwrap().public_key());
    let mut other_run = answer.clone();
    other_run.instance = URL_SAFE_NO_PAD.encode([9; 16]);
    let mut unsigned = answer.clone();
    unsigned.signature = URL_SAFE_NO_PAD.encode([0; 64]);

    for (what, forged) in [
        ("name", renamed),
        ("connection", moved),
        ("features", featured),
        ("key", other_key),
        ("instance", other_run),
        ("signature", unsigned),
    ] {
        let verdict = challenge(Some(&exporter), &body).verify(forged);
        assert_eq!(verdict, Err(Unproven::Signature), "{what}");
    }
    // The same answer, replayed elsewhere.
    let elsewheres = [
        (
            "other TLS connection",
            challenge(Some(&other_exporter), &body),
        ),
        ("no TLS", challenge(None, &body)),
        ("other hello", challenge(Some(&exporter), &other_body)),
        (
            "other nonce",
            Challenge {
                nonce: &[8; 32],
                ..challenge(Some(&exporter), &body)
            },
        ),
        (
            "other relay",
            Challenge {
                relay_name: "evil.example",
                ..challenge(Some(&exporter), &body)
            },
        ),
    ];
    for (what, elsewhere) in elsewheres {
        assert_eq!(
            elsewhere.verify(answer.clone()),
            Err(Unproven::Signature),
            "{what}"
        );
    }
}

#[test]
fn malformed_answers_are_refused_before_any_arithmetic() {
    let exporter = Exporter::new([1; 32]);
    let (body, answer) = answered(&exporter);
    let spoil: [fn(&mut HostAnswer); 6] = [
        |answer| answer.host_key.push('A'),
        |answer| answer.instance.clear(),
        |answer| "!".clone_into(&mut answer.signature),
        |answer| answer.name = "x".repeat(129),
        |answer| answer.version = "a\nb".to_owned(),
        |answer| answer.features = vec!["a,b".to_owned()],
    ];
    for (number, spoil) in spoil.into_iter().enumerate() {
        let mut spoiled = answer.clone();
        spoil(&mut spoiled);
        let verdict = challenge(Some(&exporter), &body).verify(spoiled);
        assert!(
            matches!(verdict, Err(Unproven::Malformed(_))),
            "{number}: {verdict:?}"
        );
    }
    let mut newer = answer;
    newer.protocol = PROTOCOL + 1;
    let verdict = challenge(Some(&exporter), &body).verify(newer);
    assert_eq!(verdict, Err(Unproven::Protocol(PROTOCOL + 1)));
}

#[test]
fn host_answers_only_a_relay_it_dialled_and_is_bound_to() {
    let identity = HostIdentity::generate().unwrap();
    let exporter = Exporter::new([1; 32]);
    let bound = hello_body(Binding::TlsExporter);
    let unbound = hello_body(Binding::None);
    let elsewhere = HostSide {
        relay_name: "other.example",
        ..side(&identity, Some(&exporter))
    };
    assert!(matches!(
        elsewhere.answer(&bound),
        Err(Mistrust::Name { .. })
    ));
    let refused = side(&identity, Some(&exporter))
        .answer(&unbound)
        .unwrap_err();
    assert_eq!(refused, Mistrust::Unbound);
    assert!(refused.to_string().contains("allow_unbound: true"));
    let refused = side(&identity, None).answer(&bound).unwrap_err();
    assert_eq!(refused, Mistrust::BoundWithoutTls);
    let allowed = HostSide {
        allow_unbound: true,
        ..side(&identity, Some(&exporter))
    };
    let answer = allowed.answer(&unbound).unwrap();
    let hello = challenge(None, &unbound).verify(answer).unwrap();
    assert_eq!(hello.binding, Binding::None);
}

#[test]
fn versions_meet_at_the_newest_both_speak() {
    let identity = HostIdentity::generate().unwrap();
    let exporter = Exporter::new([1; 32]);
    let offer = |oldest: u16, newest: u16| {
        let mut hello: serde_json::Value =
            serde_json::from_slice(&hello_body(Binding::TlsExporter)).unwrap();
        hello["oldest_protocol"] = oldest.into();
        hello["protocol"] = newest.into();
        hello["invented_later"] = "ignored".into();
        side(&identity, Some(&exporter)).answer(&serde_json::to_vec(&hello).unwrap())
    };
    assert_eq!(offer(1, 1).unwrap().protocol, 1);
    assert_eq!(offer(1, 2).unwrap().protocol, 1);
    assert_eq!(
        offer(2, 3).unwrap_err(),
        Mistrust::Protocol {
            oldest: 2,
            newest: 3
        }
    );
    assert!(matches!(offer(0, 0), Err(Mistrust::Protocol { .. })));
}

/// Another implementer can compare with these bytes.
#[test]
fn transcript_is_the_documented_one() {
    let answer = HostAnswer {
        protocol: 1,
        host_key: String::new(),
        instance: String::new(),
        connection: 2,
        name: "Workshop".to_owned(),
        version: "0.1.0".to_owned(),
        features: vec!["a".to_owned(), "b".to_owned()],
        signature: String::new(),
    };
    let exporter = Exporter::new([1; 32]);
    let bytes = challenge(Some(&exporter), b"{}").transcript(&[3; 32], &[4; 16], &answer);
    let mut expected = Vec::new();
    expected.extend_from_slice(b"\0\0\0\x18latchkey tunnel hello v1");
    expected.extend_from_slice(&[&[0, 0, 0, 32][..], &[1; 32]].concat());
    expected.extend_from_slice(b"\0\0\0\x11relay.example.com");
    expected.extend_from_slice(&[&[0, 0, 0, 32][..], &NONCE].concat());
    expected.extend_from_slice(&[&[0, 0, 0, 32][..], &[3; 32]].concat());
    expected.extend_from_slice(&[&[0, 0, 0, 16][..], &[4; 16]].concat());
    let digest = data_encoding::HEXLOWER
        .decode(b"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
        .unwrap();
    expected.extend_from_slice(&[&[0, 0, 0, 32][..], &digest].concat());
    expected.extend_from_slice(b"\0\0\0\x02\0\x01\0\0\0\x01\x02");
    expected.extend_from_slice(b"\0\0\0\x08Workshop\0\0\0\x050.1.0\0\0\0\x03a,b");
    assert_eq!(bytes, expected);
}

#[tokio::test]
async fn hello_over_plain_memory_introduces_the_host() {
    let bench = Bench::new();
    let (tunnel, _host) = bench.tunnel(ok).await;
    assert_eq!(tunnel.hello().host_key, bench.identity.public_key());
    assert_eq!(tunnel.hello().instance, bench.identity.instance());
    assert_eq!(tunnel.hello().features, ["webcam-pace"]);
    assert_eq!(tunnel.hello().binding, Binding::None);
    assert_eq!(tunnel.id(), "tun-1");
}

#[tokio::test]
async fn wrong_relay_name_is_refused_with_words() {
    let bench = Bench::new();
    let (host_io, relay_io) = pipe();
    let host = bench.host(host_io, bench.introduction(None), ok);
    let refused = bench
        .acceptor("evil.example")
        .accept(relay_io, None)
        .await
        .unwrap_err();
    let HelloError::Refused { code, sentence } = refused else {
        panic!("{refused}");
    };
    assert_eq!(code, "relay_name");
    assert!(sentence.contains(NAME) && sentence.contains("evil.example"));
    assert!(matches!(*host.phase.borrow(), serve::Phase::Mistrusted(_)));
}

/// The one in the middle holds two TLS connections and passes every byte of the tunnel on.
#[tokio::test]
async fn relay_in_the_middle_is_refused() {
    let bench = Bench::new();
    let (host_io, mut middle_a) = pipe();
    let (mut middle_b, relay_io) = pipe();
    let at_host = Exporter::new([1; 32]);
    let at_relay = Exporter::new([2; 32]);
    let _host = bench.host(host_io, bench.introduction(Some(at_host)), ok);
    bench.tracker.spawn(async move {
        let _ = tokio::io::copy_bidirectional(&mut middle_a, &mut middle_b).await;
    });
    let refused = bench.acceptor(NAME).accept(relay_io, Some(at_relay)).await;
    assert!(matches!(
        refused,
        Err(HelloError::Unproven(Unproven::Signature))
    ));
}

/// The same with real certificates: the host dials the one in the middle, which dials on.
#[tokio::test]
async fn relay_in_the_middle_with_a_certificate_is_refused() {
    let bench = Bench::new();
    let pki = Pki::new();
    let mut middle = WebOrigin::start(&bench, Some(pki.server())).await;
    let mut relay = WebOrigin::start(&bench, Some(pki.server())).await;
    let (host_io, middle_io) = connect(&bench, &pki, &mut middle).await;
    let (middle_out, relay_io) = connect(&bench, &pki, &mut relay).await;
    let _host = bench.host(host_io.io, bench.introduction(host_io.exporter), ok);
    bench.tracker.spawn(async move {
        let (mut inward, mut outward) = (middle_io.0, middle_out.io);
        let _ = tokio::io::copy_bidirectional(&mut inward, &mut outward).await;
    });
    let (io, exporter) = relay_io;
    let refused = bench.acceptor(NAME).accept(io, exporter).await;
    assert!(matches!(
        refused,
        Err(HelloError::Unproven(Unproven::Signature))
    ));
}

async fn connect(
    bench: &Bench,
    pki: &Pki,
    to: &mut WebOrigin,
) -> (dial::Dialled, (Box<dyn Io>, Option<Exporter>)) {
    use dial::Connect;
    let url = url::Url::parse(&format!("https://localhost:{}", to.port)).unwrap();
    let within = std::time::Duration::from_secs(10);
    let connect =
        dial::TcpConnect::new(&url, Some(&pki.cert()), within, bench.tracker.clone()).unwrap();
    (connect.connect().await.unwrap(), to.next().await)
}

#[tokio::test]
async fn requests_before_the_welcome_are_not_served() {
    let bench = Bench::new();
    let (host_io, relay_io) = pipe();
    let _host = bench.host(host_io, bench.introduction(None), ok);
    let builder = bench.settings.client(&bench.tracker);
    let (mut sender, connection) = builder.handshake(TokioIo::new(relay_io)).await.unwrap();
    bench.tracker.spawn(async move {
        let _ = connection.await;
    });
    let ask = |kind: &'static str, path: &str| {
        let mut request = get(path).map(frames::Frames::plain);
        head().encode(request.headers_mut()).unwrap();
        request
            .headers_mut()
            .insert("latchkey-kind", kind.parse().unwrap());
        request
    };
    let early = sender.send_request(ask("request", "/api")).await.unwrap();
    assert_eq!(early.status(), 503);
    let neither = sender.send_request(ask("both", "/api")).await.unwrap();
    assert_eq!(neither.status(), 400);
    let mut welcome = ask("control", "/welcome");
    *welcome.method_mut() = http::Method::POST;
    *welcome.body_mut() = frames::Frames::plain(body::full("{\"tunnel_id\":\"x\"}"));
    let out_of_order = sender.send_request(welcome).await.unwrap();
    assert_eq!(out_of_order.status(), 409);
    let mut flood = ask("control", "/hello");
    *flood.method_mut() = http::Method::POST;
    *flood.body_mut() = frames::Frames::plain(body::full(vec![b' '; 17 * 1024]));
    assert_eq!(sender.send_request(flood).await.unwrap().status(), 400);
}

#[tokio::test(start_paused = true)]
async fn host_that_never_answers_the_hello_is_given_up() {
    let bench = Bench::new();
    let (_silent, relay_io) = pipe();
    let given_up = bench
        .acceptor(NAME)
        .accept(relay_io, None)
        .await
        .unwrap_err();
    assert!(matches!(given_up, HelloError::Deadline), "{given_up}");
}

#[test]
fn identity_is_kept_private_and_survives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/host.key");
    let first = HostIdentity::load_or_create(&path).unwrap();
    let again = HostIdentity::load_or_create(&path).unwrap();
    assert_eq!(first.public_key(), again.public_key());
    assert_ne!(first.instance(), again.instance());
    let text = std::fs::read_to_string(&path).unwrap();
    let secret = text.trim().rsplit(':').next().unwrap();
    assert!(!format!("{first:?}").contains(secret));
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1, "no draft is left");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let readable = HostIdentity::load_or_create(&path).unwrap_err();
        assert!(readable.to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    std::fs::write(&path, "something else").unwrap();
    let refused = HostIdentity::load_or_create(&path).unwrap_err();
    assert!(matches!(
        refused,
        IdentityError::File(KeyFileError::NotAKey(_))
    ));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "something else");
}
