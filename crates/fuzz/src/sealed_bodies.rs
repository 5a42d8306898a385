//! What control seals into the texts that bearers bring back: bearer tokens, values of
//! universal-identity tokens, page tokens of the audit log.

use keysherd_base::Secret;
use keysherd_control::outside::{page_body, token_body, uid_value};
use keysherd_crypto::token::TokenKey;

use crate::input::Input;

/// Reads the bytes as what was sealed. A body that is read is written again as it was: there are
/// not two bodies for one statement. What nobody sealed is no value at all.
pub fn sealed_bodies(data: &[u8]) {
    for written in [token_body(data), page_body(data)].into_iter().flatten() {
        assert_eq!(written, data, "a second spelling");
    }
    let key = TokenKey::new(&Secret::new([7; 32]));
    let sealed = key.seal("u-", data);
    if let Some((token, number)) = uid_value(&key, sealed.expose()) {
        let mut input = Input::new(data);
        assert_eq!((data.len(), input.byte()), (45, 1));
        assert_eq!(i64::from_be_bytes(input.array()), token);
        assert_eq!(u32::from_be_bytes(input.array()), number);
    }
    assert_eq!(uid_value(&key, key.seal("t-", data).expose()), None, "another purpose");
    let other = TokenKey::new(&Secret::new([8; 32]));
    assert_eq!(uid_value(&other, sealed.expose()), None, "another control plane");
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(uid_value(&other, text), None, "nobody sealed it");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).unwrap_or_default();
        [&length.to_be_bytes(), text.as_bytes()].concat()
    };
    let head = [&[1][..], &[9; 16], &7_i64.to_be_bytes(), &[0, 0, 0, 2], &[5; 16]].concat();
    let times = [[0, 0, 1, 0x9b, 0, 0, 0, 0], [0, 0, 1, 0x9c, 0, 0, 0, 0]].concat();
    let claims = [&[0, 2][..], &text("a"), &[0, 1], &text("x"), &text("b"), &[0, 0]].concat();
    let old = [&head[..], &times, &[4, 127, 0, 0, 1], &text("alice"), &claims].concat();
    let new = [&head[..], &times, &[16], &[0xfe; 16], &text(""), &[0, 0]].concat();
    let page = [&[1][..], &[3; 32], &[0; 8], &[0; 8], &[4; 32]].concat();
    let value = [&[1][..], &3_i64.to_be_bytes(), &[0, 0, 0, 1], &[6; 32]].concat();
    vec![old, new, page, value, Vec::new()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_are_read() {
        let seeds = seeds();
        assert!(token_body(&seeds[0]).is_some() && token_body(&seeds[1]).is_some());
        assert!(page_body(&seeds[2]).is_some());
        let key = TokenKey::new(&Secret::new([7; 32]));
        assert_eq!(uid_value(&key, key.seal("u-", &seeds[3]).expose()), Some((3, 1)));
    }
}
