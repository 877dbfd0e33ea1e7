//! A server of App Session Keys that knows the apps it is told, and the documentation's example.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, DecodeRsaPublicKey as _};
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::fake::{Asked, Fake, Reply};

/// The app of the documentation's example, in version 1.0.
pub(crate) const APP: &str = "com.example.my_octoprint_app";
pub(crate) const PRIVATE_KEY: &str =
    include_str!("../../../../model/src/session_key/documented_key.pem");
pub(crate) const PUBLIC_KEY: &str = "MEgCQQCIWfi7Nc8bcnfZJJtA6a4RyMC+sKBlMOb25OVNNB4L2v0TiGO72jVKR4osvb4oztlbRW5GkdiY0T2LJcfDYvkJAgMBAAE=";
/// The only key that the server gives, again and again.
pub(crate) const KEY: &str = "F43A844750F74AD080FE9F438D47B33C";
/// What the app signs for it.
pub(crate) const SIGNATURE: &str =
    "LGVCiolQWDc4AVn1DOcWljY0cFQxWF4pldVveUjjmL9JhiL0LnCKBbGwZ/CwKBWswFAxPaxQ0kDusVdOmCUa/w==";
pub(crate) const VALID_UNTIL: f64 = 1_416_227_497.011;

/// The documentation's app as an entry of `api.apps`.
pub(crate) fn documented_entry() -> Value {
    json!({"pubkey": PUBLIC_KEY, "allow_weak_keys": true})
}

/// The setting `api` of a host that knows the documentation's app.
pub(crate) fn documented() -> Value {
    json!({"apps": {format!("{APP}:1.0"): documented_entry()}})
}

/// Signs as the documentation's app.
pub(crate) fn sign(message: &str) -> String {
    #[expect(clippy::disallowed_types, reason = "tests sign as apps do")]
    let private = rsa::RsaPrivateKey::from_pkcs1_pem(PRIVATE_KEY).unwrap();
    let signed = private.sign(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message));
    STANDARD.encode(signed.unwrap())
}

/// What the server says to the first step when nothing is wrong.
pub(crate) fn unverified() -> Reply {
    let key = json!({"unverifiedKey": KEY, "validUntil": 1_416_220_357.011});
    Reply::json(200, &key)
}

/// What it says to the second.
pub(crate) fn verified() -> Reply {
    Reply::json(200, &json!({"key": KEY, "validUntil": VALID_UNTIL}))
}

/// Starts a server that knows the apps `(id:version, public key)`.
pub(crate) async fn serve(apps: Vec<(String, String)>) -> Fake {
    // Whether the key waits for a signature.
    let given = Mutex::new(false);
    Fake::start(|_| move |asked: &Asked| reply(asked, &apps, &mut given.lock().unwrap())).await
}

fn reply(asked: &Asked, apps: &[(String, String)], given: &mut bool) -> Reply {
    if asked.line == "GET /apps/auth" {
        *given = true;
        return unverified();
    }
    assert_eq!(asked.line, "POST /apps/auth");
    if asked.content_type.as_deref() != Some("application/json") {
        return Reply::text(400, "Expected content-type JSON");
    }
    let member = |name: &str| asked.body[name].as_str();
    let (Some(id), Some(key), Some(signature)) = (member("appid"), member("key"), member("_sig"))
    else {
        return Reply::text(400, "Missing argument");
    };
    let app = format!("{id}:{}", member("appversion").unwrap_or("any"));
    let Some((_, public)) = apps.iter().find(|(name, _)| *name == app) else {
        return Reply::text(401, &format!("Invalid app: {app}"));
    };
    if !fits(public, &format!("{app}:{key}"), signature) {
        return Reply::text(401, "Invalid signature");
    }
    if !std::mem::take(given) {
        return Reply::text(401, "Invalid key or already verified");
    }
    verified()
}

fn fits(public: &str, message: &str, signature: &str) -> bool {
    let public = RsaPublicKey::from_pkcs1_der(&STANDARD.decode(public).unwrap()).unwrap();
    let signature = STANDARD.decode(signature).unwrap();
    let scheme = Pkcs1v15Sign::new::<Sha1>();
    let hash = Sha1::digest(message);
    public.verify(scheme, &hash, &signature).is_ok()
}

/// The entry that `latchkey app-keygen` printed: name and public key.
pub(crate) fn entry(yaml: &str) -> (String, String) {
    let read: Value = serde_saphyr::from_str(yaml).unwrap();
    let apps = read["api"]["apps"].as_object().unwrap();
    let [(name, app)] = &*apps.iter().collect::<Vec<_>>() else {
        panic!("not one app: {yaml}");
    };
    ((*name).clone(), app["pubkey"].as_str().unwrap().to_owned())
}
