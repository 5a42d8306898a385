//! Being stopped: running requests are finished, others are cut off, the exit code is 0.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::kit::{Connection, Server, Site, wait_until};

/// A request whose body has arrived but for its last bytes, which are given as well.
fn half_sent(server: &Server, token: &str) -> (Connection, Vec<u8>) {
    let args = json!({"name": "/slow/secret", "value": "arrived late", "token": token});
    let body = args.to_string().into_bytes();
    let mut connection = server.http.connect().unwrap();
    let (first, rest) = body.split_at(body.len() / 2);
    let head = connection.head("POST", "/create-secret", &[], Some(body.len()));
    connection.send(&[&head, first].concat()).unwrap();
    (connection, rest.to_vec())
}

/// Waits until the server takes no more connections.
fn wait_until_closed(server: &Server) {
    let address = server.http.address();
    wait_until("the listener to close", || std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_signal_lets_a_running_request_finish_and_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::new();
        let server = site.start();
        let token = server.admin().token().to_owned();
        let (mut slow, rest) = half_sent(&server, &token);
        // An answer on another connection proves that the half request arrived before the signal.
        assert_eq!(server.http.get("/health").unwrap().status, 200);
        server.process.signal(signal);
        wait_until_closed(&server);
        slow.send(&rest).unwrap();
        let reply = slow.reply().unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(slow.is_closed(), "a connection outlived its last request");
        assert_eq!(server.process.wait(), 0);

        let server = site.start();
        assert_eq!(server.admin().read("/slow/secret"), "arrived late");
        server.stop();
        site.audit(&["verify"]).expect(0);
    }
}

#[test]
fn a_request_that_never_ends_is_cut_off_after_the_drain_time() {
    let site = Site::new();
    let server = site.start_with(&["--drain-seconds", "1"]);
    let token = server.admin().token().to_owned();
    let (mut stuck, _rest) = half_sent(&server, &token);
    assert_eq!(server.http.get("/health").unwrap().status, 200);
    let asked = Instant::now();
    server.process.signal(Signal::TERM);
    assert!(stuck.is_closed());
    assert_eq!(server.process.wait(), 0);
    assert!(asked.elapsed() >= Duration::from_millis(900), "it did not wait at all");
    let server = site.start();
    let text = server.admin().refused(404, "describe-item", json!({"name": "/slow/secret"}));
    assert!(text.contains("/slow/secret"), "{text}");
}

#[test]
fn idle_connections_do_not_keep_a_server_from_ending() {
    let site = Site::new();
    // Whoever waits for them waits longer than this test does.
    let server = site.start_with(&["--drain-seconds", "3600"]);
    let connections: Vec<_> = (0..50)
        .map(|_| {
            let mut connection = server.http.connect().unwrap();
            assert_eq!(connection.post("/auth", &[], b"{}").unwrap().status, 400);
            connection
        })
        .collect();
    server.stop();
    drop(connections);
}

#[test]
fn a_closed_standard_output_does_not_stop_a_server() {
    let site = Site::new();
    site.start().stop();
    let mut command = std::process::Command::new("sh");
    let script = r#"exec "$0" server --listen 127.0.0.1:0 --data-dir "$1" 2>"$2" >&-"#;
    let log = site.path("closed.err");
    command.args(["-c", script, crate::kit::KEYSHERD]).arg(site.data()).arg(&log);
    command.env("HOME", site.home());
    let starting = site.launch(command);
    let ready = || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("ready"));
    wait_until("a server without an output", ready);
    starting.process.signal(Signal::TERM);
    assert_eq!(starting.process.wait(), 0);
}
