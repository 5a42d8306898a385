//! The way out against a server of a few lines.

use std::net::TcpListener;

use keysherd_base::FaultKind;

use super::*;

#[path = "../../tests/provider/mod.rs"]
mod provider;

pub(crate) use provider::Provider;

pub(crate) fn open() -> Web {
    Web::new(&WebSettings { loopback_http: true, ..WebSettings::default() }).unwrap()
}

#[test]
fn addresses_are_https_or_this_machine() {
    for good in [
        "https://idp.example/keys",
        "https://idp.example:8443/a?b=c",
        "http://127.0.0.1:1/x",
        "http://[::1]:1/x",
        "http://localhost/x",
    ] {
        assert!(outside_url(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "idp.example",
        "http://idp.example/keys",
        "http://localhost.example/",
        "http://127.0.0.1.example/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://user@idp.example/",
        "https://user:pw@idp.example/",
        "https://idp.example/#x",
        "https://idp.example/ a",
        "https://idp.example\r\nx: y",
        "https://",
    ] {
        assert!(outside_url(bad).is_err(), "{bad}");
    }
    assert!(outside_url(&format!("https://h/{}", "a".repeat(URL_BYTES_MAX))).is_err());
}

#[tokio::test]
async fn answers_are_bounded_and_redirects_are_not_followed() {
    let provider = Provider::new();
    let (web, url) = (open(), format!("{}/keys", provider.url));
    provider.answer("/keys", 200, "{}");
    assert_eq!(web.get(&url).await.unwrap(), b"{}");
    for status in [301, 307, 404, 500] {
        provider.answer("/keys", status, "{}");
        let before = provider.asked("/keys");
        let fault = web.get(&url).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable);
        assert!(fault.private().unwrap().contains(&status.to_string()), "{fault:?}");
        assert!(!fault.public().contains("127.0.0.1"), "{fault}");
        assert_eq!(provider.asked("/keys"), before + 1);
    }
    assert_eq!(provider.asked("/elsewhere"), 0);
    provider.answer("/keys", 200, &"x".repeat(ANSWER_BYTES_MAX + 1));
    let fault = web.get(&url).await.unwrap_err();
    assert!(fault.private().unwrap().contains("larger"), "{fault:?}");
    let body = Some(b"a=b".to_vec());
    provider.answer("/keys", 403, "no");
    let reply = web.send(WebRequest { url: &url, headers: &[], body }).await.unwrap();
    assert_eq!((reply.status, reply.body), (403, b"no".to_vec()));
}

#[tokio::test]
async fn what_did_not_arrive_is_not_printed() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let headers = [("authorization".to_owned(), "canary".to_owned())];
    for url in [
        format!("http://{closed}/?Signature=canary"),
        format!("https://{closed}/?Signature=canary"),
        "https://?Signature=canary".to_owned(),
    ] {
        let request = || WebRequest { url: &url, headers: &headers, body: Some(b"canary".into()) };
        assert!(!format!("{:?}", request()).contains("canary"), "{:?}", request());
        let fault = open().send(request()).await.unwrap_err();
        assert!(!fault.private().unwrap().contains("canary"), "{fault:?}");
    }
    let reply = WebReply { status: 200, body: b"canary".to_vec() };
    assert_eq!(format!("{reply:?}"), "WebReply { status: 200, .. }");
}

#[tokio::test]
async fn without_the_setting_nothing_goes_out_in_plain() {
    let provider = Provider::new();
    let web = Web::new(&WebSettings::default()).unwrap();
    let fault = web.get(&provider.url).await.unwrap_err();
    assert!(fault.private().unwrap().contains("--identity-loopback-http"), "{fault:?}");
    assert_eq!(provider.asked("/"), 0);
    let bad = WebSettings { extra_ca_pem: Some(b"no".to_vec()), ..WebSettings::default() };
    assert_eq!(Web::new(&bad).unwrap_err().kind(), FaultKind::BadRequest);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // The runtime's clock leaps to the next timer whenever nothing else happens.
    let fault = open().get(&url).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
}
