//! Queries, forms and cookies, which browsers bring.

use std::collections::HashMap;

use keysherd_http::{COOKIES_MAX, parse_cookies, parse_form};
use keysherd_wire::PAGE_FIELDS_MAX;

/// Reads the bytes as a form, and as `Cookie` headers, one in each line.
///
/// A form that is accepted has each name once and reads back as itself when it is written again. A
/// cookie that counts is there once, however many others are.
pub fn forms(data: &[u8]) {
    if let Ok(fields) = parse_form(data) {
        assert!(fields.len() <= PAGE_FIELDS_MAX);
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]), "a name twice: {fields:?}");
        let again: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        assert_eq!(parse_form(again.join("&").as_bytes()).ok(), Some(fields));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut times: HashMap<&str, usize> = HashMap::new();
    for pair in text.lines().flat_map(|line| line.split(';')) {
        if let Some((name, _)) = pair.split_once('=') {
            *times.entry(name.trim()).or_default() += 1;
        }
    }
    let cookies = parse_cookies(text.lines());
    assert!(cookies.len() <= COOKIES_MAX);
    assert!(cookies.iter().all(|(name, _)| times[name.as_str()] == 1), "{cookies:?}");
    let all = times.values().sum::<usize>();
    let once = times.values().filter(|times| **times == 1).count();
    assert_eq!(cookies.len(), if all > COOKIES_MAX { 0 } else { once });
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let crowd: String = (0..70).map(|n| format!("c{n}=;")).collect();
    [
        "state=0123.abc&code=a+b%20c&iss=https%3A%2F%2Fidp.example&&x",
        "SAMLResponse=PHg%2BPC94Pg%3D%3D&RelayState=a%00b",
        "a=1&%61=2&a=3",
        "%=%1&%zz=&%ff=%c3%a9",
        "__Host-login-1=abc; b=2;b=3\nc = x=y ; odd",
        &crowd,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
