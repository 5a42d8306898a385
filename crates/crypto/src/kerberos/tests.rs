//! A ticket of MIT Kerberos 1.20 that curl 7.88 presented to `HTTP/localhost`, and what becomes of
//! it in other hands. The live flow is tested against a running KDC.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const TOKEN: &str = include_str!("../../fixtures/kerberos/curl-token.b64");
const KEYTAB: &str = include_str!("../../fixtures/kerberos/http-localhost.keytab.b64");
/// 2026-11-22T02:58:53Z, when curl made it.
const MADE: Timestamp = Timestamp(1_795_316_333_000);

fn token() -> Vec<u8> {
    STANDARD.decode(TOKEN.trim()).unwrap()
}

fn keytab_bytes() -> Vec<u8> {
    STANDARD.decode(KEYTAB.trim()).unwrap()
}

fn keytab() -> Keytab {
    Keytab::from_bytes(&keytab_bytes()).unwrap()
}

#[test]
fn a_ticket_of_another_implementation_is_accepted() {
    let accepted = accept(&token(), &keytab(), MADE).unwrap();
    assert_eq!((accepted.client.as_str(), accepted.realm.as_str()), ("alice", "EXAMPLE.TEST"));
    assert_eq!(accepted.service, "HTTP/localhost");
    assert!(accepted.made.millis_since(MADE).abs() < 5_000);
    let day_later = MADE.plus_seconds(86_400);
    assert!(accepted.ends.millis_since(day_later).abs() < 5_000);
    assert_eq!(keytab().principals().next().unwrap(), "HTTP/localhost@EXAMPLE.TEST");
    // Without SPNEGO around it, too; and it is the same authenticator.
    let bare = mechanism_token(&token()).unwrap();
    assert_eq!(accept(&bare, &keytab(), MADE).unwrap().once, accepted.once);
    // And without the frame of GSS-API: its identifier and two bytes.
    let request = bare.windows(2).position(|two| two == [AP_REQ_TAG, 0x82]).unwrap();
    assert_eq!(accept(&bare[request..], &keytab(), MADE).unwrap().once, accepted.once);
}

#[test]
fn t_kerberos_other_times_keys_and_services() {
    let refused = |now| accept(&token(), &keytab(), now).unwrap_err();
    assert_eq!(refused(MADE.plus_seconds(SKEW_SECONDS + 5)), KerberosRefused::Skew);
    assert_eq!(refused(MADE.plus_seconds(-SKEW_SECONDS - 5)), KerberosRefused::Skew);
    let change = |from: &[u8], to: &[u8]| {
        let bytes = keytab_bytes();
        let places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from));
        let mut changed = bytes.clone();
        places.for_each(|at| changed[at..at + to.len()].copy_from_slice(to));
        assert_ne!(bytes, changed);
        accept(&token(), &Keytab::from_bytes(&changed).unwrap(), MADE).unwrap_err()
    };
    assert_eq!(change(b"localhost", b"otherhost"), KerberosRefused::NoKey);
    assert_eq!(change(b"EXAMPLE.TEST", b"EXAMPLE.EVIL"), KerberosRefused::NoKey);
    // The first key byte of the AES-256 entry: kind 18, length 32.
    let key = keytab_bytes().windows(4).position(|w| w == [0, 18, 0, 32]).unwrap() + 4;
    let mut other = keytab_bytes();
    other[key] ^= 1;
    let other = Keytab::from_bytes(&other).unwrap();
    assert_eq!(accept(&token(), &other, MADE), Err(KerberosRefused::Ticket));
}

#[test]
fn no_changed_token_is_accepted_and_none_panics() {
    let (token, keytab) = (token(), keytab());
    let good = accept(&token, &keytab, MADE).unwrap();
    for at in 0..token.len() {
        let mut changed = token.clone();
        changed[at] ^= 0x10;
        // Some bytes say nothing about who it is, such as flags of the negotiation.
        if let Ok(accepted) = accept(&changed, &keytab, MADE) {
            assert_eq!(accepted, good, "byte {at}");
        }
        assert!(accept(&token[..at], &keytab, MADE).is_err());
    }
    assert_eq!(
        accept(&vec![0x60; TOKEN_BYTES_MAX + 1], &keytab, MADE),
        Err(KerberosRefused::Malformed)
    );
}

#[test]
fn no_damaged_keytab_panics() {
    let bytes = keytab_bytes();
    for at in 0..bytes.len() {
        let _ = Keytab::from_bytes(&bytes[..at]);
        let mut changed = bytes.clone();
        changed[at] = 0xff;
        let _ = Keytab::from_bytes(&changed);
    }
    for bad in [&b""[..], b"\x05\x02", b"\x05\x01", &[5, 2, 0, 0, 0, 0]] {
        assert!(Keytab::from_bytes(bad).is_err());
    }
}

#[test]
fn names_with_parts_that_could_be_taken_for_more_are_not_plain() {
    for plain in ["alice", "al,ice", "al ice", "HTTP", "gw.example", "\u{e9}ve", "*", "$"] {
        assert!(is_plain(plain), "{plain:?}");
    }
    for odd in ["", "a/b", "x@REALM", "a\\b", "a\0", "a\n", "\u{fffd}"] {
        assert!(!is_plain(odd), "{odd:?}");
    }
}
