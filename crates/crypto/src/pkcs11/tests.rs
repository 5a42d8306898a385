//! Tests against SoftHSM2, each in a process of its own.

use std::process::Command;

use keysherd_base::{Secret, SecretString};

use super::{Token, TokenError, TokenName, TokenUri};
use crate::hash::hmac_sha256;
use crate::random::SystemRng;
use crate::sign::PublicKey;

#[path = "../../tests/softhsm/mod.rs"]
mod softhsm;

use softhsm::{PIN, SoftHsm};

/// Set in the process that has the tokens of [`SoftHsm`].
const INSIDE: &str = "KEYSHERD_TEST_TOKEN";

/// Runs `body` in a process that sees a fresh token. `test` is the name of the calling test.
fn with_token(test: &str, body: fn(&TokenUri)) {
    if let Ok(uri) = std::env::var(INSIDE) {
        return body(&uri.parse().unwrap());
    }
    let hsm = SoftHsm::with_token("first");
    hsm.add_token("twin");
    hsm.add_token("twin");
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", &format!("pkcs11::tests::{test}"), "--nocapture"]);
    let run = hsm.configure(&mut again).env(INSIDE, hsm.uri("first", None)).output().unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && text.contains("1 passed"), "{text}");
    assert!(hsm.dir().join("tokens").is_dir() && hsm.module().is_file());
}

fn pin() -> SecretString {
    Secret::new(PIN.to_owned())
}

#[test]
fn signs_like_a_key_in_memory_and_keeps_the_key() {
    with_token("signs_like_a_key_in_memory_and_keeps_the_key", |uri| {
        let token = Token::open(uri, pin()).unwrap();
        let public = token.generate_ed25519("owner").unwrap();
        assert_eq!(token.ed25519_public("owner"), Ok(public));
        let signature = token.sign_ed25519("owner", "KSF1-sig/test", b"body").unwrap();
        assert!(public.verify("KSF1-sig/test", b"body", &signature));
        assert!(!public.verify("KSF1-sig/test", b"other", &signature));
        assert!(!public.verify("KSF1-sig/other", b"body", &signature));
        let second = token.generate_ed25519("second").unwrap();
        assert_ne!(second, public);
        assert!(matches!(token.generate_ed25519("owner"), Err(TokenError::KeyExists { .. })));
        assert!(matches!(token.ed25519_public("third"), Err(TokenError::NoKey { .. })));
        assert_eq!(token.generate_ed25519("").unwrap_err(), TokenError::BadLabel);
        // Another opening, as after a restart, finds the same key.
        drop(token);
        let token = Token::open(uri, pin()).unwrap();
        assert_eq!(token.ed25519_public("owner"), Ok(public));
    });
}

#[test]
fn computes_hmacs_and_seals() {
    with_token("computes_hmacs_and_seals", |uri| {
        let token = Token::open(uri, pin()).unwrap();
        token.generate_hmac("fragment").unwrap();
        let mac = token.hmac_sha256("fragment", b"seed").unwrap();
        assert_eq!(mac.expose(), token.hmac_sha256("fragment", b"seed").unwrap().expose());
        assert_ne!(mac.expose(), token.hmac_sha256("fragment", b"eed").unwrap().expose());
        token.generate_hmac("other").unwrap();
        assert_ne!(mac.expose(), token.hmac_sha256("other", b"seed").unwrap().expose());

        token.generate_aes("kek").unwrap();
        assert!(matches!(token.generate_aes("fragment"), Err(TokenError::KeyExists { .. })));
        let secret = Secret::new(vec![7; 32]);
        let rng = SystemRng::handle();
        let sealed = token.seal("kek", b"context", &secret, &*rng).unwrap();
        assert_eq!(sealed.len(), 12 + 32 + 16);
        assert_ne!(sealed, token.seal("kek", b"context", &secret, &*rng).unwrap());
        assert_eq!(token.unseal("kek", b"context", &sealed).unwrap().expose(), &[7; 32]);
        let failed = |outcome: Result<_, TokenError>| outcome.unwrap_err();
        assert_eq!(failed(token.unseal("kek", b"contexT", &sealed)), TokenError::OpenFailed);
        for at in [0, 12, 43, 59] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            let outcome = token.unseal("kek", b"context", &changed);
            assert_eq!(failed(outcome), TokenError::OpenFailed, "byte {at}");
        }
        for short in [0, 12, 27] {
            let outcome = token.unseal("kek", b"context", &sealed[..short]);
            assert_eq!(failed(outcome), TokenError::OpenFailed, "{short} bytes");
        }
        let large = Secret::new(vec![0; super::SEALED_BYTES_MAX + 1]);
        assert!(token.seal("kek", b"", &large, &*rng).is_err());
    });
}

