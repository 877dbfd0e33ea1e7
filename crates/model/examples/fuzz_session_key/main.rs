//! Tries changed keys, messages and signatures on the verification of session keys:
//!
//! ```sh
//! cargo run --release -p latchkey-model --example fuzz_session_key -- 60
//! ```
//!
//! Runs for that many seconds. Fails on a panic, and on anything accepted that should not be. Says
//! also how long verifying takes with the longest key that is allowed.

use std::time::Duration;

use data_encoding::BASE64;
use latchkey_model::clock::{Clock, SystemClock};
use latchkey_model::session_key::PublicKey;

mod mutate;

use mutate::Dice;

/// What the documentation of App Session Keys publishes.
const PUBKEY: &[u8] = b"MEgCQQCIWfi7Nc8bcnfZJJtA6a4RyMC+sKBlMOb25OVNNB4L2v0TiGO72jVKR4osvb4oztlbRW5GkdiY0T2LJcfDYvkJAgMBAAE=";
const MESSAGE: &[u8] = b"com.example.my_octoprint_app:1.0:F43A844750F74AD080FE9F438D47B33C";
const SIGNATURE: &[u8] =
    b"LGVCiolQWDc4AVn1DOcWljY0cFQxWF4pldVveUjjmL9JhiL0LnCKBbGwZ/CwKBWswFAxPaxQ0kDusVdOmCUa/w==";

#[expect(clippy::print_stdout, reason = "its result")]
fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let until = SystemClock
        .now()
        .plus(Duration::from_secs(seconds.unwrap_or(10)));
    let seed = u64::try_from(SystemClock.now().millis()).unwrap_or(1);
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let (der, signature) = (decoded(PUBKEY), decoded(SIGNATURE));
    let (mut tries, mut keys, mut accepted) = (0_u64, 0_u64, 0_u64);
    while SystemClock.now() < until {
        for _ in 0..1000 {
            tries += 1;
            let tried = [
                dice.change(&der),
                dice.change(MESSAGE),
                dice.change(&signature),
            ];
            let Ok(key) = PublicKey::from_der(&tried[0]) else {
                continue;
            };
            keys += 1;
            if key.verify(&tried[1], &tried[2]).is_ok() {
                accepted += 1;
                let good = [&*der, MESSAGE, &*signature];
                assert!(tried.iter().eq(good), "accepted after {tries}: {tried:?}");
            }
        }
    }
    println!("{tries} tries, {keys} readable keys, {accepted} times the unchanged original");
    println!(
        "4096 bits: {:.3} ms to refuse a signature",
        refusal_of_the_longest()
    );
}

fn decoded(text: &[u8]) -> Vec<u8> {
    BASE64.decode(text).expect("the example is BASE64")
}

/// Milliseconds for a signature that fits none of the three digests.
fn refusal_of_the_longest() -> f64 {
    const TIMES: u32 = 200;
    let mut der = vec![0x30, 0x82, 0x02, 0x0a, 0x02, 0x82, 0x02, 0x01, 0x00];
    der.extend([0xd5; 512]);
    der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    let key = PublicKey::from_der(&der).expect("a key of 4096 bits");
    let started = SystemClock.now();
    for _ in 0..TIMES {
        assert!(key.verify(MESSAGE, &[0x55; 512]).is_err());
    }
    SystemClock.now().since(started).as_secs_f64() * 1000.0 / f64::from(TIMES)
}
