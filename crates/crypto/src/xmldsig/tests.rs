//! What is refused before any signature matters. Signed documents and attacks on them are tested
//! where they are used.

use super::*;

#[test]
fn texts_are_put_together_and_signatures_left_out() {
    let read =
        read("<a x='1' n:y='2' xmlns:n='urn:n'>b<!-- c -->d<![CDATA[<e>]]><n:f/></a>").unwrap();
    assert_eq!((read.text.as_str(), read.attribute("x")), ("bd<e>", Some("1")));
    assert_eq!(read.attribute("y"), None);
    assert!(read.only("urn:n", "f").is_some() && !read.signed);
    let text = format!("<a xmlns:d='{DSIG}'><d:Signature><b/></d:Signature></a>");
    assert!(super::read(&text).unwrap().children.is_empty());
}

#[test]
fn documents_that_hide_something_are_refused() {
    for bad in ["<!DOCTYPE a><a/>", "<a><?x y?></a>", "<?xml version='1.0'?><!DOCTYPE a><a/>"] {
        assert_eq!(read(bad), Err(XmlRefused::Forbidden), "{bad}");
    }
    for bad in ["", "<a>", "a", "<a/><b/>", "<a>&b;</a>", "<?xml <a/>"] {
        assert_eq!(read(bad), Err(XmlRefused::Malformed), "{bad}");
    }
    assert_eq!(verify("<a ID='x'><b id='x'/></a>", &[]), Err(XmlRefused::Identifier));
    assert_eq!(read(&" ".repeat(XML_BYTES_MAX + 1)), Err(XmlRefused::Malformed));
    let signature = format!("<a ID='x'><d:Signature xmlns:d='{DSIG}'/></a>");
    assert_eq!(verify(&signature, &[]), Err(XmlRefused::Form));
    assert!(!verify("<a ID='x'/>", &[]).unwrap().signed);
}

/// A document may be as long as it may and be nothing but beginnings: readers that call themselves
/// for each level would run out of stack long before anybody counts levels.
#[test]
fn t_saml_deep_nesting() {
    for levels in [DEPTH_MAX + 2, 1_000, XML_BYTES_MAX / 7] {
        let deep = format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
        assert_eq!(read(&deep), Err(XmlRefused::Malformed), "{levels} levels");
        assert_eq!(verify(&deep, &[]), Err(XmlRefused::Malformed), "{levels} levels");
    }
    let open = "<a>".repeat(XML_BYTES_MAX / 3);
    assert_eq!(read(&open), Err(XmlRefused::Malformed));
    let spaces: String = (0..5_000).map(|n| format!(" xmlns:n{n}='u'")).collect();
    let many = format!("<a{spaces}>{}</a>", "<b/>".repeat(ELEMENTS_MAX - 2));
    assert!(read(&many).is_ok());
}

/// Whoever may post a response may put many signatures of the accepted form into it, each over most
/// of the document, without any key: nobody digests it hundreds of times.
#[test]
fn t_saml_many_signatures() {
    let certificate = include_str!("../../../authn/fixtures/saml/rsa.pem");
    let bare: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    let keys = [super::certificate(&bare).unwrap()];
    let signature = |id: usize| {
        let algorithm = |name: &str, uri: &str| format!("<d:{name} Algorithm='{uri}'/>");
        let (method, digest) = (SIGNATURE_METHODS[0], DIGEST_METHODS[0]);
        [
            "<d:Signature><d:SignedInfo>",
            &algorithm("CanonicalizationMethod", EXCLUSIVE),
            &algorithm("SignatureMethod", method),
            &format!("<d:Reference URI='#s{id}'><d:Transforms>"),
            &algorithm("Transform", ENVELOPED),
            &algorithm("Transform", EXCLUSIVE),
            "</d:Transforms>",
            &algorithm("DigestMethod", digest),
            "<d:DigestValue>AAAA</d:DigestValue></d:Reference></d:SignedInfo>",
            "<d:SignatureValue>AAAA</d:SignatureValue></d:Signature>",
        ]
        .concat()
    };
    let document = |signatures: usize| {
        let open: String =
            (0..signatures).map(|id| format!("<a ID='s{id}'>{}", signature(id))).collect();
        let rest = "x".repeat(XML_BYTES_MAX / 2);
        format!("<r xmlns:d='{DSIG}'>{open}{rest}{}</r>", "</a>".repeat(signatures))
    };
    assert_eq!(verify(&document(SIGNATURES_MAX), &keys), Err(XmlRefused::Signature));
    for signatures in [SIGNATURES_MAX + 1, DEPTH_MAX - 2] {
        assert_eq!(verify(&document(signatures), &keys), Err(XmlRefused::Form), "{signatures}");
    }
}
