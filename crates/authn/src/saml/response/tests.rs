//! Responses that another implementation signed, and what attackers make of them. Each attack
//! starts from a document that is accepted.

use keysherd_base::Timestamp;

use super::*;

const ASSERTION_SIGNED: &str = include_str!("../../../fixtures/saml/assertion.xml");
const RESPONSE_SIGNED: &str = include_str!("../../../fixtures/saml/response.xml");
const BOTH_SIGNED: &str = include_str!("../../../fixtures/saml/both.xml");
const UNSIGNED: &str = include_str!("../../../fixtures/saml/unsigned.xml");
const CURVE: &str = include_str!("../../../fixtures/saml/ec.xml");
const OTHER_KEY: &str = include_str!("../../../fixtures/saml/other-key.xml");
const INCLUSIVE: &str = include_str!("../../../fixtures/saml/inclusive.xml");
const RSA_CERTIFICATE: &str = include_str!("../../../fixtures/saml/rsa.pem");
const CURVE_CERTIFICATE: &str = include_str!("../../../fixtures/saml/ec.pem");

fn der(pem: &str) -> Vec<u8> {
    let bare: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    xmldsig::certificate(&bare).unwrap()
}

fn provider() -> Provider {
    Provider {
        entity_id: "https://idp.example/entity".to_owned(),
        sign_on_url: "https://idp.example/sso".to_owned(),
        certificates: vec![der(CURVE_CERTIFICATE), der(RSA_CERTIFICATE)],
        valid_until: None,
    }
}

fn at(text: &str) -> Timestamp {
    time(text).unwrap()
}

fn asked(provider: &Provider) -> Asked<'_> {
    Asked {
        provider,
        request_id: "ks-request-1",
        entity_id: "https://gw.example/saml/sp",
        consumer_url: "https://gw.example/saml/acs",
        now: at("2026-11-22T10:01:00Z"),
    }
}

fn answer(xml: &str) -> Result<Answered, String> {
    let provider = provider();
    read(&STANDARD.encode(xml), &asked(&provider))
}

#[track_caller]
fn refused(xml: &str, why: &str) {
    let found = answer(xml).expect_err("it was accepted");
    assert!(found.contains(why), "refused because {found:?}, not {why:?}");
}

/// The document with the first `from` replaced; it must be there.
fn with(xml: &str, from: &str, to: &str) -> String {
    assert!(xml.contains(from), "no {from:?}");
    xml.replacen(from, to, 1)
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap();
    let end = text[start..].find(to).unwrap() + start + to.len();
    &text[start..end]
}

#[test]
fn responses_of_another_implementation_are_accepted() {
    for xml in [ASSERTION_SIGNED, RESPONSE_SIGNED, BOTH_SIGNED, CURVE] {
        let answered = answer(xml).unwrap();
        assert_eq!(answered.assertion_id, "_assertion");
        assert_eq!(answered.attributes["email"], serde_json::json!(["alice@example.com"]));
        assert_eq!(answered.attributes["groups"], serde_json::json!(["dev", "ops,oncall"]));
        assert_eq!(answered.attributes[NAME_ID], serde_json::json!(["alice@example.com"]));
        assert_eq!(answered.session_ends, Some(at("2026-11-22T18:00:00Z")));
        assert_eq!(answered.until, at("2026-11-22T10:06:00Z"));
    }
}

#[test]
fn t_saml_unsigned_or_changed() {
    refused(UNSIGNED, "no signature covers");
    refused(OTHER_KEY, "signature is wrong");
    refused(&with(ASSERTION_SIGNED, ">dev<", ">admins<"), "signature is wrong");
    refused(&with(RESPONSE_SIGNED, ">dev<", ">admins<"), "signature is wrong");
    let signature = between(ASSERTION_SIGNED, "<ds:Signature ", "</ds:Signature>");
    refused(&with(ASSERTION_SIGNED, signature, ""), "no signature covers");
    refused(&with(BOTH_SIGNED, ">dev<", ">admins<"), "signature is wrong");
    // The key inside the document is nobody's.
    let provider = Provider { certificates: vec![der(CURVE_CERTIFICATE)], ..provider() };
    assert!(read(&STANDARD.encode(ASSERTION_SIGNED), &asked(&provider)).is_err());
}

#[test]
fn t_saml_twice_signed_assertion() {
    let signature = between(ASSERTION_SIGNED, "<ds:Signature ", "</ds:Signature>");
    let twice = with(ASSERTION_SIGNED, signature, &format!("{signature}{signature}"));
    refused(&twice, "form that is not accepted");
}

