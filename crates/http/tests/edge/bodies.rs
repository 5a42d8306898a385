//! Bodies: types, shapes, limits.

use keysherd_base::limits::{BATCH_LEN_MAX, BODY_BYTES_MAX};
use serde_json::{Value, json};

use crate::support::{Server, post};

#[tokio::test]
async fn json_types_and_none_are_accepted() {
    let server = Server::plain().await;
    let body = r#"{"name":"/a","keep_prev_version":"TRUE","unknown":[{}]}"#;
    for headers in [
        &[][..],
        &["Content-Type: application/json"],
        &["Content-Type: application/json; charset=utf-8"],
        &["Content-Type: application/vnd.x+json"],
    ] {
        let response = server.send(&post("/get-thing", headers, body)).await;
        assert_eq!(response.status, 200, "{headers:?}");
        assert_eq!(response.json()["keep"], true);
    }
}

#[tokio::test]
async fn other_types_are_refused_unless_there_is_no_body() {
    let server = Server::plain().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let header = format!("Content-Type: {kind}");
        let response = server.send(&post("/get-thing", &[&header], "name=a")).await;
        assert_eq!(response.status, 415, "{kind}");
        assert!(response.error().contains("Status 415 Unsupported Media Type"));
        let response = server.send(&post("/warn", &[&header], "")).await;
        assert_eq!(response.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn nothing_is_no_arguments() {
    let server = Server::plain().await;
    for body in ["", "null", " {} "] {
        assert_eq!(server.post("/warn", body).await.status, 200, "{body:?}");
        // The probe of operators: a command without its fields is malformed, not unauthorized.
        let response = server.post("/get-thing", body).await;
        assert_eq!(response.status, 400);
        assert_eq!(
            response.error(),
            "get-thing failed: Status 400 Bad Request, Error: BadRequest. \
             Message: missing required field 'name'"
        );
    }
}

#[tokio::test]
async fn malformed_bodies_are_refused_without_being_repeated() {
    let server = Server::plain().await;
    let deep = format!("{{\"name\":\"canary\",\"x\":{}}}", "[".repeat(100_000));
    for body in [
        r#"{"name":"canary""#,
        r#"{"name":"canary"} x"#,
        r#"{"name":"canary"}{"#,
        r#"["canary"]"#,
        r#""canary""#,
        r#"{"name":"canary","n":1e999}"#,
        &deep,
    ] {
        let response = server.post("/get-thing", body).await;
        assert_eq!(response.status, 400);
        let text = response.error();
        assert!(text.contains("line 1, column"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
    let mut request = post("/get-thing", &[], "{\"name\":\"canary?\"}");
    let at = request.iter().position(|byte| *byte == b'?').unwrap();
    request[at] = 0xff;
    let response = server.send(&request).await;
    assert_eq!(response.status, 400);
    assert!(response.error().contains("not UTF-8"));
    assert!(server.state.finished.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_last_of_two_equal_fields_wins() {
    let server = Server::plain().await;
    let response = server.post("/get-thing", r#"{"name":"/a","name":"/b"}"#).await;
    assert_eq!(response.json()["name"], "/b");
}

#[tokio::test]
async fn arrays_are_read_row_by_row() {
    let server = Server::plain().await;
    let response = server.post("/encrypt-rows", r#"[{"name":"a"},{"name":"b"}]"#).await;
    assert_eq!(response.json(), json!({"names": ["a", "b"], "token": null}));
    let response = server.post("/encrypt-rows", r#"[{"name":"a"},{}]"#).await;
    assert_eq!(response.status, 400);
    assert!(response.error().contains("element 1: missing required field 'name'"));
    assert_eq!(server.post("/encrypt-rows", "{}").await.status, 400);
    let many = json!(vec![json!({"name": "a"}); BATCH_LEN_MAX + 1]).to_string();
    let response = server.post("/encrypt-rows", &many).await;
    assert_eq!(response.status, 400);
    assert!(response.error().contains("too many elements"));
}

fn named(length: usize) -> String {
    let around = r#"{"name":""}"#.len();
    json!({ "name": "n".repeat(length - around) }).to_string()
}

#[tokio::test]
async fn bodies_up_to_the_limit_arrive_whole() {
    let server = Server::plain().await;
    for length in [9_000, 100_000, BODY_BYTES_MAX] {
        let response = server.post("/get-thing", &named(length)).await;
        assert_eq!(response.status, 200);
        assert!(response.json()["name"].as_str().unwrap().len() == length - 11);
    }
}

#[tokio::test]
async fn larger_bodies_are_refused_and_the_client_reads_why() {
    let server = Server::plain().await;
    let response = server.post("/get-thing", &named(BODY_BYTES_MAX + 1)).await;
    assert_eq!(response.status, 413);
    assert!(response.error().contains("Status 413 Payload Too Large, Error: TooLarge"));
    let response = server.post("/get-thing", &named(3 * BODY_BYTES_MAX)).await;
    assert_eq!(response.status, 413);
}

#[tokio::test]
async fn an_absurd_length_is_refused_before_it_arrives() {
    let server = Server::plain().await;
    let mut client = server.connect().await;
    client
        .write(b"POST /get-thing HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999\r\n\r\n{")
        .await;
    assert_eq!(client.read().await.status, 413);
    assert!(client.ends().await);
}

#[tokio::test]
async fn a_client_that_asks_before_sending_is_told_at_once() {
    let server = Server::plain().await;
    let head = |path: &str, length: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let mut client = server.connect().await;
    client.write(head("/get-thing", BODY_BYTES_MAX + 1).as_bytes()).await;
    assert_eq!(client.read().await.status, 413);
    let mut client = server.connect().await;
    client.write(head("/get-thing", 13).as_bytes()).await;
    assert_eq!(client.read().await.status, 100);
    client.write(br#"{"name":"/a"}"#).await;
    assert_eq!(client.read().await.status, 200);
}

#[tokio::test]
async fn chunked_bodies_are_joined_and_limited() {
    let server = Server::plain().await;
    let head = b"POST /get-thing HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = server.connect().await;
    client.write(head).await;
    for piece in ["{\"na", "me\":", "\"/a\"}"] {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        client.write(chunk.as_bytes()).await;
    }
    client.write(b"0\r\n\r\n").await;
    assert_eq!(client.read().await.json()["name"], "/a");

    client.write(head).await;
    let piece = format!("{:x}\r\n{}\r\n", 65_536, " ".repeat(65_536));
    for _ in 0..3 * BODY_BYTES_MAX / 65_536 {
        client.write(piece.as_bytes()).await;
    }
    client.write(b"0\r\n\r\n").await;
    assert_eq!(client.read().await.status, 413);
}

#[tokio::test]
async fn all_bodies_together_are_limited() {
    let server = Server::limited(keysherd_http::Limits {
        bodies_bytes_max: 300_000,
        ..keysherd_http::Limits::default()
    })
    .await;
    let mut holding = server.connect().await;
    let body = named(200_000);
    let request = post("/get-thing", &[], &body);
    let (most, rest) = request.split_at(request.len() - 10);
    // A request of its own follows, so that the server has read the pieces when it answers.
    holding.write(most).await;
    let refused = loop {
        let response = server.post("/get-thing", &body).await;
        if response.status == 503 {
            break response;
        }
    };
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(server.post("/get-thing", r#"{"name":"/a"}"#).await.status, 200);
    holding.write(rest).await;
    assert_eq!(holding.read().await.status, 200);
    assert_eq!(server.post("/get-thing", &body).await.status, 200);
}

#[tokio::test]
async fn values_of_all_types_pass_through() {
    let server = Server::plain().await;
    for (name, shown) in [(json!(5), "5"), (json!(true), "true"), (json!("\u{1f600}"), "\u{1f600}")]
    {
        let response = server.post("/get-thing", &json!({ "name": name }).to_string()).await;
        assert_eq!(response.json()["name"], Value::from(shown));
    }
}
