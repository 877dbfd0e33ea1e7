#![expect(
    clippy::disallowed_types,
    reason = "tests sign, and forge, as an app could"
)]

use data_encoding::BASE64;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::pkcs8::EncodePublicKey as _;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey};
use sha1::{Digest as _, Sha1};

use super::*;

/// The pair, key and signature that the documentation of App Session Keys publishes.
pub(super) const PUBKEY: &str = "MEgCQQCIWfi7Nc8bcnfZJJtA6a4RyMC+sKBlMOb25OVNNB4L2v0TiGO72jVKR4osvb4oztlbRW5GkdiY0T2LJcfDYvkJAgMBAAE=";
pub(super) const PRIVATE: &str = include_str!("documented_key.pem");
pub(super) const KEY: &str = "F43A844750F74AD080FE9F438D47B33C";
pub(super) const SIGNATURE: &str =
    "LGVCiolQWDc4AVn1DOcWljY0cFQxWF4pldVveUjjmL9JhiL0LnCKBbGwZ/CwKBWswFAxPaxQ0kDusVdOmCUa/w==";

const MESSAGE: &[u8] = b"com.example.app:1.0:F43A844750F74AD080FE9F438D47B33C";
const SHA1_PREFIX: &[u8] = &[
    0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
];

/// A pair of 1024 bits, made once for these tests.
fn pair() -> (RsaPrivateKey, PublicKey) {
    let private = RsaPrivateKey::from_pkcs1_pem(include_str!("test_key.pem")).unwrap();
    let der = private.to_public_key().to_pkcs1_der().unwrap();
    let public = PublicKey::from_der(der.as_bytes()).unwrap();
    (private, public)
}

/// Signs whatever block it is given, as a forger who holds the key could.
fn raw(private: &RsaPrivateKey, block: &[u8]) -> Vec<u8> {
    let signed = BigUint::from_bytes_be(block).modpow(private.d(), private.n());
    let bytes = signed.to_bytes_be();
    [vec![0; private.size() - bytes.len()], bytes].concat()
}

/// `00 01 FF… 00` and what it is to hide.
fn block(size: usize, hidden: &[u8]) -> Vec<u8> {
    let padding = vec![0xff; size - 3 - hidden.len()];
    [&[0, 1], &*padding, &[0], hidden].concat()
}

fn der(modulus: &BigUint, exponent: &BigUint) -> Vec<u8> {
    let integer = |number: &BigUint| {
        let mut bytes = number.to_bytes_be();
        if bytes.first().is_none_or(|byte| byte & 0x80 != 0) {
            bytes.insert(0, 0);
        }
        [&[2][..], &length(bytes.len()), &bytes].concat()
    };
    let body = [integer(modulus), integer(exponent)].concat();
    [&[0x30][..], &length(body.len()), &body].concat()
}

fn length(length: usize) -> Vec<u8> {
    let [.., high, low] = length.to_be_bytes();
    match length {
        0..0x80 => vec![low],
        0x80..0x100 => vec![0x81, low],
        _ => vec![0x82, high, low],
    }
}

#[test]
fn the_documented_signature_fits_the_documented_key_and_version() {
    let key = PublicKey::parse(PUBKEY).unwrap();
    assert_eq!(key.bits(), 512);
    let signature = BASE64.decode(SIGNATURE.as_bytes()).unwrap();
    let signed = |version| {
        let name = SessionAppName::asked("com.example.my_octoprint_app", version);
        signed_text(&name, KEY)
    };
    let verify = |version| key.verify(signed(version).as_bytes(), &signature);
    assert_eq!(verify(Some("1.0")), Ok(()));
    assert_eq!(verify(Some("0.9")), Err(Reject));
    assert_eq!(verify(None), Err(Reject));
    let private = RsaPrivateKey::from_pkcs1_pem(PRIVATE).unwrap();
    let padding = Pkcs1v15Sign::new::<Sha1>();
    let digest = Sha1::digest(signed(Some("1.0")));
    assert_eq!(private.sign(padding, &digest).unwrap(), signature);
}

#[test]
fn one_bit_is_enough_to_be_refused() {
    let key = PublicKey::parse(PUBKEY).unwrap();
    let message = format!("com.example.my_octoprint_app:1.0:{KEY}");
    let signature = BASE64.decode(SIGNATURE.as_bytes()).unwrap();
    for bit in 0..signature.len() * 8 {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            key.verify(message.as_bytes(), &flipped),
            Err(Reject),
            "{bit}"
        );
    }
    for bit in 0..message.len() * 8 {
        let mut flipped = message.clone().into_bytes();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key.verify(&flipped, &signature), Err(Reject), "{bit}");
    }
}

