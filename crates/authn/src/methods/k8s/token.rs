//! What a service account's token says of itself, before and after the API server believes it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keysherd_base::{Secret, SecretString};
use serde::Deserialize;
use serde_json::Value;

/// Longest token, in bytes; projected ones have some 1,200.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Most audiences that are looked at.
pub(super) const AUDIENCES_MAX: usize = 32;

/// The claims that are looked at. Worth nothing until the API server said that the token is good.
#[derive(Default, Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    pub(super) iss: String,
    pub(super) exp: Option<f64>,
    aud: Option<Value>,
    #[serde(rename = "kubernetes.io/serviceaccount/secret.name")]
    pub(super) secret_name: Option<String>,
    #[serde(rename = "kubernetes.io")]
    bound: Option<Bound>,
}

#[derive(Deserialize)]
struct Bound {
    secret: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// The token as the API server takes it: given as such, or in base64.
pub(super) fn plain(given: &SecretString) -> Option<SecretString> {
    let text = given.expose().trim();
    if text.len() > 2 * TOKEN_BYTES_MAX {
        return None;
    }
    let token = if is_token(text) {
        Secret::new(text.to_owned())
    } else {
        let padded = text.trim_end_matches('=');
        let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(padded);
        let bytes = bytes.or_else(|_| STANDARD.decode(text)).ok()?;
        Secret::new(String::from_utf8(bytes).ok()?.trim().to_owned())
    };
    is_token(token.expose()).then_some(token)
}

/// Three parts of base64url: everything else is kept from the API server.
fn is_token(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    text.len() <= TOKEN_BYTES_MAX && text.split('.').count() == 3 && text.split('.').all(part)
}

impl Claims {
    /// Reads the middle part; `None` when it is no object with claims of the right types.
    pub(super) fn of(token: &SecretString) -> Option<Self> {
        let middle = token.expose().split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle).ok()?).ok()
    }

    /// Whom it is meant for; empty for the API server itself.
    pub(super) fn audiences(&self) -> Vec<String> {
        match &self.aud {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => {
                let texts = many.iter().filter_map(|one| one.as_str().map(str::to_owned));
                texts.take(AUDIENCES_MAX).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The name of the secret that holds it, for those kept in secrets.
    pub(super) fn secret(&self) -> Option<String> {
        let bound = self.bound.as_ref().and_then(|bound| bound.secret.as_ref());
        self.secret_name.clone().or_else(|| bound.map(|secret| secret.name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> SecretString {
        Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
    }

    #[test]
    fn tokens_are_taken_plain_and_in_base64_and_nothing_else_is() {
        let raw = token("{}");
        for text in [
            raw.expose().clone(),
            format!("{}\n", raw.expose()),
            STANDARD.encode(raw.expose()),
            STANDARD.encode(raw.expose()).trim_end_matches('=').to_owned(),
            STANDARD.encode(format!("{}\n", raw.expose())),
        ] {
            assert_eq!(plain(&Secret::new(text)).unwrap().expose(), raw.expose());
        }
        for text in ["", "a.b", "a.b.c.d", "a..c", "a.b.c d", "a.b.\u{e9}", "====", "Zm9v"] {
            assert!(plain(&Secret::new(text.to_owned())).is_none(), "{text}");
        }
        assert!(plain(&Secret::new("a".repeat(TOKEN_BYTES_MAX) + ".b.c")).is_none());
    }

    #[test]
    fn claims_of_old_and_new_tokens_are_read() {
        let old = r#"{"iss":"kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/secret.name":"app-token"}"#;
        let old = Claims::of(&token(old)).unwrap();
        assert_eq!(old.secret().as_deref(), Some("app-token"));
        assert!(old.audiences().is_empty());
        let new = r#"{"iss":"https://kubernetes.default.svc","aud":["a","b"],"exp":1e3,
            "kubernetes.io":{"namespace":"n","pod":{"name":"p","uid":"u"}}}"#;
        let new = Claims::of(&token(new)).unwrap();
        assert_eq!(new.audiences(), ["a", "b"]);
        assert!(new.secret().is_none() && new.exp.is_some());
        for bad in ["", "[]", "7", r#"{"iss":7}"#, r#"{"exp":"soon"}"#] {
            assert!(Claims::of(&token(bad)).is_none(), "{bad}");
        }
    }
}
