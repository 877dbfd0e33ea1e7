use argon2::password_hash::{PasswordHasher, PasswordVerifier};

use super::*;

/// Made with `OctoPrint` 1.11.8's own hashing and its passlib.
const FOREIGN: &[(&str, &str)] = &[
    (
        "pässwörd",
        "$argon2id$v=19$m=65536,t=3,p=4$53yvlfL+v1dKyRlj7H1v7Q$hjwToWKl/1ZYdcXGpAYTa0iq5+wa391Ig526w4lG9VM",
    ),
    (
        "battery-staple",
        "$argon2i$v=19$m=1024,t=2,p=2$E0LIudfaGwOgFEKo1VpL6Q$vCc7YaL3BfQbRJdaAfM7BzFOQW0odrlnzpuEf01DUPk",
    ),
    (
        "battery-staple",
        "$pbkdf2-sha256$29000$Usq5dy5l7P0fwxijFEIIAQ$u0GVBYMqlxppKMF22yB9Xj4Gvfi54Mnq14vZUOlsw/c",
    ),
    (
        "pässwörd",
        "$pbkdf2-sha256$1000$ZmxNyfl/DwEAIKTUmvO.Nw$bJLJUqSHVoxKEzVjnvrp.J5q9kOMNbQKAcWGCVF1p0w",
    ),
];

fn kept(text: &str) -> PasswordHash {
    PasswordHash::new(text.to_owned())
}

const WRONG: Verified = Verified {
    ok: false,
    rehash: false,
};

#[tokio::test]
async fn our_own_hash_is_of_the_decided_form_and_stays() {
    let passwords = Passwords::default();
    let hash = passwords.hash("correct horse").await.unwrap();
    assert!(
        hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{}",
        hash.expose()
    );
    let right = passwords.verify("correct horse", &hash).await.unwrap();
    assert_eq!(
        right,
        Verified {
            ok: true,
            rehash: false
        }
    );
    for wrong in ["correct horsE", "", "correct horse "] {
        assert_eq!(
            passwords.verify(wrong, &hash).await.unwrap(),
            WRONG,
            "{wrong:?}"
        );
    }
    let again = passwords.hash("correct horse").await.unwrap();
    assert_ne!(again.expose(), hash.expose(), "each hash has its own salt");
}

#[tokio::test]
async fn what_an_octoprint_kept_is_checked_and_to_be_hashed_anew() {
    let passwords = Passwords::default();
    let legacy = octoprint_sha512(
        "mvBUTvwzBzD3yPwvnJ4E4tXNf3CGJvvW",
        "d42d55dd635afa90e0a00ab36fec52f00f0f7b99792da79fbd55f5c031ce3c3ff44504d6d2a605364f20eced7226bb9d00854fc98d1cd9585701869e21d56905",
    )
    .unwrap();
    let foreign = FOREIGN
        .iter()
        .map(|(password, hash)| (*password, kept(hash)));
    for (password, hash) in foreign.chain([("pässwörd", legacy)]) {
        assert!(is_known_form(&hash), "{}", hash.expose());
        let right = passwords.verify(password, &hash).await.unwrap();
        assert_eq!(
            right,
            Verified {
                ok: true,
                rehash: true
            },
            "{}",
            hash.expose()
        );
        let wrong = passwords.verify("something else", &hash).await.unwrap();
        assert_eq!(wrong, WRONG, "{}", hash.expose());
    }
}

#[tokio::test]
async fn a_hash_of_ours_with_lower_parameters_is_hashed_anew() {
    let params = Params::new(8 * 1024, 1, 1, None).unwrap();
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(b"secret", b"0123456789abcdef")
        .unwrap();
    let passwords = Passwords::default();
    let found = passwords.verify("secret", &kept(&weak.to_string())).await;
    assert_eq!(
        found.unwrap(),
        Verified {
            ok: true,
            rehash: true
        }
    );
}

#[tokio::test]
async fn what_is_no_hash_or_costs_too_much_lets_nobody_in() {
    let passwords = Passwords::default();
    for text in [
        "",
        "secret",
        "$argon2id$",
        "$argon2id$v=19$m=19456,t=2,p=1$bGF0Y2hrZXktbm9ib2R5",
        "$argon2id$v=19$m=4194304,t=2,p=1$bGF0Y2hrZXktbm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=19456,t=4000000,p=1$bGF0Y2hrZXktbm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$pbkdf2-sha256$4000000000$Usq5dy5l7P0fwxijFEIIAQ$u0GVBYMqlxppKMF22yB9Xj4Gvfi54Mnq14vZUOlsw/c",
        "$pbkdf2-sha256$0$Usq5dy5l7P0fwxijFEIIAQ$u0GVBYMqlxppKMF22yB9Xj4Gvfi54Mnq14vZUOlsw/c",
        "$pbkdf2-sha256$1000$Usq5dy5l7P0fwxijFEIIAQ$",
        "$pbkdf2-sha512$1000$ohQCYGwtxdi7955zLkWIcQ$NQyEtz2exniSmNwO9jQJu/x475zEG7Kw48LpSFe9tpa0cgI5dAQ67raspBokMfsxUNbzyXSVLDXiqqiMEioZPQ",
        "$octoprint-sha512$$",
        "$octoprint-sha512$c2FsdA$abcd",
        NOBODYS,
    ] {
        assert_eq!(is_known_form(&kept(text)), text == NOBODYS, "{text}");
        for password in ["", "secret"] {
            let found = passwords.verify(password, &kept(text)).await.unwrap();
            assert_eq!(found, WRONG, "{text}");
        }
    }
    assert!(octoprint_sha512("salt", "not hex").is_none());
    assert!(octoprint_sha512("salt", "abcd").is_none());
}

#[test]
fn pretending_costs_what_checking_costs() {
    let Some(Form::Argon2 { ours, .. }) = Form::of(NOBODYS) else {
        panic!("another form");
    };
    assert!(ours, "the same parameters");
}

#[tokio::test]
async fn who_comes_when_too_many_wait_is_sent_away() {
    let passwords = Passwords::default();
    // Nothing is worked on while the test holds all turns.
    let turns = u32::try_from(AT_ONCE).unwrap();
    let held = Arc::clone(&passwords.working)
        .acquire_many_owned(turns)
        .await;
    let held = held.unwrap();
    let mut waiting: Vec<_> = (0..WAITING + AT_ONCE)
        .map(|_| Box::pin(passwords.pretend("x")))
        .collect();
    for one in &mut waiting {
        tokio::select! {
            biased;
            done = one => panic!("it did not wait: {done:?}"),
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(passwords.pretend("x").await, Err(PasswordsError::Busy));
    assert_eq!(passwords.hash("x").await.unwrap_err(), PasswordsError::Busy);
    // Those who left make room again.
    drop(waiting);
    drop(held);
    assert_eq!(passwords.pretend("x").await, Ok(()));
}

#[test]
fn a_hash_of_ours_is_what_others_know_as_argon2id() {
    let made = hash("secret-secret", b"0123456789abcdef").unwrap();
    let read = phc::PasswordHash::new(made.expose()).unwrap();
    let verify = |password: &[u8]| argon2().verify_password(password, &read).is_ok();
    assert!(verify(b"secret-secret") && !verify(b"secret-secres"));
    let theirs = argon2()
        .hash_password_with_salt(b"secret-secret", b"0123456789abcdef")
        .unwrap();
    assert_eq!(made.expose(), theirs.to_string());
}
