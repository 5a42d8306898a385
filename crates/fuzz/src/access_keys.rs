//! Access keys: the base64 text of a signing seed.

use keysherd_crypto::access_key::AccessKey;

/// Reads the bytes as an access key: what is accepted is its one spelling, is a key, and is not
/// shown by `Debug`.
pub fn access_keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(key) = AccessKey::parse(text) else { return };
    assert_eq!(key.text().expose(), text, "a second spelling");
    let signing = key.signing_key();
    let signature = signing.sign("label", data);
    assert!(signing.public().verify("label", data, &signature));
    assert!(!signing.public().verify("other", data, &signature));
    assert!(!format!("{key:?}").contains(text));
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
        "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2B=",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
