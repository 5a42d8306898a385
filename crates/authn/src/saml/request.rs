//! The request that a person is redirected with: an AuthnRequest in the HTTP-Redirect binding
//! (SAML bindings section 3.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Timestamp;

use super::metadata::Provider;
use super::{ASSERTION, POST, PROTOCOL};

/// Who asks, and where the answer goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    /// The entity id of this service provider.
    pub(crate) entity_id: &'a str,
    /// Where the response is posted to.
    pub(crate) consumer_url: &'a str,
}

/// The address to send the browser to.
pub(crate) fn redirect(
    provider: &Provider,
    asker: Asker<'_>,
    request_id: &str,
    relay_state: &str,
    now: Timestamp,
) -> String {
    let xml = format!(
        "<samlp:AuthnRequest xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{}\" \
         Version=\"2.0\" IssueInstant=\"{}\" Destination=\"{}\" \
         AssertionConsumerServiceURL=\"{}\" ProtocolBinding=\"{POST}\">\
         <saml:Issuer>{}</saml:Issuer></samlp:AuthnRequest>",
        escaped(request_id),
        now.rfc3339(),
        escaped(&provider.sign_on_url),
        escaped(asker.consumer_url),
        escaped(asker.entity_id),
    );
    let joint = if provider.sign_on_url.contains('?') { '&' } else { '?' };
    format!(
        "{}{joint}SAMLRequest={}&RelayState={}",
        provider.sign_on_url,
        percent(&STANDARD.encode(stored(xml.as_bytes()))),
        percent(relay_state),
    )
}

/// DEFLATE without compression (RFC 1951 section 3.2.4): stored blocks of at most 65,535 bytes.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 5);
    let mut chunks = data.chunks(usize::from(u16::MAX)).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        out.push(u8::from(chunks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            other => out.push(other),
        }
    }
    out
}

fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
