//! Who is believed, and for how long.

use keysherd_base::Secret;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_767_607_872);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([seed; 32]))
}

fn said() -> Vouched {
    Vouched {
        account: 7,
        access_id: "p-gateway".to_owned(),
        item: "/prod/Hook;\"'\n\u{e9}".to_owned(),
        audience: "https://hook.example/create".to_owned(),
    }
}

#[test]
fn a_webhook_learns_who_asks_and_for_which_item() {
    let text = vouch(&key(1), &said(), NOW);
    assert!(text.expose().bytes().all(|b| b.is_ascii_graphic()), "it goes into a header");
    let known = |one: &PublicKey| *one == key(1).public();
    assert_eq!(validate(text.expose(), 7, NOW, known).unwrap(), said());
    for age in [0, 299, 300] {
        assert!(validate(text.expose(), 7, NOW.plus_seconds(age), known).is_ok(), "{age}");
    }
}

#[test]
fn nobody_else_is_believed() {
    let known = |one: &PublicKey| *one == key(1).public();
    let text = vouch(&key(1), &said(), NOW).expose().clone();
    let refused = |text: &str, now: Timestamp| {
        let fault = validate(text, 7, now, known).unwrap_err();
        assert_eq!(fault.public(), "the credentials of this call are not valid");
        fault.private().unwrap().to_owned()
    };
    assert!(refused(&text, NOW.plus_seconds(301)).contains("too old"));
    assert!(refused(&text, NOW.plus_seconds(-61)).contains("ahead"));
    // Another gateway's key, and another's signature under a known key.
    let other = vouch(&key(2), &said(), NOW).expose().clone();
    assert!(refused(&other, NOW).contains("no gateway"));
    let parts: Vec<_> = text.split('.').collect();
    let others: Vec<_> = other.split('.').collect();
    assert!(refused(&[parts[0], others[1], others[2]].join("."), NOW).contains("signature"));
    // The same said of another item.
    let elsewhere = Vouched { item: "/prod/other".to_owned(), ..said() };
    let elsewhere = vouch(&key(2), &elsewhere, NOW).expose().clone();
    let body = elsewhere.split('.').nth(1).unwrap().to_owned();
    assert!(refused(&[parts[0], body.as_str(), parts[2]].join("."), NOW).contains("signature"));
    // What a webhook of one account was shown counts in no other, though the gateway is the same.
    let ours = Vouched { account: 8, ..said() };
    let ours = vouch(&key(1), &ours, NOW).expose().clone();
    assert!(refused(&ours, NOW).contains("another account"));
    assert_eq!(validate(&ours, 8, NOW, known).unwrap().account, 8);
    // What is signed for something else is not taken for this.
    let body = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    let forged = URL_SAFE_NO_PAD.encode(key(1).sign("KSF1/webhook2", &body).as_bytes());
    assert!(refused(&[parts[0], parts[1], &forged].join("."), NOW).contains("signature"));
    for text in ["", ".", "..", "a.b.c", &format!("{text}."), &"a".repeat(10_000)] {
        assert!(refused(text, NOW).contains("no such text"), "{text}");
    }
}

#[test]
fn the_label_stands_for_nothing_else() {
    for other in keysherd_crypto::labels::ALL {
        assert!(!other.starts_with(LABEL) && !LABEL.starts_with(other), "{other}");
    }
}