#[test]
fn sha_1_sha_256_and_sha_512_are_accepted_and_no_others() {
    let (private, public) = pair();
    let sign = |padding, digest: &[u8]| private.sign(padding, digest).unwrap();
    let verify = |signature: Vec<u8>| public.verify(MESSAGE, &signature).is_ok();
    assert!(verify(sign(
        Pkcs1v15Sign::new::<Sha1>(),
        &Sha1::digest(MESSAGE)
    )));
    assert!(verify(sign(
        Pkcs1v15Sign::new::<Sha256>(),
        &Sha256::digest(MESSAGE)
    )));
    assert!(verify(sign(
        Pkcs1v15Sign::new::<Sha512>(),
        &Sha512::digest(MESSAGE)
    )));
    assert!(!verify(sign(
        Pkcs1v15Sign::new::<Sha384>(),
        &Sha384::digest(MESSAGE)
    )));
    // The digest without a word on which it is.
    assert!(!verify(sign(
        Pkcs1v15Sign::new_unprefixed(),
        &Sha1::digest(MESSAGE)
    )));
    // MD5 with its prefix: the digest of the message, computed elsewhere.
    let md5_prefix = [
        0x30, 0x20, 0x30, 0x0c, 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05, 0x05,
        0x00, 0x04, 0x10,
    ];
    let md5 = BASE64.decode(b"kl0LI4K60suGWNn45T7Ukg==").unwrap();
    let hidden = [&md5_prefix[..], &md5].concat();
    assert!(!verify(raw(&private, &block(private.size(), &hidden))));
}

/// What lenient verifiers have let through, signed with the right key.
#[test]
fn no_leniency_in_the_padding() {
    let (private, public) = pair();
    let size = private.size();
    let digest = Sha1::digest(MESSAGE);
    let hidden = [SHA1_PREFIX, &digest].concat();
    let good = block(size, &hidden);
    assert_eq!(public.verify(MESSAGE, &raw(&private, &good)), Ok(()));
    let edit = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut block = good.clone();
        change(&mut block);
        block
    };
    // Shorter padding, and rubbish behind what it hides (Bleichenbacher's forgery of 2006).
    let rubbish = [
        &[0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0][..],
        &hidden,
    ]
    .concat();
    let rubbish = [rubbish.clone(), vec![0x5a; size - rubbish.len()]].concat();
    // The same hidden in the parameters of the algorithm.
    let padded_parameters = [
        &[
            0x30, 0x29, 0x30, 0x11, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x04, 0x08,
        ][..],
        &[0; 8],
        &[0x04, 0x14],
        &digest,
    ]
    .concat();
    // NULL left out, as some implementations do (RFC 8017 section 9.2 note 1).
    let without_null = [
        &[
            0x30, 0x1f, 0x30, 0x07, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x04, 0x14,
        ][..],
        &digest,
    ]
    .concat();
    // Lengths in the long form of BER.
    let long_form = [
        &[
            0x30, 0x81, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00,
            0x04, 0x14,
        ][..],
        &digest,
    ]
    .concat();
    let short_digest = [&SHA1_PREFIX[..14], &[0x13], &digest[..19]].concat();
    for (what, forged) in [
        ("block type 0", edit(&|block| block[1] = 0)),
        ("block type 2", edit(&|block| block[1] = 2)),
        ("first byte", edit(&|block| block[0] = 0x40)),
        ("padding with a zero", edit(&|block| block[9] = 0)),
        ("padding with FE", edit(&|block| block[20] = 0xfe)),
        (
            "no zero behind the padding",
            edit(&|block| block[size - hidden.len() - 1] = 0xff),
        ),
        ("rubbish behind", rubbish),
        ("parameters", block(size, &padded_parameters)),
        ("no NULL", block(size, &without_null)),
        ("BER length", block(size, &long_form)),
        ("short digest", block(size, &short_digest)),
        ("nothing hidden", block(size, &[])),
        ("the digest alone", block(size, &digest)),
        ("zeros", vec![0; size]),
    ] {
        assert_eq!(
            public.verify(MESSAGE, &raw(&private, &forged)),
            Err(Reject),
            "{what}"
        );
    }
}

