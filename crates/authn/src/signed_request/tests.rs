//! The form of signed requests, and where they may go.

use serde_json::json;

use super::*;

fn cloud_id(url: &str, body: &str, headers: &str) -> String {
    let form = json!({
        "sts_request_method": "POST",
        "sts_request_url": STANDARD.encode(url),
        "sts_request_body": STANDARD.encode(body),
        "sts_request_headers": STANDARD.encode(headers),
    });
    STANDARD.encode(form.to_string())
}

fn read_url(url: &str) -> Result<SignedRequest, Why> {
    SignedRequest::read(&cloud_id(url, "", "{}"))
}

#[test]
fn the_form_is_read_strictly() {
    let headers = r#"{"Content-Type": ["text"], "X-B": "b"}"#;
    let read = SignedRequest::read(&cloud_id("https://a.example/", "b=1", headers)).unwrap();
    assert_eq!((read.body.as_str(), read.header("content-type")), ("b=1", Some("text")));
    assert_eq!(read.headers_among(&["x-b"]), [("x-b".to_owned(), "b".to_owned())]);
    for bad in [
        r#"{"A": ["1", "2"]}"#,
        r#"{"A": []}"#,
        r#"{"A": null}"#,
        r#"{"A": "1", "a": "2"}"#,
        r#"{"A": "1\r\nB: 2"}"#,
        r#"{"A B": "1"}"#,
        r#"{"": "1"}"#,
        r#"{"A": "\u00e4"}"#,
        r#"["A"]"#,
    ] {
        let read = SignedRequest::read(&cloud_id("https://a.example/", "", bad));
        assert!(read.is_err(), "{bad}");
    }
    let long = "x".repeat(BODY_BYTES_MAX + 1);
    assert!(SignedRequest::read(&cloud_id("https://a.example/", &long, "{}")).is_err());
    let more = STANDARD.encode(r#"{"sts_request_method":"POST","also":"this"}"#);
    for bad in ["", "{}", "!", &more, &"A".repeat(CLOUD_ID_BYTES_MAX + 1)] {
        assert!(SignedRequest::read(bad).is_err(), "{bad:.40}");
    }
}

#[test]
fn an_address_that_readers_may_read_differently_is_refused() {
    for good in [
        "https://a.example",
        "https://a.example/",
        "https://a.example:443/",
        "https://a.example/?b=%20c",
    ] {
        read_url(good).unwrap();
    }
    for bad in [
        "http://a.example/",
        "HTTPS://a.example/",
        "https://A.example/",
        "https:/a.example/",
        "https:\\\\a.example/",
        "https://a.example\\@b.example/",
        "https://b@a.example/",
        "https://a.example/#b",
        "https://a.example/%2e%2e/b/../c",
        "https://a.example/ b",
        "https://a.exa\tmple/",
        "https://%61.example/",
        "https://ä.example/",
        "https://0x7f000001/",
        "file:///etc/passwd",
        "",
    ] {
        assert!(read_url(bad).is_err(), "{bad}");
    }
}

#[test]
fn it_goes_to_the_methods_own_host_or_the_clouds() {
    let cloud = |host: &str| host.ends_with(".cloud.example");
    let goes = |url: &str, own: &str| read_url(url).unwrap().goes_to(own, cloud).is_ok();
    assert!(goes("https://a.cloud.example/", "https://a.cloud.example"));
    assert!(goes("https://b.cloud.example/", "https://a.cloud.example"));
    assert!(goes("https://own.example:8443/", "https://own.example:8443/"));
    for (url, own) in [
        // Somebody's own endpoint does not open the cloud's, nor another port of it.
        ("https://a.cloud.example/", "https://own.example"),
        ("https://own.example/", "https://a.cloud.example"),
        ("https://own.example:8443/", "https://own.example"),
        ("https://a.cloud.example:8443/", "https://a.cloud.example"),
        ("https://own.example.evil/", "https://own.example"),
        ("https://sub.own.example/", "https://own.example"),
        ("https://own.example./", "https://own.example"),
    ] {
        assert!(!goes(url, own), "{url} for {own}");
    }
}

#[test]
fn a_request_is_fresh_for_a_quarter_of_an_hour() {
    let now = Timestamp::from_seconds(1_000_000);
    for (age, good) in [(0, true), (900, true), (901, false), (-300, true), (-301, false)] {
        assert_eq!(fresh(Some(now.plus_seconds(-age)), now).is_ok(), good, "{age}");
    }
    assert!(fresh(None, now).is_err());
}
