//! Tickets that clients present, and keytabs.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Timestamp;
use keysherd_crypto::kerberos::{Accepted, KEYS_MAX, Keytab, accept};

/// What a client of another implementation presented, and the keytab it was made for.
const TOKEN: &str = include_str!("../../crypto/fixtures/kerberos/curl-token.b64");
const KEYTAB: &str = include_str!("../../crypto/fixtures/kerberos/http-localhost.keytab.b64");
/// 2026-11-22T02:58:53Z, when it was made.
const MADE: Timestamp = Timestamp(1_795_316_333_000);

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text.trim()).expect("invariant: the fixtures are base64")
}

static KEYS: LazyLock<Keytab> =
    LazyLock::new(|| Keytab::from_bytes(&decoded(KEYTAB)).expect("invariant: the keytab is one"));
static HONEST: LazyLock<Accepted> = LazyLock::new(|| {
    accept(&decoded(TOKEN), &KEYS, MADE).expect("invariant: the ticket is good at its time")
});

/// Presents the bytes as a token: whoever is let in is the one whose ticket it was, and a second
/// spelling of the token is known to be the same.
pub fn kerberos_tokens(data: &[u8]) {
    if let Ok(accepted) = accept(data, &KEYS, MADE) {
        assert_eq!(accepted, *HONEST);
    }
    let late = MADE.plus_seconds(86_400);
    assert!(accept(data, &KEYS, late).is_err(), "a ticket outlived its day");
}

/// Reads the bytes as a keytab: it opens the ticket for the one it was made for, or not at all.
pub fn keytabs(data: &[u8]) {
    let Ok(keytab) = Keytab::from_bytes(data) else { return };
    assert!((1..=KEYS_MAX).contains(&keytab.principals().count()));
    if let Ok(accepted) = accept(&decoded(TOKEN), &keytab, MADE) {
        assert_eq!(accepted, *HONEST);
    }
}

pub(crate) fn token_seeds() -> Vec<Vec<u8>> {
    let token = decoded(TOKEN);
    // Kerberos without SPNEGO around it begins with the second outer tag.
    let inner = (1..token.len()).find(|at| token[*at] == 0x60).unwrap_or_default();
    vec![token[inner..].to_vec(), token]
}

pub(crate) fn keytab_seeds() -> Vec<Vec<u8>> {
    let keytab = decoded(KEYTAB);
    let hole = [&keytab[..2], &[0xff, 0xff, 0xff, 0xfc, 0, 0, 0, 0], &keytab[2..]].concat();
    vec![keytab, hole]
}
