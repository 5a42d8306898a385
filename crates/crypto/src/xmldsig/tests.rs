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
