//! The token of a request, wherever the caller put it.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use keysherd_base::Fault;
use keysherd_base::limits::TOKEN_BYTES_MAX;
use keysherd_wire::{Args, Body};
use serde_json::Value;

/// Finds the token: body field `token`, else `uid-token`, else `Authorization: Bearer t-...`,
/// else, for commands with an array as body, which has no room for it, the query's `token`.
///
/// # Errors
/// A bad request when two different tokens were sent, one is not a text, or one is too long.
pub(crate) fn find(
    args: &Args,
    body: Body,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Option<Arc<str>>, Fault> {
    let from_query = match body {
        Body::Array => query.and_then(query_token),
        Body::Object => None,
    };
    let sent = [
        field(args, "token")?.map(Cow::Borrowed),
        field(args, "uid-token")?.map(Cow::Borrowed),
        bearer(headers).map(Cow::Borrowed),
        from_query,
    ];
    let mut sent = sent.into_iter().flatten();
    let Some(token) = sent.next() else {
        return Ok(None);
    };
    if sent.any(|other| other != token) {
        return Err(Fault::bad_request("two different tokens in one request; send one"));
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Fault::bad_request(format!(
            "the token is longer than {TOKEN_BYTES_MAX} bytes"
        )));
    }
    Ok(Some(token.into()))
}

fn field<'a>(args: &'a Args, name: &str) -> Result<Option<&'a str>, Fault> {
    match args.raw(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then_some(text)),
        Some(_) => Err(Fault::bad_request(format!("invalid value of '{name}': it must be a text"))),
    }
}

/// The bearer token, if it is one of ours: proxies in front may use the header for themselves.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with("t-")).then_some(token)
}

fn query_token(query: &str) -> Option<Cow<'_, str>> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, value)| *name == "token" && !value.is_empty())
        .map(|(_, value)| percent_decoded(value))
}

/// Decodes `%xx` (RFC 3986, section 2.1); what is not such a triple, or no UTF-8, stays as it is.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.split_at_checked(2).and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            let both = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let byte = u8::from_str_radix(digits, 16).ok()?;
            (first == b'%' && both).then_some((byte, after))
        });
        let (byte, after) = digits.unwrap_or((first, after));
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8(decoded).map_or(text.into(), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::json;

    fn found(body: Value, bearer: &'static str, query: &str, kind: Body) -> Result<String, String> {
        let mut args = Args::new();
        for (name, value) in body.as_object().unwrap() {
            let name = if name == "token" { "token" } else { "uid-token" };
            args.put(name, value.clone());
        }
        let mut headers = HeaderMap::new();
        if !bearer.is_empty() {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(bearer));
        }
        find(&args, kind, &headers, Some(query))
            .map(|token| token.as_deref().unwrap_or("none").to_owned())
            .map_err(|fault| fault.public().to_owned())
    }

    #[test]
    fn the_body_comes_first_then_the_header() {
        let object = |body, bearer| found(body, bearer, "token=t-q", Body::Object).unwrap();
        assert_eq!(object(json!({"token": "t-1", "uid-token": ""}), ""), "t-1");
        assert_eq!(object(json!({"token": null, "uid-token": "u-1"}), ""), "u-1");
        assert_eq!(object(json!({}), "Bearer t-2"), "t-2");
        assert_eq!(object(json!({}), "bearer  t-2 "), "t-2");
        assert_eq!(object(json!({"token": "t-2"}), "Bearer t-2"), "t-2");
    }

    #[test]
    fn foreign_credentials_in_the_header_are_not_ours_to_read() {
        for header in ["Bearer eyJhbGciOi", "Basic dXNlcjpwYXNz", "t-1", "Bearer"] {
            assert_eq!(found(json!({}), header, "", Body::Object).unwrap(), "none");
        }
    }

    #[test]
    fn the_query_counts_for_arrays_only() {
        let query = "a=1&token=t-%71%2";
        assert_eq!(found(json!({}), "", query, Body::Array).unwrap(), "t-q%2");
        assert_eq!(found(json!({}), "", query, Body::Object).unwrap(), "none");
        assert_eq!(found(json!({}), "", "token=", Body::Array).unwrap(), "none");
    }

    #[test]
    fn two_tokens_are_one_too_many() {
        let both = json!({"token": "t-1", "uid-token": "u-1"});
        assert!(found(both, "", "", Body::Object).is_err());
        let text = found(json!({"token": "t-1"}), "Bearer t-2", "", Body::Object).unwrap_err();
        assert!(!text.contains("t-1") && !text.contains("t-2"), "{text}");
        assert!(found(json!({}), "Bearer t-2", "token=t-3", Body::Array).is_err());
    }

    #[test]
    fn a_token_is_a_text_of_bounded_length() {
        assert!(found(json!({"token": 5}), "", "", Body::Object).is_err());
        let long = "t".repeat(TOKEN_BYTES_MAX + 1);
        assert!(found(json!({ "token": long }), "", "", Body::Object).is_err());
    }

    proptest! {
        #[test]
        fn decoding_is_total(text in any::<String>()) {
            let decoded = percent_decoded(&text);
            prop_assert!(decoded.len() <= text.len());
            prop_assert!(text.contains('%') || decoded == text);
        }
    }
}
