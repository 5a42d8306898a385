//! Tokens, addresses, kinds of client.

use serde_json::{Value, json};

use crate::support::{Options, Response, Server, post};

async fn thing(server: &Server, headers: &[&str], body: Value) -> Response {
    server.send(&post("/get-thing", headers, &body.to_string())).await
}

#[tokio::test]
async fn the_token_comes_from_the_body_or_the_header() {
    let server = Server::plain().await;
    let token = async |headers: &[&str], body: Value| {
        let response = thing(&server, headers, body).await;
        assert_eq!(response.status, 200);
        response.json()["token"].clone()
    };
    assert_eq!(token(&[], json!({"name": "a", "token": "t-1"})).await, "t-1");
    assert_eq!(token(&[], json!({"name": "a", "token": "", "uid_token": "u-1"})).await, "u-1");
    assert_eq!(token(&["Authorization: Bearer t-2"], json!({"name": "a"})).await, "t-2");
    let foreign = ["Authorization: Bearer eyJ0"];
    assert_eq!(token(&foreign, json!({"name": "a"})).await, Value::Null);
    let both = ["Authorization: Bearer t-1"];
    assert_eq!(token(&both, json!({"name": "a", "token": "t-1"})).await, "t-1");
}

#[tokio::test]
async fn two_tokens_are_refused() {
    let server = Server::plain().await;
    let header = ["Authorization: Bearer t-2"];
    let response = thing(&server, &header, json!({"name": "a", "token": "t-1"})).await;
    assert_eq!(response.status, 400);
    assert!(response.error().contains("two different tokens"));
    let body = json!({"name": "a", "token": "t-1", "uid-token": "u-1"});
    assert_eq!(thing(&server, &[], body).await.status, 400);
    assert!(server.state.finished.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_query_token_is_for_arrays_only() {
    let server = Server::plain().await;
    let response = server.post("/encrypt-rows?token=t-5", "[]").await;
    assert_eq!(response.json()["token"], "t-5");
    let response = server.post("/get-thing?token=t-5", r#"{"name":"a"}"#).await;
    assert_eq!(response.json()["token"], Value::Null);
    let request = post("/encrypt-rows", &["Authorization: Bearer t-6"], "[]");
    assert_eq!(server.send(&request).await.json()["token"], "t-6");
}

#[tokio::test]
async fn forwarded_addresses_are_believed_from_trusted_proxies_only() {
    let forwarded = ["X-Forwarded-For: 203.0.113.1, 198.51.100.7"];
    let server = Server::plain().await;
    let response = thing(&server, &forwarded, json!({"name": "a"})).await;
    assert_eq!(response.json()["address"], "127.0.0.1");
    let behind_proxy =
        Server::start(Options { trusted: |address| address.is_loopback(), ..Options::default() })
            .await;
    let response = thing(&behind_proxy, &forwarded, json!({"name": "a"})).await;
    assert_eq!(response.json()["address"], "198.51.100.7");
}

#[tokio::test]
async fn the_kind_of_client_is_what_it_says() {
    let server = Server::plain().await;
    for (header, kind) in [
        ("akeylessclienttype: terraform", "terraform"),
        ("User-Agent: OpenAPI-Generator/5.0.33/python", "sdk"),
        ("User-Agent: keysherd-cli/0.1", "cli"),
        ("User-Agent: curl/8", "sdk"),
    ] {
        let response = thing(&server, &[header], json!({"name": "a"})).await;
        assert_eq!(response.json()["kind"], kind, "{header}");
    }
}
