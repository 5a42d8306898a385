//! Whom a token says that it belongs to, before anybody checked it. Good for counting requests, and
//! for nothing that decides what they may do.

use keysherd_base::AccountId;

/// Bytes of an account and of the number of an auth method.
const CLAIMED_BYTES: usize = 24;

/// An auth method as account and number.
pub type MethodBytes = [u8; CLAIMED_BYTES];

/// The auth method with this `number` of `account`.
pub fn method_bytes(account: AccountId, number: i64) -> MethodBytes {
    let mut bytes = [0; CLAIMED_BYTES];
    let (first, last) = bytes.split_at_mut(16);
    first.copy_from_slice(account.0.as_bytes());
    last.copy_from_slice(&number.to_be_bytes());
    bytes
}

/// What bearer tokens begin with: their prefix, and the format of what follows in hex.
const START: &str = "t-01";

/// The auth method that a bearer token names, as account and number. Anybody can make a token that
/// names any method: only the control plane knows which ones are real.
pub fn claimed_method(token: &str) -> Option<MethodBytes> {
    let digits = token.strip_prefix(START)?.as_bytes().get(..2 * CLAIMED_BYTES)?;
    let mut claimed = [0; CLAIMED_BYTES];
    for (byte, pair) in claimed.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(claimed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_token_names_a_method() {
        let long = format!("t-01{}", "0a".repeat(60));
        assert_eq!(claimed_method(&long), Some([10; 24]));
        for text in ["", "t-", "t-01", &long[..50], &long.replace("t-01", "t-02")] {
            assert_eq!(claimed_method(text), None, "{text}");
        }
        assert_eq!(claimed_method(&long.replace("0a", "+a")), None);
        assert_eq!(claimed_method(&format!("t-01{}", "\u{e9}".repeat(60))), None);
    }
}
