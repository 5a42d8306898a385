//! Pages: what browsers may send, and what documents are sent with.

use std::sync::atomic::Ordering;

use crate::support::{Server, post};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn get(path: &str, header: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: toy\r\n{header}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_page_reads_query_and_cookies_and_is_recorded() {
    let server = Server::plain().await;
    let response = server.send(&get("/toy/page?a=1+2&b=%3Cb%3E", "Cookie: k=v; x=1; x=2")).await;
    assert_eq!(response.status, 200);
    let html = String::from_utf8(response.body.clone()).unwrap();
    assert_eq!(html, r#"[("a", "1 2"), ("b", "<b>")] [("k", "v")] browser"#);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'self'"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("set-cookie", "k=v; Secure"),
    ] {
        assert_eq!(response.headers[name], value, "{name}");
    }
    let finished = server.state.finished.lock().unwrap();
    assert_eq!((finished.len(), finished[0].0.command), (1, "toy/page"));
}

#[tokio::test]
async fn a_form_is_read_and_can_lead_elsewhere() {
    let server = Server::plain().await;
    let to = |place: &str| post("/toy/form", &[FORM], &format!("to={place}"));
    let response = server.send(&to("https%3A%2F%2Fidp.example%2Fa%3Fb")).await;
    assert_eq!(response.status, 303);
    assert_eq!(response.headers["location"], "https://idp.example/a?b");
    // What could split the head of the answer leads nowhere.
    let response = server.send(&to("%2Fa%0D%0ASet-Cookie%3A+x%3D1")).await;
    assert_eq!(response.status, 500);
    assert!(!response.headers.contains_key("location"));
    assert!(!response.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn what_is_no_request_for_a_page_is_refused_as_a_document() {
    let server = Server::plain().await;
    let long = format!("to={}", "x".repeat(2_000));
    let cases = [
        (get("/toy/page?a=1&a=2", "X: y"), 400),
        (get("/toy/page?a=%zz", "X: y"), 400),
        (post("/toy/form", &["Content-Type: application/json"], "{}"), 415),
        (post("/toy/form", &["Content-Type: text/plain"], "to=x"), 415),
        (post("/toy/form", &[FORM], "to=%ff"), 400),
        (post("/toy/form", &[FORM], &long), 413),
        (post("/toy/form?to=/x", &[FORM], ""), 400),
        (post("/toy/page", &[FORM], ""), 405),
        (get("/toy/form", "X: y"), 405),
    ];
    for (request, status) in cases {
        let response = server.send(&request).await;
        assert_eq!(response.status, status);
        assert_eq!(response.headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(response.headers["content-security-policy"], "default-src 'none'");
        assert!(response.body.starts_with(b"sorry: "));
    }
    for path in ["/toy", "/toy/page/x", "/v2/toy/page", "/toy/pagE"] {
        assert_eq!(server.send(&get(path, "X: y")).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_recorded_is_withheld_from_browsers_too() {
    let server = Server::plain().await;
    server.state.records_fail.store(true, Ordering::SeqCst);
    let response = server.send(&get("/toy/page", "X: y")).await;
    assert_eq!(response.status, 503);
    assert!(!response.headers.contains_key("set-cookie"));
}
