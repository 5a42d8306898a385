//! Bearer tokens: only what was made opens, in its one spelling.

use keysherd_base::Secret;
use keysherd_crypto::token::TokenKey;

use crate::input::Input;

const PREFIXES: [&str; 3] = ["t-", "u-", ""];

/// Opens the bytes as a token, and a token made of the bytes in changed spellings.
pub fn tokens(data: &[u8]) {
    let key = TokenKey::new(&Secret::new([7; 32]));
    if let Ok(text) = std::str::from_utf8(data) {
        for prefix in PREFIXES {
            if let Some(body) = key.open(prefix, text) {
                assert_eq!(key.seal(prefix, &body).expose(), text, "a second spelling");
            }
        }
    }
    made(&key, data);
}

fn made(key: &TokenKey, data: &[u8]) {
    let mut input = Input::new(data);
    let (at, with) = (input.below(usize::from(u16::MAX)), input.byte());
    let body = input.bytes();
    let sealed = key.seal("t-", body);
    let text = sealed.expose().as_str();
    assert_eq!(key.open("t-", text).as_deref(), Some(body));
    assert_eq!(key.open("u-", text), None, "another purpose");
    assert_eq!(TokenKey::new(&Secret::new([8; 32])).open("t-", text), None, "another key");
    assert_eq!(key.open("t-", &text.to_ascii_uppercase()), None);
    assert_eq!(key.open("t-", &text[..text.len() - 2]), None, "cut");
    let at = at % text.len();
    let mut changed = text.as_bytes().to_vec();
    changed[at] = with & 0x7f;
    let changed = String::from_utf8_lossy(&changed);
    assert!(changed == text || key.open("t-", &changed).is_none(), "a changed token opened");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let key = TokenKey::new(&Secret::new([7; 32]));
    let token = |prefix: &str, body: &[u8]| key.seal(prefix, body).expose().as_bytes().to_vec();
    vec![
        token("t-", b""),
        token("t-", &[1; 90]),
        token("u-", b"body"),
        token("", b"body"),
        b"t-".to_vec(),
        [&[3, 0, b'a', 40][..], &[9; 40]].concat(),
    ]
}
