//! XML signatures (W3C XML Signature 1.1), as far as SAML needs them: enveloped, over a whole
//! element, with keys that the verifier has. What is read of a document afterwards is a tree that
//! says of each element whether a signature covers it, so that nothing else can be mistaken for it.
//!
//! Refused before anything is verified: document types and entities, processing instructions,
//! documents that are too large or too deep, any transform but the enveloped signature and
//! exclusive canonicalization without comments, SHA-1 and other old algorithms, references to
//! anything but the element that the signature is a child of, two signatures in one element, more
//! than two in all, and the same identifier twice. Text is put together across comments, which
//! signatures do not cover.

use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::xml::{Document, NodeId, NodeKind};
use bergshamra::{DsigContext, Key, KeyUsage, KeysManager, VerifyResult};

#[cfg(test)]
mod tests;

/// Largest document that is read, in bytes.
pub const XML_BYTES_MAX: usize = 256 * 1024;
/// Most elements of a document.
pub const ELEMENTS_MAX: usize = 5_000;
/// Deepest nesting of elements.
pub const DEPTH_MAX: usize = 64;
/// Most signing certificates of one signer.
pub const CERTIFICATES_MAX: usize = 16;

/// Most signatures of a document: one of the response and one of its assertion (SAML profiles
/// section 4.1.4.2). Each of them is paid for by digesting what it covers.
pub const SIGNATURES_MAX: usize = 2;

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const SIGNATURE_METHODS: &[&str] = &[
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
];
const DIGEST_METHODS: &[&str] = &[
    "http://www.w3.org/2001/04/xmlenc#sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512",
];

/// Why a document was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlRefused {
    /// It is no well-formed XML, or too large or too deep.
    Malformed,
    /// It has a document type, an entity or a processing instruction.
    Forbidden,
    /// A signature has a form that is not accepted.
    Form,
    /// Two elements have the same identifier.
    Identifier,
    /// A signature is wrong, or by another key.
    Signature,
}

impl fmt::Display for XmlRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is no well-formed XML, or too large or too deep",
            Self::Forbidden => "it has a document type, an entity or a processing instruction",
            Self::Form => "a signature has a form that is not accepted",
            Self::Identifier => "two of its elements have the same identifier",
            Self::Signature => "a signature is wrong or was made with another key",
        })
    }
}

/// An element of a document that was read. Signatures are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its namespace; empty for none.
    pub namespace: String,
    /// Its local name.
    pub name: String,
    /// Attributes without a namespace: name and value.
    pub attributes: Vec<(String, String)>,
    /// Elements directly inside it.
    pub children: Vec<Element>,
    /// The text directly inside it, put together.
    pub text: String,
    /// Whether a signature covers it and everything in it.
    pub signed: bool,
}

impl Element {
    /// Whether it is called so.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    /// An attribute without a namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The elements directly inside it that are called so.
    pub fn all<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Self> + 'a {
        self.children.iter().filter(move |child| child.is(namespace, name))
    }

    /// The only element directly inside it that is called so.
    pub fn only<'a>(&'a self, namespace: &'a str, name: &'a str) -> Option<&'a Self> {
        let mut found = self.all(namespace, name);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// Number of elements in it that are called so, at any depth, itself included.
    pub fn count(&self, namespace: &str, name: &str) -> usize {
        let own = usize::from(self.is(namespace, name));
        own + self.children.iter().map(|child| child.count(namespace, name)).sum::<usize>()
    }
}

/// Reads a document whose signatures do not matter, such as metadata from a trusted place.
///
/// # Errors
/// [`XmlRefused`].
pub fn read(xml: &str) -> Result<Element, XmlRefused> {
    let document = parse(xml)?;
    let root = document.document_element().ok_or(XmlRefused::Malformed)?;
    tree(&document, root, &HashSet::new(), false, &mut 0, 0)
}