#[test]
fn t_saml_signature_wrapping() {
    let assertion = between(ASSERTION_SIGNED, "<saml:Assertion", "</saml:Assertion>");
    let signature = between(assertion, "<ds:Signature ", "</ds:Signature>");
    let evil = assertion.replace(signature, "").replace("alice", "admin");
    let renamed = evil.replace("_assertion", "_evil");
    let wrapped = |from: &str, to: &str| with(ASSERTION_SIGNED, from, to);
    for xml in [
        // Beside the signed one, before and after it.
        wrapped(assertion, &format!("{renamed}{assertion}")),
        wrapped(assertion, &format!("{assertion}{renamed}")),
        // The signed one inside the evil one, and the other way round.
        wrapped(
            assertion,
            &renamed.replace("</saml:Assertion>", &format!("{assertion}</saml:Assertion>")),
        ),
        wrapped(
            assertion,
            &renamed.replace("<saml:Subject>", &format!("{assertion}<saml:Subject>")),
        ),
        // The signed one out of the way.
        wrapped(assertion, &format!("<samlp:Extensions>{assertion}</samlp:Extensions>{renamed}")),
        // The signature moved to the evil one, the original in an object of the signature.
        wrapped(assertion, &{
            let object = format!(
                "<ds:Object>{}</ds:Object></ds:Signature>",
                assertion.replace(signature, "")
            );
            let moved = signature.replace("</ds:Signature>", &object);
            renamed.replace("<saml:Subject>", &format!("{moved}<saml:Subject>"))
        }),
        // The same identifier twice.
        wrapped(assertion, &format!("{evil}{assertion}")),
        wrapped(assertion, &format!("{assertion}{evil}")),
        // A signed response inside another.
        RESPONSE_SIGNED.replacen(
            "<samlp:Response ",
            "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"_outer\" \
             Version=\"2.0\" InResponseTo=\"ks-request-1\"><samlp:Status><samlp:StatusCode \
             Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/></samlp:Status><samlp:Response ",
            1,
        ) + "</samlp:Response>",
    ] {
        let outcome = answer(&xml);
        assert!(outcome.is_err(), "accepted: {xml}\n{outcome:?}");
    }
}

#[test]
fn t_saml_comment_truncation() {
    // Canonicalization leaves comments out, so the signature stays good; the text must not end at
    // them.
    let xml = with(
        ASSERTION_SIGNED,
        ">alice@example.com</saml:NameID>",
        ">alice@exa<!-- -->mple.com</saml:NameID>",
    );
    assert_eq!(answer(&xml).unwrap().attributes[NAME_ID], serde_json::json!(["alice@example.com"]));
    let value = ">alice@example.com</saml:AttributeValue>";
    let xml =
        with(ASSERTION_SIGNED, value, ">alice<!-- @evil -->@example.com</saml:AttributeValue>");
    assert_eq!(answer(&xml).unwrap().attributes["email"], serde_json::json!(["alice@example.com"]));
}

#[test]
fn t_saml_external_entities() {
    let document_type = "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/hostname\">]>";
    refused(&format!("{document_type}{ASSERTION_SIGNED}"), "document type");
    refused(&format!("<?xml version=\"1.0\"?>{document_type}{ASSERTION_SIGNED}"), "document type");
    refused(&format!("<!ENTITY x \"y\">{ASSERTION_SIGNED}"), "document type");
    refused(&format!("<?php x?>{ASSERTION_SIGNED}"), "document type");
    refused(&with(ASSERTION_SIGNED, ">dev<", ">&x;<"), "well-formed");
    assert!(answer(&format!("<?xml version=\"1.0\"?>{ASSERTION_SIGNED}")).is_ok());
}

#[test]
fn t_saml_wrong_audience_recipient_request_time() {
    let provider = provider();
    let good = asked(&provider);
    let ask = |asked: Asked<'_>| read(&STANDARD.encode(BOTH_SIGNED), &asked);
    assert!(ask(good).is_ok());
    assert!(ask(Asked { entity_id: "https://other.example", ..good }).is_err());
    assert!(ask(Asked { consumer_url: "https://other.example/saml/acs", ..good }).is_err());
    assert!(ask(Asked { request_id: "ks-request-2", ..good }).is_err());
    assert!(ask(Asked { now: at("2026-11-22T10:06:00Z"), ..good }).is_err());
    assert!(ask(Asked { now: at("2026-11-22T10:05:59Z"), ..good }).is_ok());
    assert!(ask(Asked { now: at("2026-11-22T09:57:59Z"), ..good }).is_err());
    assert!(ask(Asked { now: at("2026-11-22T09:58:00Z"), ..good }).is_ok());
    let stranger = Provider { entity_id: "https://evil.example".to_owned(), ..provider.clone() };
    assert!(ask(Asked { provider: &stranger, ..good }).is_err());
    // What no signature covers can refuse.
    refused(&with(ASSERTION_SIGNED, "status:Success", "status:Responder"), "status");
    refused(
        &with(ASSERTION_SIGNED, "InResponseTo=\"ks-request-1\"", "InResponseTo=\"x\""),
        "InResponseTo",
    );
}

#[test]
fn t_saml_old_algorithms_and_forms() {
    refused(INCLUSIVE, "form");
    for (from, to) in [
        ("xmldsig-more#rsa-sha256", "xmldsig-more#rsa-sha1"),
        ("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#hmac-sha1"),
        ("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1"),
        ("URI=\"#_assertion\"", "URI=\"\""),
        ("URI=\"#_assertion\"", "URI=\"#_response\""),
        ("URI=\"#_assertion\"", "URI=\"file:///etc/hostname\""),
        (
            "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
            "http://www.w3.org/TR/1999/REC-xslt-19991116",
        ),
    ] {
        refused(&with(ASSERTION_SIGNED, from, to), "form");
    }
    let deep = "<a>".repeat(2_000) + &"</a>".repeat(2_000);
    refused(
        &with(ASSERTION_SIGNED, "<samlp:Status>", &format!("{deep}<samlp:Status>")),
        "too deep",
    );
    let wide = "<a/>".repeat(10_000);
    refused(
        &with(ASSERTION_SIGNED, "<samlp:Status>", &format!("{wide}<samlp:Status>")),
        "too large",
    );
    assert!(read("%%%", &asked(&provider())).is_err());
}
