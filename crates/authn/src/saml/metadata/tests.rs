//! Metadata as providers export it, and metadata that is of no use.

use super::*;

const CERTIFICATE: &str = include_str!("../../../fixtures/saml/rsa.pem");

fn metadata(parts: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><md:EntityDescriptor entityID=\"https://idp.example/entity\" \
         validUntil=\"2027-01-01T00:00:00Z\" xmlns:md=\"{METADATA}\" xmlns:ds=\"{DSIG}\">\
         <md:IDPSSODescriptor>{parts}</md:IDPSSODescriptor></md:EntityDescriptor>"
    )
}

fn key(usage: &str) -> String {
    let bare: String = CERTIFICATE.lines().filter(|line| !line.starts_with('-')).collect();
    format!(
        "<md:KeyDescriptor{usage}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{bare}\n\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )
}

fn service(binding: &str) -> String {
    let url = "https://idp.example/sso?x=1&amp;y=2";
    format!("<md:SingleSignOnService Binding=\"{binding}\" Location=\"{url}\"/>")
}

#[test]
fn a_provider_is_read() {
    let parts =
        key(" use=\"signing\"") + &key(" use=\"encryption\"") + &key("") + &service(REDIRECT);
    let provider = read(&metadata(&parts)).unwrap();
    assert_eq!(provider.entity_id, "https://idp.example/entity");
    assert_eq!(provider.sign_on_url, "https://idp.example/sso?x=1&y=2");
    assert_eq!(provider.certificates.len(), 2);
    assert_eq!(provider.valid_until, time("2027-01-01T00:00:00Z"));
}

#[test]
fn metadata_without_what_is_needed_is_refused() {
    let redirect = service(REDIRECT);
    for (parts, why) in [
        (key(" use=\"encryption\"") + &redirect, "no signing certificate"),
        (key("") + &service("urn:oasis:names:tc:SAML:2.0:bindings:SOAP"), "HTTP-Redirect"),
        (key("").replace("MII", "AAA") + &redirect, "damaged"),
        (key("") + &redirect + "</md:IDPSSODescriptor><md:IDPSSODescriptor>", "exactly one"),
        ("<!ENTITY x \"y\">".to_owned(), "document type"),
    ] {
        let fault = read(&metadata(&parts)).unwrap_err();
        assert!(fault.public().contains(why), "{} does not say {why}", fault.public());
    }
}
