//! Outcomes other than success.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::Server;
use crate::toy::KINDS;

/// A log that can be read back.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn logging() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn each_kind_of_fault_has_its_status_and_form() {
    let server = Server::plain().await;
    for (name, kind) in KINDS {
        let response = server.post("/fail", &json!({ "kind": name }).to_string()).await;
        assert_eq!(response.status, kind.http_status(), "{name}");
        let text = response.error();
        let status = format!("fail failed: Status {} ", response.status);
        assert!(text.starts_with(&status), "{text}");
        let end = format!(", Error: {}. Message: no \"luck\"", kind.code());
        assert!(text.ends_with(&end), "{text}");
        assert_eq!(response.headers.contains_key("retry-after"), kind.retryable());
        assert_eq!(response.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn private_halves_are_logged_once_and_never_sent() {
    let (log, _guard) = logging();
    let server = Server::plain().await;
    let response = server.post("/fail", r#"{"kind":"Internal"}"#).await;
    assert!(!response.error().contains("canary"));
    let text = log.text();
    assert_eq!(text.matches("canary-private").count(), 1, "{text}");
    assert!(text.contains(&response.headers[keysherd_wire::headers::REQUEST_ID]));
    assert!(text.contains("fail"));
}

#[tokio::test]
async fn a_panic_is_one_request_lost_and_recorded() {
    let (log, _guard) = logging();
    let server = Server::plain().await;
    let mut client = server.connect().await;
    for path in ["/panic-late", "/panic-early"] {
        client.write(&crate::support::post(path, &[], "")).await;
        let response = client.read().await;
        assert_eq!(response.status, 500);
        let text = response.error();
        assert!(text.contains("Status 500 Internal Server Error") && !text.contains("canary"));
        // The same connection goes on.
        client.write(&crate::support::post("/warn", &[], "")).await;
        assert_eq!(client.read().await.status, 200);
    }
    assert_eq!(log.text().matches("canary-panic").count(), 2);
    let finished = server.state.finished.lock().unwrap();
    let codes: Vec<_> = finished.iter().map(|(_, code)| code.as_deref()).collect();
    assert_eq!(codes, [Some("Internal"), None, Some("Internal"), None]);
}

#[tokio::test]
async fn a_panic_of_the_host_is_one_request_lost() {
    let (log, _guard) = logging();
    let server = Server::plain().await;
    let mut client = server.connect().await;
    let request = crate::support::post("/warn", &["akeylessclienttype: bomb"], "");
    client.write(&request).await;
    assert_eq!(client.read().await.status, 500);
    client.write(&crate::support::post("/warn", &[], "")).await;
    assert_eq!(client.read().await.status, 200);
    assert!(log.text().contains("the host panics"));
}

#[tokio::test]
async fn no_answer_leaves_without_its_record() {
    let (log, _guard) = logging();
    let server = Server::plain().await;
    server.state.records_fail.store(true, Ordering::SeqCst);
    for (path, body) in [
        ("/get-thing", r#"{"name":"/canary"}"#),
        ("/fail", r#"{"kind":"NotFound"}"#),
        ("/panic-late", ""),
    ] {
        let response = server.post(path, body).await;
        assert_eq!(response.status, 503, "{path}");
        let text = response.error();
        assert!(text.contains("could not be recorded"), "{text}");
        assert!(!text.contains("canary") && !text.contains("audit disk"), "{text}");
        assert!(response.headers.contains_key("retry-after"));
    }
    assert_eq!(log.text().matches("audit disk").count(), 3);
}

#[tokio::test]
async fn a_call_without_its_fields_is_recorded_with_its_token() {
    let server = Server::plain().await;
    server.post("/get-thing", r#"{"token":"t-1"}"#).await;
    let finished = server.state.finished.lock().unwrap();
    let (info, code) = &finished[0];
    assert_eq!(code.as_deref(), Some("BadRequest"));
    assert_eq!(info.token.as_deref(), Some("t-1"));
    assert!(!format!("{info:?}").contains("t-1"));
}
