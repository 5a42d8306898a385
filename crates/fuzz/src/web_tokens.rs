//! JSON Web Tokens of issuers, and the keys they are verified with.

use keysherd_base::Timestamp;
use keysherd_crypto::jwt::{self, Expected, JwtKeys};

/// A key set with one Ed25519 key, whose private half is seven in each of its 32 bytes.
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","use":"sig",
    "x":"6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw"}]}"#;
const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
                   MCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=\n\
                   -----END PUBLIC KEY-----\n";
/// The only token that key ever signed.
const TOKEN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ.\
    eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwiYXVkIjoidmF1bHQiLCJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAw\
    MDAwMCwiZ3JvdXBzIjpbImEiLCJiIl19.\
    hQEX5SqzBw260zs8mVfNITgEF7ReuTrRAUl4G9Uj3KjHvoN2KdaUAW6hY22sjsYWjFAorqt7zilIBHUb5li7Cg";

const EXPECTED: Expected<'_> = Expected {
    issuers: &["https://idp.example"],
    audiences: &["vault"],
    now: Timestamp::from_seconds(1_899_999_000),
    skew_seconds: 60,
};

/// Verifies the bytes as a token: the one that was signed counts, and no other.
pub fn web_tokens(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let looks = jwt::glance(text).is_ok();
    for keys in [JwtKeys::from_key_set(KEYS), JwtKeys::from_public_pem(PEM)] {
        let keys = keys.expect("invariant: the keys are good");
        match jwt::verify(text, &keys, &EXPECTED) {
            Ok(claims) => assert!(text == TOKEN && looks && claims["sub"] == "alice"),
            Err(refused) => assert!(text != TOKEN, "{refused}"),
        }
    }
}

/// Reads the bytes as keys; whatever they are, nothing that was not signed counts with them.
pub fn key_sets(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = [
        JwtKeys::from_key_set(text),
        JwtKeys::from_public_pem(text),
        JwtKeys::from_certificate_pem(text),
    ];
    for keys in read.into_iter().flatten() {
        let cut = &TOKEN[..TOKEN.len() - 2];
        assert!(jwt::verify(cut, &keys, &EXPECTED).is_err());
        let _ = jwt::verify(TOKEN, &keys, &EXPECTED);
    }
}

pub(crate) fn token_seeds() -> Vec<Vec<u8>> {
    let (signed, _) = TOKEN.rsplit_once('.').expect("invariant: a token has three parts");
    vec![TOKEN.into(), format!("{signed}.").into_bytes()]
}

pub(crate) fn key_seeds() -> Vec<Vec<u8>> {
    vec![KEYS.into(), PEM.into()]
}
