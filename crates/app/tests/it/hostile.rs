//! Requests that no honest client sends, over raw HTTPS: each gets its documented answer, nobody
//! else is disturbed, and the server stays as small as it was.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::{Api, Connection, Reply, Server, Site};

/// Grown by less than this after everything hostile in one test, in KiB.
const GROWTH_KIB_MAX: u64 = 160 * 1024;

fn post(server: &Server, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    server.http.post("/create-secret", headers, body)
}

#[track_caller]
fn refused(reply: &Reply, status: u16, words: &[&str]) {
    let text = reply.error();
    assert_eq!(reply.status, status, "{text}");
    for word in words {
        assert!(text.contains(word), "no '{word}' in {text}");
    }
}

/// A good request gets a good answer.
fn still_serves(admin: &Api) {
    admin.overwrite("/team/db", "value");
    assert_eq!(admin.read("/team/db"), "value");
}

fn server_with_a_secret(site: &Site) -> (Server, Api) {
    let server = site.start();
    let admin = server.admin();
    admin.store("/team/db", "value");
    (server, admin)
}

#[test]
fn bodies_over_the_limit_are_413_however_they_come() {
    let site = Site::new();
    let (server, admin) = server_with_a_secret(&site);
    let before = server.memory_kib("VmHWM:");
    let large = vec![b' '; 3 * 1024 * 1024];
    refused(&post(&server, &[], &large), 413, &["2097152"]);
    // The end is not announced.
    let mut connection = server.http.connect().unwrap();
    let chunked = [("Transfer-Encoding", "chunked")];
    let head = connection.head("POST", "/create-secret", &chunked, Some(0));
    connection.send(&head).unwrap();
    for _ in 0..48 {
        let chunk = [b"10000\r\n".as_slice(), &large[..0x10000], b"\r\n"].concat();
        connection.send(&chunk).unwrap();
    }
    connection.send(b"0\r\n\r\n").unwrap();
    refused(&connection.reply().unwrap(), 413, &["2097152"]);
    // A length that nobody will ever send.
    for length in ["99999999999", "18446744073709551615", "99999999999999999999999"] {
        let mut connection = server.http.connect().unwrap();
        let lie = [("Content-Length", length)];
        let head = connection.head("POST", "/create-secret", &lie, Some(0));
        connection.send(&head).unwrap();
        let reply = connection.reply().unwrap();
        assert!([400, 413, 431].contains(&reply.status), "{length}: {reply:?}");
    }
    // As much as is allowed is allowed: it is only no JSON.
    refused(&post(&server, &[], &vec![b'['; 2 * 1024 * 1024]), 400, &["the body"]);
    still_serves(&admin);
    let grown = server.memory_kib("VmHWM:") - before;
    assert!(grown < GROWTH_KIB_MAX, "grown by {grown} KiB");
}

