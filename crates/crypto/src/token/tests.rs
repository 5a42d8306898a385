//! A fixed vector, round trips and refusals of bearer tokens.

use proptest::prelude::*;

use super::*;

fn key() -> TokenKey {
    TokenKey::new(&Secret::new([0x42; 32]))
}

#[test]
fn a_token_is_prefix_body_and_tag_in_hex() {
    // Computed with another language's HMAC.
    let token = key().seal("t-", b"body");
    assert_eq!(token.expose(), "t-626f64794108885f8e9bab90ce0c17a2eb5cdc6d");
    assert_eq!(key().open("t-", token.expose()).unwrap(), b"body");
}

#[test]
fn the_prefix_is_part_of_what_is_tagged() {
    let token = key().seal("t-", b"body");
    let digits = token.expose().strip_prefix("t-").unwrap();
    assert_eq!(key().open("u-", &format!("u-{digits}")), None);
    assert_eq!(key().open("u-", token.expose()), None);
    assert_eq!(key().open("", digits), None);
}

#[test]
fn prefix_and_body_cannot_be_shifted_into_each_other() {
    let token = key().seal("ab", b"c");
    let tag = &token.expose()[4..];
    assert_eq!(key().open("a", &format!("a{}{tag}", hex::encode("bc"))), None);
}

#[test]
fn refuses_changed_digits_truncation_and_upper_case() {
    let token = key().seal("t-", b"some body");
    let text = token.expose();
    for at in 2..text.len() {
        let mut wrong = text.clone().into_bytes();
        wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
        let wrong = String::from_utf8(wrong).unwrap();
        assert_eq!(key().open("t-", &wrong), None, "digit {at}");
    }
    for length in 0..text.len() {
        assert_eq!(key().open("t-", &text[..length]), None, "length {length}");
    }
    assert_eq!(key().open("t-", &format!("t-{}", text[2..].to_ascii_uppercase())), None);
    assert_eq!(key().open("t-", &format!("{text}00")), None);
    assert_eq!(key().open("t-", &format!("{text}0")), None);
    assert_eq!(key().open("t-", &format!(" {text}")), None);
    assert_eq!(TokenKey::new(&Secret::new([0x43; 32])).open("t-", text), None);
}

#[test]
fn the_longest_token_opens_and_a_longer_one_does_not() {
    let longest = TOKEN_BYTES_MAX / 2 - 1 - TAG_BYTES;
    let token = key().seal("t-", &vec![7; longest]);
    assert_eq!(token.expose().len(), TOKEN_BYTES_MAX);
    assert!(key().open("t-", token.expose()).is_some());
    let token = key().seal("t-", &vec![7; longest + 1]);
    assert_eq!(key().open("t-", token.expose()), None);
}

proptest! {
    #[test]
    fn every_body_comes_back(body: Vec<u8>) {
        let token = key().seal("t-", &body);
        prop_assert_eq!(key().open("t-", token.expose()), Some(body));
    }

    #[test]
    fn arbitrary_text_does_not_open(text: String, digits in "[0-9a-f]{0,100}") {
        prop_assert_eq!(key().open("t-", &text), None);
        prop_assert_eq!(key().open("t-", &format!("t-{digits}")), None);
    }
}
