//! A short run of what `examples/fuzz_session_key` does for as long as one likes.

use data_encoding::BASE64;

use super::PublicKey;
use super::tests::{KEY, PUBKEY, SIGNATURE};

#[path = "../../examples/fuzz_session_key/mutate.rs"]
mod mutate;

#[test]
fn changed_keys_messages_and_signatures_are_refused_and_break_nothing() {
    let mut dice = mutate::Dice::new(0x5e55);
    let der = BASE64.decode(PUBKEY.as_bytes()).unwrap();
    let message = format!("com.example.my_octoprint_app:1.0:{KEY}").into_bytes();
    let signature = BASE64.decode(SIGNATURE.as_bytes()).unwrap();
    let (mut keys, mut accepted) = (0, 0);
    for _ in 0..20_000 {
        let tried = [
            dice.change(&der),
            dice.change(&message),
            dice.change(&signature),
        ];
        // As text too, the way a registration has it.
        let _ = PublicKey::parse(&String::from_utf8_lossy(&dice.change(PUBKEY.as_bytes())));
        let Ok(key) = PublicKey::from_der(&tried[0]) else {
            continue;
        };
        keys += 1;
        if key.verify(&tried[1], &tried[2]).is_ok() {
            accepted += 1;
            assert!(tried.iter().eq([&der, &message, &signature]), "{tried:?}");
        }
    }
    assert!(
        keys > 1000 && accepted > 10,
        "{keys} {accepted}: nothing was tried"
    );
}