/// Verifies every signature of a document with the keys of `certificates` (DER), and reads it. A
/// document without any signature is read as one where nothing is signed.
///
/// # Errors
/// [`XmlRefused`]; one signature that is not good refuses all.
pub fn verify(xml: &str, certificates: &[Vec<u8>]) -> Result<Element, XmlRefused> {
    let document = parse(xml)?;
    let root = document.document_element().ok_or(XmlRefused::Malformed)?;
    unique_identifiers(&document, root)?;
    let signatures = signatures(&document, root);
    if signatures.len() > SIGNATURES_MAX {
        return Err(XmlRefused::Form);
    }
    let mut covered = HashSet::new();
    for signature in &signatures {
        let parent = acceptable(&document, *signature).ok_or(XmlRefused::Form)?;
        // One signature of an element: of two, nobody could say which one counts.
        if !covered.insert(parent) {
            return Err(XmlRefused::Form);
        }
    }
    if !signatures.is_empty() {
        let results = bergshamra::dsig::verify::verify_all_document_with_source(
            &context(certificates)?,
            &document,
            Some(xml),
        );
        let results = results.map_err(|_| XmlRefused::Signature)?;
        let good = results.len() == signatures.len()
            && results
                .iter()
                .zip(&signatures)
                .all(|(result, node)| covers(&document, result, *node));
        if !good {
            return Err(XmlRefused::Signature);
        }
    }
    tree(&document, root, &covered, false, &mut 0, 0)
}

/// The DER of certificates in base64, as metadata and signatures have them.
///
/// # Errors
/// [`XmlRefused::Malformed`] when it is not a certificate with a key that can be used.
pub fn certificate(base64: &str) -> Result<Vec<u8>, XmlRefused> {
    let bare: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(bare).map_err(|_| XmlRefused::Malformed)?;
    key(&der)?;
    Ok(der)
}

fn key(der: &[u8]) -> Result<Key, XmlRefused> {
    let mut key =
        bergshamra::keys::loader::load_x509_cert_der(der).map_err(|_| XmlRefused::Malformed)?;
    key.usage = KeyUsage::Verify;
    Ok(key)
}

fn context(certificates: &[Vec<u8>]) -> Result<DsigContext, XmlRefused> {
    let mut keys = KeysManager::new();
    for der in certificates.iter().take(CERTIFICATES_MAX) {
        keys.add_key(key(der)?);
    }
    // The defaults: only the keys given here, only references to ancestors or siblings, and every
    // digest checked. Certificates are pinned keys here, so their own validity does not matter.
    Ok(DsigContext::new(keys))
}

fn parse(xml: &str) -> Result<Document<'_>, XmlRefused> {
    if xml.len() > XML_BYTES_MAX {
        return Err(XmlRefused::Malformed);
    }
    let body = xml.trim_start_matches('\u{feff}').trim_start();
    let body = match body.strip_prefix("<?xml ") {
        Some(declared) => declared.split_once("?>").ok_or(XmlRefused::Malformed)?.1,
        None => body,
    };
    // Before the parser sees it: no document type can define what an entity is.
    let declares = |at: usize| {
        let rest = &body[at..];
        !rest.starts_with("<!--") && !rest.starts_with("<![CDATA[")
    };
    if body.contains("<?") || body.match_indices("<!").any(|(at, _)| declares(at)) {
        return Err(XmlRefused::Forbidden);
    }
    bergshamra::xml::uppsala::parse(xml).map_err(|_| XmlRefused::Malformed)
}

/// Every signature of the document in its order.
fn signatures(document: &Document<'_>, root: NodeId) -> Vec<NodeId> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        if is(document, node, DSIG, "Signature") {
            found.push(node);
        }
        open.extend(document.children_iter(node).rev());
    }
    found
}

fn is(document: &Document<'_>, node: NodeId, namespace: &str, name: &str) -> bool {
    document.element(node).is_some_and(|element| element.matches_name_ns(namespace, name))
}

