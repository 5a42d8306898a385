//! What an identity provider's metadata says: its name, its keys, where people sign in.

use keysherd_base::{Fault, Timestamp};
use keysherd_crypto::xmldsig::{self, Element};

use super::{METADATA, REDIRECT};

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Deepest nesting of groups of providers.
const GROUPS_MAX: usize = 4;

/// An identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    /// Its entity id.
    pub(crate) entity_id: String,
    /// Where people are sent to sign in (HTTP-Redirect binding).
    pub(crate) sign_on_url: String,
    /// The certificates whose keys sign, in DER.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// When the metadata ends.
    pub(crate) valid_until: Option<Timestamp>,
}

/// Reads metadata that comes from a trusted place: an administrator, or an HTTPS address that one
/// named. Its own signature is not looked at.
///
/// # Errors
/// [`Fault::bad_request`] says what is missing.
pub(crate) fn read(xml: &str) -> Result<Provider, Fault> {
    let bad = |what: &str| {
        Fault::bad_request(format!(
            "the identity provider's metadata cannot be used: {what}; export it again from the \
             identity provider"
        ))
    };
    let root = xmldsig::read(xml).map_err(|refused| bad(&refused.to_string()))?;
    let mut found = Vec::new();
    descriptors(&root, &mut found, 0);
    let [(entity, descriptor)] = found.as_slice() else {
        return Err(bad("it has not exactly one entity with an IDPSSODescriptor"));
    };
    let entity_id = entity.attribute("entityID").filter(|id| !id.is_empty());
    let sign_on = descriptor
        .all(METADATA, "SingleSignOnService")
        .find(|service| service.attribute("Binding") == Some(REDIRECT));
    let sign_on_url = sign_on
        .and_then(|service| service.attribute("Location"))
        .filter(|url| url.starts_with("https://") || url.starts_with("http://"))
        .ok_or_else(|| bad("it has no SingleSignOnService with the HTTP-Redirect binding"))?;
    let certificates = certificates(descriptor).map_err(|()| bad("a certificate is damaged"))?;
    if certificates.is_empty() || certificates.len() > xmldsig::CERTIFICATES_MAX {
        return Err(bad("it has no signing certificate, or too many"));
    }
    let ends =
        [&root, *entity, *descriptor].into_iter().filter_map(|it| it.attribute("validUntil"));
    let ends: Result<Vec<_>, Fault> =
        ends.map(|text| time(text).ok_or_else(|| bad("validUntil is no time"))).collect();
    Ok(Provider {
        entity_id: entity_id.ok_or_else(|| bad("it has no entityID"))?.to_owned(),
        sign_on_url: sign_on_url.to_owned(),
        certificates,
        valid_until: ends?.into_iter().min(),
    })
}

fn descriptors<'e>(at: &'e Element, found: &mut Vec<(&'e Element, &'e Element)>, depth: usize) {
    if at.is(METADATA, "EntityDescriptor") {
        found.extend(at.all(METADATA, "IDPSSODescriptor").map(|descriptor| (at, descriptor)));
    } else if depth < GROUPS_MAX {
        at.children.iter().for_each(|child| descriptors(child, found, depth + 1));
    }
}

fn certificates(descriptor: &Element) -> Result<Vec<Vec<u8>>, ()> {
    let signing = descriptor
        .all(METADATA, "KeyDescriptor")
        .filter(|key| matches!(key.attribute("use"), None | Some("signing")));
    let infos = signing.flat_map(|key| key.all(DSIG, "KeyInfo"));
    let data = infos.flat_map(|info| info.all(DSIG, "X509Data"));
    data.flat_map(|data| data.all(DSIG, "X509Certificate"))
        .map(|certificate| xmldsig::certificate(&certificate.text).map_err(|_| ()))
        .collect()
}

/// A time as SAML writes it: UTC, RFC 3339.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.trim().parse().ok()?;
    Some(Timestamp(at.as_millisecond()))
}

#[cfg(test)]
mod tests;
