//! Paths, prefixes and methods; unknown commands in the exact words that clients look for.

use serde_json::json;

use crate::kit::Site;

#[test]
fn commands_are_served_under_every_prefix_in_any_letter_case() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    let body = json!({"names": ["/team/db"], "token": admin.token()}).to_string();
    for path in [
        "/get-secret-value",
        "/v2/get-secret-value",
        "/api/v2/get-secret-value",
        "/V2/GET-SECRET-VALUE",
        "/Api/V2/Get-Secret-Value/",
        "/get-secret-value/",
        "/v2//get-secret-value",
        "/get-secret-value?x=1&token=t-other",
    ] {
        let reply = server.http.post(path, &[], body.as_bytes());
        assert_eq!((reply.status, reply.json()), (200, json!({"/team/db": "value"})), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
    }
}

#[test]
fn older_names_have_their_own_success_status() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    for (command, status) in
        [("auth-method-create-api-key", 201), ("create-auth-method", 200), ("create-role", 200)]
    {
        let reply = admin.call(command, json!({"name": format!("/team/{command}")}));
        assert_eq!(reply.status, status, "{command}: {}", reply.text());
    }
}

#[test]
fn an_unknown_command_is_404_in_the_exact_words() {
    let site = Site::new();
    let server = site.start();
    for (path, name) in [
        ("/no-such-command", "no-such-command"),
        ("/v2/no-such-command", "no-such-command"),
        ("/api/v2/No-Such-Command", "No-Such-Command"),
        ("/api/v1/auth", "api/v1/auth"),
        ("/v2/v2/auth", "v2/auth"),
        ("/auth/auth", "auth/auth"),
        ("/%61uth", "%61uth"),
        ("/..%2fauth", "..%2fauth"),
        ("/../auth", "../auth"),
        ("/'script'", "'script'"),
    ] {
        let reply = server.http.post(path, &[], b"{}");
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.json(), json!({"error": format!("unknown command '{name}'")}), "{path}");
    }
    let long = "x".repeat(5_000);
    let reply = server.http.post(&format!("/{long}"), &[], b"{}");
    assert!(reply.status == 404 && reply.error().len() < 300, "{}", reply.text());
}

#[test]
fn the_bare_base_says_unknown_command() {
    let site = Site::new();
    let server = site.start();
    for path in ["/", "/v2", "/v2/", "/api/v2", "/api/v2/"] {
        for body in [&b""[..], b"{}"] {
            let reply = server.http.post(path, &[], body);
            assert_eq!(reply.status, 404, "{path}");
            assert!(reply.error().contains("unknown command"), "{path}: {}", reply.text());
        }
    }
}

#[test]
fn other_methods_than_post_are_405() {
    let site = Site::new();
    let server = site.start();
    for (method, path) in [
        ("GET", "/auth"),
        ("PUT", "/v2/create-secret"),
        ("DELETE", "/delete-item"),
        ("OPTIONS", "/auth"),
        ("GET", "/"),
        ("TRACE", "/auth"),
    ] {
        let connection = server.http.connect().unwrap();
        let reply = connection.send_head(method, path, &[]).unwrap().reply().unwrap();
        assert_eq!(reply.status, 405, "{method} {path}");
        assert_eq!(reply.header("allow"), Some("POST"), "{method} {path}");
        assert!(reply.error().contains("POST"), "{}", reply.text());
    }
}

#[test]
fn the_liveness_probe_of_operators_gets_400() {
    let site = Site::new();
    let server = site.start();
    assert_eq!(server.http.post("/static-creds-auth", &[], b"").status, 400);
    let reply = server.http.post("/v2/static-creds-auth", &[], br#"{"creds": "x"}"#);
    assert_eq!(reply.status, 401);
}
