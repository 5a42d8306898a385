//! Addresses of servers, as people write them.

use keysherd_client::BaseUrl;

const PASSWORD: &str = "hunter2-canary";

/// Reads the bytes as the address of a server: the normal form reads back as itself, and a password
/// in front of the host is refused without being repeated.
pub fn addresses(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(url) = BaseUrl::parse(text) {
        let normal = url.to_string();
        assert_eq!(BaseUrl::parse(&normal).ok().as_ref(), Some(&url), "{text:?} is {normal:?}");
        assert_eq!(url.is_plaintext(), normal.starts_with("http:"));
        assert!(!normal.contains(['?', '#', ' ']) && !normal.ends_with('/'), "{normal:?}");
        let local = ["//localhost", "//127.", "//["].iter().any(|host| normal.contains(host));
        assert!(local || !url.is_loopback(), "{normal:?}");
    }
    let with_password = format!("https://user:{PASSWORD}@{text}");
    match BaseUrl::parse(&with_password) {
        Ok(url) => panic!("credentials were accepted in {url}"),
        Err(error) => {
            let told = format!("{error} {error:?} {:?}", error.advice());
            assert!(!told.contains(PASSWORD), "{told}");
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "https://localhost:8000",
        "h:8000/api/v1//",
        "https://h/keys/api/v1/",
        "http://127.0.0.1:1",
        "https://[::1]:8000/v2",
        "https://u:p@h",
        "https://h?x=1",
        "h/@x",
        "ftp://h",
        "",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
