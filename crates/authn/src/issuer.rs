//! What an issuer says about itself (OpenID Connect Discovery 1.0, RFC 8414).

use serde::Deserialize;

use crate::web::outside_url;

/// An issuer's document, checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IssuerDocument {
    /// The issuer, exactly as its tokens name it.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where a browser is sent to sign in.
    pub authorization_endpoint: Option<String>,
    /// Where codes are exchanged for tokens.
    pub token_endpoint: Option<String>,
    /// How clients may show who they are when they exchange codes; absent: by HTTP Basic.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether its redirects name it (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// Path below an issuer where its document is.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Where the document of `issuer` is.
pub(crate) fn document_url(issuer: &str) -> String {
    format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'))
}

/// Reads the document that was fetched from `url`. It must be about the issuer that was asked
/// (section 4.3), or somebody could be made to believe another's keys.
pub(crate) fn read(url: &str, bytes: &[u8]) -> Result<IssuerDocument, String> {
    let document: IssuerDocument =
        serde_json::from_slice(bytes).map_err(|error| format!("no issuer's document: {error}"))?;
    if document_url(&document.issuer) != url {
        return Err(format!("it is about the issuer {:?}", document.issuer));
    }
    let optional = [&document.authorization_endpoint, &document.token_endpoint];
    for address in optional.into_iter().flatten().chain([&document.jwks_uri]) {
        outside_url(address).map_err(|why| format!("the address {address:?}: {why}"))?;
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_about_the_issuer_that_was_asked() {
        let text = |issuer: &str, keys: &str| {
            serde_json::json!({"issuer": issuer, "jwks_uri": keys, "other": 1}).to_string()
        };
        let url = document_url("https://idp.example/a/");
        assert_eq!(url, "https://idp.example/a/.well-known/openid-configuration");
        let good = text("https://idp.example/a", "https://keys.example/k");
        assert_eq!(read(&url, good.as_bytes()).unwrap().jwks_uri, "https://keys.example/k");
        for bad in [
            text("https://idp.example/b", "https://keys.example/k"),
            text("https://idp.example.evil/a", "https://keys.example/k"),
            text("https://idp.example/a", "http://keys.example/k"),
            text("https://idp.example/a", "file:///etc/passwd"),
            "{}".to_owned(),
            "no".to_owned(),
        ] {
            assert!(read(&url, bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
