//! Who is believed, and for how long.

use keysherd_base::Secret;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_767_607_872);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([seed; 32]))
}

fn said() -> Vouched {
    Vouched {
        account: Uid([7; 16]),
        access_id: "p-gateway".to_owned(),
        item: "/prod/Hook;\"'\n\u{e9}".to_owned(),
        audience: "https://hook.example/create".to_owned(),
    }
}

#[test]
fn a_webhook_learns_who_asks_and_for_which_item() {
    let text = vouch(&key(1), &said(), NOW, [1; 16]);
    assert!(text.expose().bytes().all(|b| b.is_ascii_graphic()), "it goes into a header");
    let signed = read(text.expose(), NOW).unwrap();
    assert_eq!((&signed.vouched, signed.key, signed.made), (&said(), key(1).public(), NOW));
    for age in [0, 299, 300] {
        assert_eq!(read(text.expose(), NOW.plus_seconds(age)).unwrap(), signed, "{age}");
    }
    // No two are the same, though they say the same at one time.
    let other = vouch(&key(1), &said(), NOW, [2; 16]);
    assert_ne!(read(other.expose(), NOW).unwrap().mark, signed.mark);
}

#[test]
fn nobody_else_is_believed() {
    let text = vouch(&key(1), &said(), NOW, [1; 16]).expose().clone();
    let refused = |text: &str, now: Timestamp| {
        let fault = read(text, now).unwrap_err();
        assert_eq!(fault.public(), "the credentials of this call are not valid");
        fault.private().unwrap().to_owned()
    };
    assert!(refused(&text, NOW.plus_seconds(301)).contains("too old"));
    assert!(refused(&text, NOW.plus_seconds(-61)).contains("ahead"));
    // Another gateway's key is known as such; its signature under another key is none.
    let other = vouch(&key(2), &said(), NOW, [1; 16]).expose().clone();
    assert_eq!(read(&other, NOW).unwrap().key, key(2).public());
    let parts: Vec<_> = text.split('.').collect();
    let others: Vec<_> = other.split('.').collect();
    assert!(refused(&[parts[0], others[1], others[2]].join("."), NOW).contains("signature"));
    // The same said of another item, or another account.
    let elsewhere = Vouched { item: "/prod/other".to_owned(), ..said() };
    let foreign = Vouched { account: Uid([8; 16]), ..said() };
    for forged in [elsewhere, foreign] {
        let forged = vouch(&key(2), &forged, NOW, [1; 16]).expose().clone();
        let body = forged.split('.').nth(1).unwrap().to_owned();
        assert!(refused(&[parts[0], body.as_str(), parts[2]].join("."), NOW).contains("signature"));
    }
    // What is signed for something else is not taken for this.
    let body = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    let forged = URL_SAFE_NO_PAD.encode(key(1).sign("KSF1/webhook2", &body).as_bytes());
    assert!(refused(&[parts[0], parts[1], &forged].join("."), NOW).contains("signature"));
    for text in ["", ".", "..", "a.b.c", &format!("{text}."), &"a".repeat(10_000)] {
        assert!(refused(text, NOW).contains("no such text"), "{text}");
    }
    // Signed, but about something else.
    let (by, signed) = (key(1).public(), key(1).sign(LABEL, b"{}"));
    let empty = [by.as_bytes().as_slice(), b"{}", signed.as_bytes()];
    let empty: Vec<_> = empty.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    assert!(refused(&empty.join("."), NOW).contains("something else"));
}

#[test]
fn the_label_stands_for_nothing_else() {
    for other in keysherd_crypto::labels::ALL {
        assert!(!other.starts_with(LABEL) && !LABEL.starts_with(other), "{other}");
    }
}
