//! What the scripts send, and that they notice a wrong answer.

use super::*;
use std::collections::HashSet;

fn body_of(request: &[u8]) -> Value {
    let text = std::str::from_utf8(request).unwrap();
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn a_read_asks_for_its_names_and_notices_a_wrong_value() {
    let names = Arc::new(Names::new(300));
    let walk = Arc::new(Walk::around(150, 300));
    let mut read = Read::new("t-1", names.clone(), walk, 100);
    for _ in 0..2 {
        let body = body_of(read.next().unwrap());
        let asked = body["names"].as_array().unwrap();
        assert_eq!(asked.iter().collect::<HashSet<_>>().len(), 100);
        assert_eq!((&body["token"], &body["json"]), (&json!("t-1"), &json!(false)));
    }
    let right: serde_json::Map<_, _> = read
        .last
        .iter()
        .map(|index| (names.of(*index).to_owned(), json!(value(*index, 1, 2))))
        .collect();
    assert_eq!(read.check(&serde_json::to_vec(&right).unwrap()), Ok(()));
    for wrong in [json!(value(299_999, 1, 2)), json!(value_start(read.last[5])), json!(7)] {
        let mut answer = right.clone();
        answer.insert(names.of(read.last[5]).to_owned(), wrong);
        assert!(read.check(&serde_json::to_vec(&answer).unwrap()).is_err());
    }
    let mut answer = right;
    answer.remove(names.of(read.last[5]));
    assert!(read.check(&serde_json::to_vec(&answer).unwrap()).is_err());
}

#[test]
fn a_read_ends_with_its_walk() {
    let walk = Arc::new(Walk::once(0..250, 250));
    let mut read = Read::new("t-1", Arc::new(Names::new(250)), walk, 100);
    assert_eq!(std::iter::from_fn(|| read.next().map(<[u8]>::len)).count(), 2);
}

#[test]
fn connections_write_to_different_secrets_and_know_what_they_wrote() {
    for (secrets, of) in [(200, 128), (200, 1), (1_000, 16), (3, 5)] {
        let names = Arc::new(Names::new(secrets));
        let mut seen = HashSet::new();
        for number in 0..of {
            let mut update = Update::new("t-1", names.clone(), Turn { number, of }, 77);
            for _ in 0..update.own() {
                let body = body_of(update.next().unwrap());
                assert!(seen.insert(body["name"].as_str().unwrap().to_owned()));
            }
        }
        assert_eq!(seen.len(), secrets as usize);
    }
}

#[test]
fn what_was_written_is_the_last_write_to_each_secret() {
    let names = Arc::new(Names::new(10));
    let mut update = Update::new("t-1", names.clone(), Turn { number: 0, of: 5 }, 77);
    let bodies: Vec<_> = (0..7).map(|_| body_of(update.next().unwrap())).collect();
    let written = update.written();
    assert_eq!(written.len(), 1);
    let (index, text) = &written[0];
    assert_eq!(bodies[6]["name"], names.of(*index));
    assert_eq!(bodies[6]["value"], text.as_str());
    assert_eq!(update.check(json!({"name": names.of(*index)}).to_string().as_bytes()), Ok(()));
    assert!(update.check(br#"{"name":"/other"}"#).is_err());
    assert!(update.check(b"{}").is_err());
}

#[test]
fn a_login_must_bring_a_token() {
    let mut login = Login::new("p-1", "key");
    assert_eq!(body_of(login.next().unwrap())["access-id"], "p-1");
    assert_eq!(login.check(br#"{"token":"t-abc"}"#), Ok(()));
    assert!(login.check(br#"{"token":"x"}"#).is_err());
    assert!(login.check(b"").is_err());
}

#[test]
fn a_token_must_be_called_good() {
    let mut validate = Validate::new("t-1");
    assert_eq!(body_of(validate.next().unwrap())["token"], "t-1");
    assert_eq!(validate.check(br#"{"is_valid":true}"#), Ok(()));
    assert!(validate.check(br#"{"is_valid":false}"#).is_err());
    assert!(validate.check(b"{}").is_err());
}

#[test]
fn an_echo_must_be_the_same() {
    let mirror = Mirror::new(3);
    assert_eq!(mirror.check(b"mmm"), Ok(()));
    assert!(mirror.check(b"mmn").is_err());
}
