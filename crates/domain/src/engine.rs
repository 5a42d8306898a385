//! Dynamic secrets: what is known of one without opening it.

use serde::{Deserialize, Serialize};

/// Longest life of a temporary credential, in seconds: ten years. Whatever needs one for longer
/// needs a static secret.
pub const TTL_SECONDS_MAX: i64 = 315_360_000;
/// Longest name of an engine or of a kind of target, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// What is known of a dynamic secret without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// The member of the family that it is, such as `postgresql`.
    pub engine: String,
    /// How long a credential of it lives, unless somebody says otherwise, in seconds.
    pub user_ttl_seconds: i64,
    /// The gateway cluster that makes and removes its credentials; 0: any gateway does.
    pub cluster: i64,
    /// Whether its settings are completed by those of a target, without which it does not work.
    pub needs_target: bool,
}

/// Whether a text can be the name of an engine, or of a kind of target: lower-case letters,
/// digits, `-` and `_`.
pub fn is_name(text: &str) -> bool {
    let known =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(known)
}

/// Whether a credential may live for so long.
pub const fn is_ttl(seconds: i64) -> bool {
    seconds >= 1 && seconds <= TTL_SECONDS_MAX
}

/// How long a credential lives for which somebody wants `wanted` seconds: not longer than the
/// dynamic secret gives, nor than the account allows. `None`: nothing can live for so long.
pub fn capped_ttl(wanted: i64, user_ttl: i64, account_max: Option<i64>) -> Option<i64> {
    is_ttl(wanted).then(|| wanted.min(user_ttl).min(account_max.unwrap_or(TTL_SECONDS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_lives_have_limits() {
        assert!(["db", "google-workspace", "aws_1"].into_iter().all(is_name));
        assert!(!["", "DB", "a b", "a/b", "\u{e4}", &"a".repeat(65)].into_iter().any(is_name));
        assert!([1, 3_600, TTL_SECONDS_MAX].into_iter().all(is_ttl));
        assert!(![0, -1, i64::MIN, i64::MAX, TTL_SECONDS_MAX + 1].into_iter().any(is_ttl));
        assert_eq!(capped_ttl(7_200, 3_600, None), Some(3_600));
        assert_eq!(capped_ttl(60, 3_600, Some(600)), Some(60));
        assert_eq!(capped_ttl(3_600, 3_600, Some(600)), Some(600));
        for wrong in [0, -60, i64::MIN, i64::MAX] {
            assert_eq!(capped_ttl(wrong, 3_600, None), None, "{wrong}");
        }
    }
}