/// The only child that is called so.
fn only(document: &Document<'_>, node: NodeId, name: &str) -> Option<NodeId> {
    let mut found = document.children_iter(node).filter(|child| is(document, *child, DSIG, name));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn algorithm<'d>(document: &'d Document<'_>, node: NodeId) -> Option<&'d str> {
    document.element(node)?.get_attribute("Algorithm")
}

/// The element that a signature of an accepted form covers: its parent.
fn acceptable(document: &Document<'_>, signature: NodeId) -> Option<NodeId> {
    let parent = document.parent(signature)?;
    let id = document.element(parent)?.get_attribute("ID").filter(|id| !id.is_empty())?;
    let info = only(document, signature, "SignedInfo")?;
    let canonical = algorithm(document, only(document, info, "CanonicalizationMethod")?)?;
    let method = algorithm(document, only(document, info, "SignatureMethod")?)?;
    let reference = only(document, info, "Reference")?;
    let digest = algorithm(document, only(document, reference, "DigestMethod")?)?;
    let uri = document.element(reference)?.get_attribute("URI")?;
    let mut transforms = Vec::new();
    for node in document.children_iter(only(document, reference, "Transforms")?) {
        if is(document, node, DSIG, "Transform") {
            transforms.push(algorithm(document, node)?);
        }
    }
    let no_object = document.children_iter(signature).all(|n| !is(document, n, DSIG, "Object"));
    let good = canonical == EXCLUSIVE
        && SIGNATURE_METHODS.contains(&method)
        && DIGEST_METHODS.contains(&digest)
        && uri.strip_prefix('#') == Some(id)
        && transforms == [ENVELOPED, EXCLUSIVE]
        && no_object;
    good.then_some(parent)
}

/// Whether the result says that this very signature is good and covers its parent.
fn covers(document: &Document<'_>, result: &VerifyResult, signature: NodeId) -> bool {
    let VerifyResult::Valid { signature_node, references, .. } = result else { return false };
    let [reference] = references.as_slice() else { return false };
    *signature_node == signature
        && reference.digest_verified
        && reference.resolved_node.is_some()
        && reference.resolved_node == document.parent(signature)
}

fn unique_identifiers(document: &Document<'_>, root: NodeId) -> Result<(), XmlRefused> {
    let mut seen = HashSet::new();
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        if let Some(element) = document.element(node) {
            let ids = element.attributes.iter().filter(|attribute| {
                ["id", "assertionid"].contains(&&*attribute.name.local_name.to_ascii_lowercase())
            });
            for id in ids {
                if !seen.insert(id.value.to_string()) {
                    return Err(XmlRefused::Identifier);
                }
            }
        }
        open.extend(document.children_iter(node));
    }
    Ok(())
}

fn tree(
    document: &Document<'_>,
    node: NodeId,
    covered: &HashSet<NodeId>,
    inside: bool,
    count: &mut usize,
    depth: usize,
) -> Result<Element, XmlRefused> {
    *count += 1;
    let element = document.element(node).ok_or(XmlRefused::Malformed)?;
    if *count > ELEMENTS_MAX || depth > DEPTH_MAX {
        return Err(XmlRefused::Malformed);
    }
    let signed = inside || covered.contains(&node);
    let bare = element.attributes.iter().filter(|attribute| attribute.name.namespace_uri.is_none());
    let mut read = Element {
        namespace: element.name.namespace_uri.as_deref().unwrap_or_default().to_owned(),
        name: element.name.local_name.to_string(),
        attributes: bare.map(|a| (a.name.local_name.to_string(), a.value.to_string())).collect(),
        children: Vec::new(),
        text: String::new(),
        signed,
    };
    for child in document.children_iter(node) {
        match document.node_kind(child) {
            Some(NodeKind::Element(_)) if is(document, child, DSIG, "Signature") => {}
            Some(NodeKind::Element(_)) => {
                read.children.push(tree(document, child, covered, signed, count, depth + 1)?);
            }
            Some(NodeKind::Text(text) | NodeKind::CData(text)) => read.text.push_str(text),
            _ => {}
        }
    }
    Ok(read)
}
