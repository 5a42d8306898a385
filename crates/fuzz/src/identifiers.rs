//! Identifiers in their public spellings.

use keysherd_base::{AccessId, AccountId, Uid, UidTokenId};

/// Reads the bytes as each kind of identifier: what is accepted is written the same way, but for
/// the letter case of hex digits.
pub fn identifiers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match AccessId::parse(text) {
        Ok(id) => {
            assert_eq!(id.as_str(), text);
            assert_eq!(id.to_string(), text);
            assert!((14..=16).contains(&text.len()) && text.is_ascii());
        }
        Err(bad) => assert_eq!(bad.to_string(), "not a valid access id"),
    }
    match AccountId::parse(text) {
        Ok(id) => {
            assert!(text.starts_with("acc-"));
            assert_eq!(id.to_string(), text.to_ascii_lowercase());
            assert_eq!(AccountId::parse(&id.to_string()), Ok(id));
        }
        Err(bad) => assert_eq!(bad.to_string(), "not a valid account id"),
    }
    if let Ok(id) = UidTokenId::parse(text) {
        assert_eq!(id.as_str(), text);
        assert_eq!(usize::try_from(id.depth()), Ok((text.len() - 8) / 4));
        assert!(id.has_in_branch(&id));
        assert!(
            id.parent()
                .is_none_or(|above| { above.has_in_branch(&id) && !id.has_in_branch(&above) })
        );
    }
    let uid = Uid::parse(text);
    assert_eq!(uid.ok(), Uid::from_hex(text), "both readers agree");
    match uid {
        Ok(uid) => assert_eq!(uid.to_string(), text.to_ascii_lowercase()),
        Err(bad) => assert_eq!(bad.to_string(), "not a valid 16-byte id"),
    }
    assert_eq!(Uid::from_slice(data).is_ok(), data.len() == 16);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "p-abcdefghijkl",
        "p-0123456789abcd",
        "acc-0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef",
        "sixteen-byte-id!",
        "acc-",
        "p-",
        "ywzsub3u4tbu",
        "ywzsub3u4tbunvco",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