/// The token's HMAC is the ordinary one: the same key in memory gives the same result.
#[test]
fn an_hmac_is_the_one_of_rfc_2104() {
    with_token("an_hmac_is_the_one_of_rfc_2104", |uri| {
        use cryptoki::object::{Attribute, KeyType, ObjectClass};
        let token = Token::open(uri, pin()).unwrap();
        let imported = [
            Attribute::Token(true),
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Label(b"imported".to_vec()),
            Attribute::Sign(true),
            Attribute::Value(vec![0x0b; 32]),
        ];
        token.run("importing", |session| Ok(session.create_object(&imported)?)).unwrap();
        let mac = token.hmac_sha256("imported", b"Hi There").unwrap();
        assert_eq!(mac.expose(), &hmac_sha256(&[0x0b; 32], &[b"Hi There"]));
    });
}

#[test]
fn a_lost_login_is_made_again() {
    with_token("a_lost_login_is_made_again", |uri| {
        let token = Token::open(uri, pin()).unwrap();
        let public = token.generate_ed25519("owner").unwrap();
        token.lose_login();
        let signature = token.sign_ed25519("owner", "KSF1-sig/test", b"body").unwrap();
        assert!(public.verify("KSF1-sig/test", b"body", &signature));
    });
}

#[test]
fn says_what_is_wrong_with_token_and_pin() {
    with_token("says_what_is_wrong_with_token_and_pin", |uri| {
        let wrong = Token::open(uri, Secret::new("1234".to_owned())).unwrap_err();
        assert_eq!(wrong, TokenError::PinRefused { token: "first".to_owned(), locked: false });
        let named = |token: TokenName| TokenUri { token, ..uri.clone() };
        let absent = Token::open(&named(TokenName::Label("third".to_owned())), pin()).unwrap_err();
        let text = absent.to_string();
        assert!(text.contains("'third'") && text.contains("'first' (serial "), "{text}");
        let twins = Token::open(&named(TokenName::Label("twin".to_owned())), pin()).unwrap_err();
        assert!(twins.to_string().contains("serial="), "{twins}");
        let serial = text.split("'first' (serial ").nth(1).unwrap().split(')').next().unwrap();
        let token = Token::open(&named(TokenName::Serial(serial.to_owned())), pin()).unwrap();
        assert_eq!(token.name(), "first");
        let module = TokenUri { module: "/nowhere/at-all.so".into(), ..uri.clone() };
        let text = Token::open(&module, pin()).unwrap_err().to_string();
        assert!(text.contains("/nowhere/at-all.so"), "{text}");
        let long = Secret::new("1".repeat(super::PIN_BYTES_MAX + 1));
        assert_eq!(Token::open(uri, long).unwrap_err(), TokenError::PinTooLong);
        assert_eq!(format!("{token:?}"), "Token(first)");
        assert_ne!(PublicKey([0; 32]), token.generate_ed25519("x").unwrap());
    });
}

#[test]
fn addresses_have_one_spelling() {
    let text = "pkcs11:token=the%20owner;object=key-1?module-path=/usr/lib/m.so";
    let uri: TokenUri = text.parse().unwrap();
    assert_eq!(uri.token, TokenName::Label("the owner".to_owned()));
    assert_eq!((uri.key_label(), uri.to_string().as_str()), (Ok("key-1"), text));
    let by_serial: TokenUri = "pkcs11:serial=0f;?module-path=m".parse().unwrap();
    assert_eq!(by_serial.token, TokenName::Serial("0f".to_owned()));
    assert!(by_serial.key_label().is_err());
    let wrong = [
        "",
        "token=a?module-path=m",
        "pkcs11:token=a",
        "pkcs11:?module-path=m",
        "pkcs11:token=a;serial=b?module-path=m",
        "pkcs11:token=a;token=b?module-path=m",
        "pkcs11:token=?module-path=m",
        "pkcs11:token=a%2?module-path=m",
        "pkcs11:token=a%0a?module-path=m",
        "pkcs11:token=a%ff?module-path=m",
        "pkcs11:token=a;slot-id=1?module-path=m",
        "pkcs11:token=a?module-path=m&pin-value=1234",
        "pkcs11:token=a?module-path=m&pin-source=x",
        "pkcs11:module-path=m?token=a",
    ];
    for text in wrong {
        assert!(text.parse::<TokenUri>().is_err(), "{text}");
    }
    let pin = "pkcs11:token=a?pin-value=12345".parse::<TokenUri>().unwrap_err().to_string();
    assert!(!pin.contains("12345"), "{pin}");
}
