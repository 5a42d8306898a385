//! Responses of SAML identity providers, and their metadata.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keysherd_authn::{Identity, Web};
use keysherd_base::{FaultKind, Timestamp};
use keysherd_crypto::xmldsig::{self, DEPTH_MAX, ELEMENTS_MAX, Element};
use serde_json::json;

use crate::asserting::{ACCESS_ID, Login, world};

/// Responses that another implementation signed, all about the same person; the first is whole.
const SIGNED: [&str; 3] = [
    include_str!("../../authn/fixtures/saml/assertion.xml"),
    include_str!("../../authn/fixtures/saml/both.xml"),
    include_str!("../../authn/fixtures/saml/ec.xml"),
];
const UNSIGNED: &str = include_str!("../../authn/fixtures/saml/unsigned.xml");
const RSA_CERTIFICATE: &str = include_str!("../../authn/fixtures/saml/rsa.pem");
const CURVE_CERTIFICATE: &str = include_str!("../../authn/fixtures/saml/ec.pem");
/// 2026-11-22T10:01:00Z, a minute after they were made.
const NOW: Timestamp = Timestamp::from_seconds(1_795_341_660);

const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";

static METADATA: LazyLock<String> = LazyLock::new(|| {
    let key = |pem: &str| {
        let bare: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        format!(
            "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{bare}\
             </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        )
    };
    format!(
        "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" \
         xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" entityID=\"https://idp.example/entity\">\
         <md:IDPSSODescriptor protocolSupportEnumeration=\"{PROTOCOL}\">{}{}\
         <md:SingleSignOnService Binding=\"{REDIRECT}\" Location=\"https://idp.example/sso\"/>\
         </md:IDPSSODescriptor></md:EntityDescriptor>",
        key(RSA_CERTIFICATE),
        key(CURVE_CERTIFICATE),
    )
});

static HONEST: LazyLock<Identity> =
    LazyLock::new(|| present(SIGNED[0]).expect("invariant: the response is good at its time"));

fn settings(metadata: &str) -> String {
    json!({
        "unique_identifier": "NameID", "metadata": {"xml": metadata}, "dedicated_urls": false,
        "allowed_redirect_uris": [],
    })
    .to_string()
}

fn present(xml: &str) -> Result<Identity, FaultKind> {
    let evidence = json!({
        "response": STANDARD.encode(xml), "callback": "https://gw.example/saml/acs",
        "nonce": "request-1",
    });
    let (settings, evidence) = (settings(&METADATA), evidence.to_string());
    let login = Login {
        kind: "saml2",
        settings: &settings,
        access_id: ACCESS_ID,
        admitted: None,
        evidence: &evidence,
        now: NOW,
    };
    login.verify(&world(Web::default(), NOW)).map_err(|fault| fault.kind())
}

/// Presents the bytes as a response: whatever was changed, moved, wrapped or put beside, it lets
/// in the one whom the provider signed for, with what was signed about them, or nobody.
pub fn saml_responses(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match present(text) {
        Ok(identity) => assert_eq!(identity, *HONEST),
        Err(refused) => assert_eq!(refused, FaultKind::Unauthorized),
    }
    if let Ok(root) = xmldsig::verify(text, &[]) {
        assert_eq!(signed(&root), 0, "nobody's keys signed something");
    }
}

/// Reads the bytes as metadata: what is accepted can be shown.
pub fn saml_metadata(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(root) = xmldsig::read(text) {
        assert!(count(&root, 0) <= ELEMENTS_MAX);
        assert_eq!(signed(&root), 0);
    }
    let member = keysherd_authn::by_kind("saml2").expect("invariant: the kind exists");
    let settings = settings(text);
    match member.check(&settings) {
        Ok(()) => drop(member.show(&settings).expect("what was checked can be shown")),
        Err(refused) => assert_eq!(refused.kind(), FaultKind::BadRequest, "{refused:?}"),
    }
}

fn signed(element: &Element) -> usize {
    usize::from(element.signed) + element.children.iter().map(signed).sum::<usize>()
}

fn count(element: &Element, depth: usize) -> usize {
    assert!(depth <= DEPTH_MAX);
    1 + element.children.iter().map(|child| count(child, depth + 1)).sum::<usize>()
}

pub(crate) fn response_seeds() -> Vec<Vec<u8>> {
    let wrapped = SIGNED[0].replacen(
        "<saml:Assertion ",
        "<saml:Assertion ID=\"_other\"><saml:Subject/></saml:Assertion><saml:Assertion ",
        1,
    );
    let commented = SIGNED[0].replacen("alice@", "alice<!-- x -->@", 1);
    let texts = SIGNED.iter().copied().chain([UNSIGNED, &wrapped, &commented]);
    texts.map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn metadata_seeds() -> Vec<Vec<u8>> {
    let declared = format!("<?xml version='1.0' encoding='UTF-8'?>\n{}", *METADATA);
    let deep = format!("{}{}", "<a>".repeat(70), "</a>".repeat(70));
    [METADATA.clone(), declared, deep, "<!DOCTYPE a><a/>".to_owned()]
        .map(String::into_bytes)
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_honest_ones_are_let_in() {
        for xml in SIGNED {
            assert_eq!(present(xml).as_ref(), Ok(&*HONEST));
        }
        assert_eq!(HONEST.unique_id, "alice@example.com");
    }
}