#[test]
fn a_signature_is_as_long_as_the_modulus_and_smaller() {
    let (private, public) = pair();
    let padding = Pkcs1v15Sign::new::<Sha1>();
    let good = private.sign(padding, &Sha1::digest(MESSAGE)).unwrap();
    let number = BigUint::from_bytes_be(&good);
    let plus_modulus = (number + private.n()).to_bytes_be();
    let zero = vec![0; good.len()];
    let mut one = zero.clone();
    one[good.len() - 1] = 1;
    let mut minus_one = private.n().to_bytes_be();
    *minus_one.last_mut().unwrap() -= 1;
    for (what, signature) in [
        ("a zero before", [&[0], &*good].concat()),
        ("a zero behind", [&*good, &[0]].concat()),
        ("a byte less", good[1..].to_vec()),
        ("the modulus added", plus_modulus),
        ("the modulus", private.n().to_bytes_be()),
        ("0", zero),
        ("1", one),
        ("-1", minus_one),
        ("nothing", Vec::new()),
        ("twice", [&*good, &*good].concat()),
        ("very long", vec![0xff; 100_000]),
    ] {
        assert_eq!(public.verify(MESSAGE, &signature), Err(Reject), "{what}");
    }
    assert_eq!(public.verify(MESSAGE, &good), Ok(()));
}

#[test]
fn keys_that_are_none_are_refused() {
    use PublicKeyError::{Der, Exponent, Modulus, Size};
    let (private, _) = pair();
    let (modulus, exponent) = (private.n().clone(), private.e().clone());
    let number = |number: u64| BigUint::from(number);
    let good = der(&modulus, &exponent);
    assert!(PublicKey::from_der(&good).is_ok());
    let shifted = |bits: usize| (number(1) << bits) + number(1);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut der = good.clone();
        change(&mut der);
        der
    };
    let spki = private.to_public_key().to_public_key_der().unwrap();
    for (what, der, why) in [
        ("exponent 1", der(&modulus, &number(1)), Exponent),
        ("exponent 0", der(&modulus, &number(0)), Exponent),
        ("exponent 2", der(&modulus, &number(2)), Exponent),
        ("even exponent", der(&modulus, &number(65_536)), Exponent),
        (
            "huge exponent",
            der(&modulus, &number((1 << 33) + 1)),
            Exponent,
        ),
        (
            "exponent as large as the modulus",
            der(&modulus, &modulus),
            Exponent,
        ),
        (
            "even modulus",
            der(&(&modulus - number(1)), &exponent),
            Modulus,
        ),
        ("511 bits", der(&shifted(510), &exponent), Size(511)),
        ("4097 bits", der(&shifted(4096), &exponent), Size(4097)),
        ("16384 bits", der(&shifted(16383), &exponent), Size(16384)),
        ("no modulus", der(&number(0), &exponent), Size(0)),
        ("a byte behind", with(&|der| der.push(0)), Der),
        ("a byte before", with(&|der| der.insert(0, 0)), Der),
        ("cut", with(&|der| der.truncate(100)), Der),
        ("a set", with(&|der| der[0] = 0x31), Der),
        (
            "a negative modulus",
            with(&|der| {
                // The leading zero of the modulus goes, with its length.
                der.remove(6);
                der[2] -= 1;
                der[5] -= 1;
            }),
            Der,
        ),
        ("an indefinite length", with(&|der| der[1] = 0x80), Der),
        ("SubjectPublicKeyInfo", spki.as_bytes().to_vec(), Der),
        ("nothing", Vec::new(), Der),
    ] {
        assert_eq!(PublicKey::from_der(&der).unwrap_err(), why, "{what}");
    }
}

#[test]
fn texts_that_are_no_keys_are_refused() {
    use PublicKeyError::{Armour, Base64, Der};
    let (private, _) = pair();
    let text = BASE64.encode(&der(private.n(), private.e()));
    assert!(PublicKey::parse(&text).is_ok());
    for (what, text, why) in [
        ("a line break", format!("{text}\n"), Base64),
        ("a blank", format!(" {text}"), Base64),
        (
            "no padding",
            PUBKEY.trim_end_matches('=').to_owned(),
            Base64,
        ),
        ("too much padding", format!("{text}="), Base64),
        (
            "bits behind the end",
            PUBKEY.replace("AAE=", "AAF="),
            Base64,
        ),
        (
            "PEM",
            format!("-----BEGIN RSA PUBLIC KEY-----\n{text}\n"),
            Armour,
        ),
        ("far too long", text.repeat(20), Base64),
        ("something else", "hunter2!".to_owned(), Base64),
        ("nothing", String::new(), Der),
    ] {
        assert_eq!(PublicKey::parse(&text).unwrap_err(), why, "{what}");
    }
}

