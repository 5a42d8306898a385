//! Queries, forms and cookies, read strictly: what is odd is refused rather than guessed at.

use http::HeaderMap;
use http::header::{CONTENT_TYPE, COOKIE};
use keysherd_base::Fault;
use keysherd_wire::PAGE_FIELDS_MAX;

/// Most cookies of a request that is looked at for any.
pub const COOKIES_MAX: usize = 64;

/// Reads a query or a form (`application/x-www-form-urlencoded` of the URL standard). A name may
/// come once: two values for one name would let two readers see two requests.
///
/// # Errors
/// A bad request for what is no UTF-8, malformed, doubled or too much.
pub fn parse_form(text: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(at);
        let value = value.strip_prefix(b"=").unwrap_or_default();
        let name = decoded(name).ok_or_else(malformed)?;
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(Fault::bad_request("a parameter was sent twice; start again"));
        }
        if fields.len() == PAGE_FIELDS_MAX {
            return Err(Fault::bad_request(format!(
                "more than {PAGE_FIELDS_MAX} parameters were sent; start again"
            )));
        }
        fields.push((name, decoded(value).ok_or_else(malformed)?));
    }
    Ok(fields)
}

fn malformed() -> Fault {
    Fault::bad_request("the parameters are malformed; start again")
}

/// `+` is a space, `%xx` a byte; anything else stands for itself.
fn decoded(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Whether the body is a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(first), None) = (types.next(), types.next()) else { return false };
    let essence = first.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The cookies of a request.
pub(crate) fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    parse_cookies(headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok()))
}

/// The cookies in `Cookie` headers (RFC 6265, section 4.2). Of a name that comes twice none counts,
/// since a neighbor under the same domain may have planted the other; and of more than
/// [`COOKIES_MAX`] none at all, since the other could be among those that are not looked at.
pub fn parse_cookies<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.trim(), value.trim()));
    let all: Vec<(&str, &str)> = pairs.take(COOKIES_MAX + 1).collect();
    if all.len() > COOKIES_MAX {
        return Vec::new();
    }
    let once = |name: &str| all.iter().filter(|(other, _)| *other == name).count() == 1;
    let kept = all.iter().filter(|(name, _)| once(name));
    kept.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse_form(text.as_bytes()).unwrap()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn fields_are_decoded() {
        let expected = [pair("a", "1 2"), pair("b c", "\u{e9}="), pair("d", ""), pair("e", "")];
        assert_eq!(read("a=1+2&b%20c=%C3%A9=&d=&&e"), expected);
        assert!(read("").is_empty());
    }

    #[test]
    fn what_is_odd_is_refused() {
        for bad in ["a=%", "a=%1", "a=%zz", "a=%ff", "a=1&a=2", "a=1&%61=2"] {
            assert!(parse_form(bad.as_bytes()).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..=PAGE_FIELDS_MAX).map(|index| format!("f{index}=")).collect();
        assert!(parse_form(many.join("&").as_bytes()).is_err());
        assert_eq!(read(&many[1..].join("&")).len(), PAGE_FIELDS_MAX);
    }

    #[test]
    fn a_cookie_that_comes_twice_is_none() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; b=2;a=3"));
        headers.append(COOKIE, HeaderValue::from_static("c = x=y ; odd"));
        assert_eq!(cookies(&headers), [pair("b", "2"), pair("c", "x=y")]);
    }

    #[test]
    fn a_cookie_cannot_be_hidden_behind_many_others() {
        let line = |others: usize| {
            let others: String = (0..others).map(|n| format!("o{n}=;")).collect();
            format!("a=planted;{others}a=own")
        };
        for others in [1, COOKIES_MAX - 2, COOKIES_MAX - 1, COOKIES_MAX, 3 * COOKIES_MAX] {
            let found = parse_cookies(std::iter::once(line(others).as_str()));
            assert!(found.iter().all(|(name, _)| name != "a"), "{others}");
        }
        assert_eq!(parse_cookies(["a=1", "b=2"].into_iter()).len(), 2);
    }

    proptest! {
        #[test]
        fn reading_is_total(text in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(fields) = parse_form(&text) {
                prop_assert!(fields.len() <= PAGE_FIELDS_MAX);
            }
        }
    }
}