#[test]
fn broken_json_is_400_and_never_repeated() {
    let site = Site::new();
    let (server, admin) = server_with_a_secret(&site);
    let deep_list = format!(r#"{{"name": {}1{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    let deep_map = format!("{}1{}", r#"{"x":"#.repeat(50_000), "}".repeat(50_000));
    let unknown_deep = format!(r#"{{"other": {}{}}}"#, "[".repeat(40), "]".repeat(40));
    let cases: &[(&[u8], &str)] = &[
        (b"{", "ends too early"),
        (b"[", "array"),
        (b"[]", "must be a JSON object"),
        (b"5", "must be a JSON object"),
        (b"\"SECRET\"", "must be a JSON object"),
        (b"{\"name\": SECRET}", "not valid JSON"),
        (b"{\"name\": \"SECRET\",}", "not valid JSON"),
        (b"{\"name\": \"SECRET\"} x", "not valid JSON"),
        (b"{\"name\": \"SECRET\"}{\"name\": \"y\"}", "not valid JSON"),
        (b"{'name': 'SECRET'}", "not valid JSON"),
        (b"{\"name\": \"SECRET\xff\"}", "not UTF-8"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b"{\"name\": \"\\ud800SECRET\"}", "not valid JSON"),
        (b"{\"name\": \"SECRET\nx\"}", "not valid JSON"),
        (b"{\"name\": 1e999}", "not valid JSON"),
        (b"\x00", "not valid JSON"),
        (deep_list.as_bytes(), "nested too deeply"),
        (deep_map.as_bytes(), "nested too deeply"),
        (unknown_deep.as_bytes(), "nested too deeply"),
    ];
    for (body, words) in cases {
        let reply = post(&server, &[], body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(reply.status, 400, "{shown}: {}", reply.text());
        let text = reply.error();
        let fits = text.contains(words) || text.contains("the body ");
        assert!(fits && !text.contains("SECRET"), "{shown}: {text}");
    }
    // A body that is nothing at all is a call without arguments.
    for body in [&b""[..], b"  \r\n", b"null", b"{}"] {
        refused(&post(&server, &[], body), 400, &["missing required field"]);
    }
    // Of two equal keys the last one counts, as everywhere.
    let twice = format!(
        r#"{{"name": "/one", "name": "/team/db", "value": "v", "token": "{}"}}"#,
        admin.token()
    );
    refused(&post(&server, &[], twice.as_bytes()), 409, &["/team/db"]);
    still_serves(&admin);
}

#[test]
fn huge_lists_and_maps_are_400() {
    let site = Site::new();
    let (server, admin) = server_with_a_secret(&site);
    let names: Vec<_> = (0..10_000).map(|n| format!("/team/{n}")).collect();
    admin.refused(400, "get-secret-value", json!({ "names": names }));
    admin.refused(400, "delete-items", json!({ "item": names }));
    admin.refused(400, "create-secret", json!({"name": "/team/x", "value": "v", "tags": names}));
    let map: serde_json::Map<_, _> = names.iter().map(|n| (n.clone(), json!("v"))).collect();
    let args = json!({"name": "/team/x", "value": "v", "item-custom-fields": map});
    admin.refused(400, "create-secret", args);
    let rows: Vec<_> = (0..10_000).map(|_| json!({"item_id": 1, "data": "d"})).collect();
    admin.refused(400, "encrypt-batch", json!(rows));
    // Many fields that nobody knows are only skipped.
    let mut unknown = map;
    unknown.insert("names".to_owned(), json!(["/team/db"]));
    assert_eq!(admin.ok("get-secret-value", unknown.into())["/team/db"], "value");
    let longest: Vec<_> = (0..1_000).map(|_| "/team/db").collect();
    assert_eq!(admin.ok("get-secret-value", json!({ "names": longest }))["/team/db"], "value");
    still_serves(&admin);
    drop(server);
}

#[test]
fn another_content_type_is_415() {
    let site = Site::new();
    let (server, admin) = server_with_a_secret(&site);
    let body = json!({"name": "/team/x", "value": "v", "token": admin.token()}).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"] {
        let reply = post(&server, &[("Content-Type", kind)], body.as_bytes());
        refused(&reply, 415, &["application/json"]);
    }
    for kind in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"] {
        let reply = post(&server, &[("Content-Type", kind)], body.as_bytes());
        assert!([200, 409].contains(&reply.status), "{kind}: {}", reply.text());
    }
    // Tools that send nothing declare it to be a form.
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    refused(&post(&server, &form, b""), 400, &["missing required field"]);
}

#[test]
fn a_slow_body_is_408_while_others_are_served() {
    let site = Site::new();
    let (server, admin) = server_with_a_secret(&site);
    let mut slow: Vec<Connection> = (0..20)
        .map(|_| {
            let mut connection = server.http.connect().unwrap();
            let head = connection.head("POST", "/create-secret", &[], Some(1_000));
            connection.send(&head).unwrap();
            connection.send(b"{\"name\": ").unwrap();
            connection
        })
        .collect();
    let started = Instant::now();
    let (done, answered) = std::sync::mpsc::channel();
    let others = std::thread::spawn(move || {
        let mut served = 0;
        while answered.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            still_serves(&admin);
            served += 1;
            std::thread::park_timeout(Duration::from_millis(50));
        }
        served
    });
    let replies: Vec<_> = slow.iter_mut().map(|connection| connection.reply().unwrap()).collect();
    done.send(()).unwrap();
    for reply in &replies {
        refused(reply, 408, &["did not arrive"]);
    }
    assert!(started.elapsed() > Duration::from_secs(5), "patience is part of the answer");
    // Whoever has to wait for them is served once, after them.
    assert!(others.join().unwrap() > 1, "somebody else waited");
}