#[test]
fn the_largest_key_is_accepted() {
    let modulus = (BigUint::from(1_u8) << 4095) + BigUint::from(1_u8);
    let key = PublicKey::from_der(&der(&modulus, &BigUint::from(65_537_u32))).unwrap();
    assert_eq!(key.bits(), 4096);
    assert!(key.verify(MESSAGE, &[0x11; 512]).is_err());
}

fn registration(pubkey: &str) -> Registration {
    Registration {
        name: SessionAppName::parse("com.example.app:1.0").unwrap(),
        pubkey: Some(pubkey.to_owned()),
        enabled: true,
        allow_weak_keys: false,
        scope: SessionScope::Full,
    }
}

#[test]
fn a_weak_key_needs_leave_and_never_administers() {
    let app = |allow_weak_keys, scope| {
        SessionApp::new(Registration {
            allow_weak_keys,
            scope,
            ..registration(PUBKEY)
        })
    };
    let weak = app(false, SessionScope::Full);
    assert_eq!(weak.usable().unwrap_err(), Unusable::Weak(512));
    assert!(weak.is_weak() && weak.bits() == Some(512));
    assert!(app(true, SessionScope::Full).usable().is_ok());
    assert!(app(true, SessionScope::View).usable().is_ok());
    let admin = app(true, SessionScope::Admin);
    assert_eq!(admin.usable().unwrap_err(), Unusable::WeakAdmin(512));
    assert!(admin.fingerprint().unwrap().starts_with("SHA256:"));
}

#[test]
fn what_makes_an_entry_unusable_is_told() {
    let mut off = registration(PUBKEY);
    off.enabled = false;
    let off = SessionApp::new(off);
    assert_eq!(off.usable().unwrap_err(), Unusable::Disabled);
    assert_eq!(off.fault(), Some(Unusable::Weak(512)));
    let unreadable = SessionApp::new(registration("AAAA"));
    let der = PublicKeyError::Der;
    assert_eq!(unreadable.usable().unwrap_err(), Unusable::Unreadable(der));
    assert_eq!((unreadable.bits(), unreadable.fingerprint()), (None, None));
    let mut none = registration("");
    none.pubkey = None;
    assert_eq!(SessionApp::new(none).usable().unwrap_err(), Unusable::NoKey);
}

#[test]
fn every_change_of_an_entry_is_another_wording() {
    let first = *SessionApp::new(registration(PUBKEY)).wording();
    let changes: [&dyn Fn(&mut Registration); 5] = [
        &|entry| entry.enabled = false,
        &|entry| entry.allow_weak_keys = true,
        &|entry| entry.scope = SessionScope::View,
        &|entry| entry.pubkey = None,
        &|entry| entry.name = SessionAppName::parse("com.example.app:1.1").unwrap(),
    ];
    for change in changes {
        let mut changed = registration(PUBKEY);
        change(&mut changed);
        assert_ne!(*SessionApp::new(changed).wording(), first);
    }
    assert_eq!(*SessionApp::new(registration(PUBKEY)).wording(), first);
}

#[test]
fn names_have_an_id_and_a_version() {
    let name = SessionAppName::parse("com.example.app:1.0").unwrap();
    assert_eq!((name.id(), name.version()), ("com.example.app", "1.0"));
    assert_eq!(name, SessionAppName::asked("com.example.app", Some("1.0")));
    let any = SessionAppName::asked("com.example.app", None);
    assert_eq!(any.as_str(), "com.example.app:any");
    for wrong in [
        "",
        "com.example.app",
        ":1.0",
        "app:",
        "a\u{202e}:1",
        "a\nb:1",
    ] {
        assert!(SessionAppName::parse(wrong).is_err(), "{wrong:?}");
    }
    assert!(SessionAppName::parse(&format!("{}:1", "a".repeat(199))).is_err());
}

#[test]
fn a_scope_goes_as_far_as_its_group() {
    for (scope, access) in [
        (SessionScope::Full, Access::Operate),
        (SessionScope::View, Access::View),
        (SessionScope::Admin, Access::Admin),
    ] {
        assert_eq!(scope.access(), access);
        assert_eq!(scope.to_string().parse(), Ok(scope));
    }
    assert!("Full".parse::<SessionScope>().is_err());
}