#[test]
fn huge_and_slow_heads_end_their_connection_only() {
    let site = Site::new();
    let (server, admin) = server_with_a_secret(&site);
    let mut slow = server.http.connect().unwrap();
    slow.send(b"POST /create-secret HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();

    let huge = "h".repeat(300_000);
    let mut connection = server.http.connect().unwrap();
    let head = connection.head("POST", "/auth", &[("X-Huge", &huge)], Some(0));
    // The server may have answered and gone before all of it was sent.
    let _ = connection.send(&head);
    is_refused_if_answered(&mut connection);
    let many = "X-Many: 1\r\n".repeat(5_000);
    let mut connection = server.http.connect().unwrap();
    let _ = connection.send(format!("POST /auth HTTP/1.1\r\nHost: x\r\n{many}\r\n").as_bytes());
    is_refused_if_answered(&mut connection);
    let path = format!("/{}", "p".repeat(300_000));
    let mut connection = server.http.connect().unwrap();
    let head = connection.head("POST", &path, &[], Some(0));
    let _ = connection.send(&head);
    is_refused_if_answered(&mut connection);
    still_serves(&admin);
    // Nobody waits for the rest of a head for ever.
    assert!(slow.is_closed() || slow.reply().is_ok_and(|reply| reply.status == 408));
    still_serves(&admin);
}

/// A client that is cut off while it still sends may never see the answer.
fn is_refused_if_answered(connection: &mut Connection) {
    let reply = connection.reply();
    let refused = reply.as_ref().map_or(true, |reply| [414, 431].contains(&reply.status));
    assert!(refused, "{reply:?}");
}

#[test]
fn heads_that_two_parties_could_read_differently_are_refused() {
    let site = Site::new();
    let (server, admin) = server_with_a_secret(&site);
    let smuggled = "POST /delete-item HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    for head in [
        "Content-Length: 2\r\nContent-Length: 40\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked, identity\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: 2, 3\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Content-Length : 2\r\n",
        " Content-Length: 2\r\n",
        "Bad Header: 1\r\n",
        "X: a\x00b\r\n",
    ] {
        let mut connection = server.http.connect().unwrap();
        let text = format!("POST /auth HTTP/1.1\r\nHost: x\r\n{head}\r\n{{}}{smuggled}");
        connection.send(text.as_bytes()).unwrap();
        connection.set_patience(Duration::from_secs(20));
        let first = connection.reply();
        let status = first.as_ref().map(|reply| reply.status).unwrap_or(400);
        assert_eq!(status, 400, "{head:?}: {first:?}");
        let second = connection.reply();
        assert!(second.is_err(), "{head:?}: what came behind it was served: {second:?}");
    }
    for line in [
        "nonsense\r\n\r\n",
        "POST  /auth HTTP/1.1\r\n\r\n",
        "POST /auth HTTP/9.9\r\n\r\n",
        "POST /auth\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00",
        "POST /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut connection = server.http.connect().unwrap();
        connection.send(line.as_bytes()).unwrap();
        connection.set_patience(Duration::from_secs(20));
        let reply = connection.reply();
        assert!(reply.as_ref().map_or(true, |reply| reply.status == 400), "{line:?}: {reply:?}");
    }
    still_serves(&admin);
}

#[test]
fn other_protocols_get_a_hint_at_most() {
    let site = Site::new();
    let (server, admin) = server_with_a_secret(&site);
    for hello in [&b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"SSH-2.0-x\r\n", &[0; 600]] {
        let mut socket = TcpStream::connect(server.http.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        socket.write_all(hello).unwrap();
        let mut answer = Vec::new();
        // A reset is as good as an end.
        let _ = socket.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        // Whoever may have forgotten the s of https is told so, and nothing else.
        match hello[0].is_ascii_uppercase() {
            true => {
                assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
                assert!(answer.ends_with("use https:// in place of http://\"}"), "{answer}");
            }
            false => assert!(!answer.starts_with("HTTP/"), "{answer}"),
        }
    }
    // TLS 1.2 is not offered: its client hello ends in an alert.
    let hello = hex::decode(
        "160301002f0100002b03030000000000000000000000000000000000000000000000000000000000000000\
         000004c02fc02b0100",
    );
    let mut socket = TcpStream::connect(server.http.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket.write_all(&hello.unwrap()).unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(answer.first().is_none_or(|kind| *kind == 0x15), "{answer:?}");
    still_serves(&admin);
}

#[test]
fn clients_that_go_away_leave_nothing_half_done() {
    let site = Site::new();
    let (server, admin) = server_with_a_secret(&site);
    for n in 0..40 {
        let body = json!({
            "name": format!("/gone/{n}"), "value": "v", "token": admin.token(),
        });
        let body = body.to_string();
        let mut connection = server.http.connect().unwrap();
        let head = connection.head("POST", "/create-secret", &[], Some(body.len()));
        let cut = if n % 2 == 0 { body.len() } else { body.len() / 2 };
        connection.send(&[&head, &body.as_bytes()[..cut]].concat()).unwrap();
        drop(connection);
    }
    still_serves(&admin);
    server.stop();
    // What was sent as a whole may have been stored, and then it opens; the rest is not there.
    let server = site.start();
    let admin = server.admin();
    let listed = admin.ok("list-items", json!({"path": "/gone/"}));
    for item in listed["items"].as_array().into_iter().flatten() {
        let name = item["item_name"].as_str().unwrap();
        let number: u32 = name.trim_start_matches("/gone/").parse().unwrap();
        assert_eq!(number % 2, 0, "{name} was only half sent");
        assert_eq!(admin.read(name), "v");
    }
    server.stop();
    site.audit(&["verify"]).expect(0);
}

#[test]
fn hundreds_of_idle_connections_disturb_nobody() {
    let site = Site::new();
    let (server, admin) = server_with_a_secret(&site);
    let before = server.memory_kib("VmRSS:");
    let silent: Vec<_> =
        (0..300).map(|_| TcpStream::connect(server.http.address()).unwrap()).collect();
    let idle: Vec<_> = (0..100)
        .map(|_| {
            let mut connection = server.http.connect().unwrap();
            connection.post("/auth", &[], b"{}").unwrap();
            connection
        })
        .collect();
    for _ in 0..20 {
        still_serves(&admin);
    }
    let grown = server.memory_kib("VmRSS:").saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "grown by {grown} KiB");
    drop((silent, idle));
}
