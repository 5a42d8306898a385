//! What a proxy answers to CONNECT, and the list of what goes past it.

use keysherd_egress::{ANSWER_BYTES_MAX, NoProxy, Proxy, Target, read_answer};

/// Answers are read the same however they are cut, and settings never repeat a password.
pub fn proxy_answers(bytes: &[u8]) {
    let whole = read_answer(bytes);
    if let Ok(Some((status, length))) = whole {
        assert!((100..600).contains(&status) && length <= bytes.len().min(ANSWER_BYTES_MAX));
        assert!(bytes[..length].ends_with(b"\r\n\r\n"));
        assert_eq!(read_answer(&bytes[..length]), whole, "what follows changes nothing");
        assert_eq!(read_answer(&bytes[..length - 1]), Ok(None), "nothing is taken early");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(list) = NoProxy::parse(text) {
        assert!(list.covers("localhost", 1) && list.covers("127.0.0.1", 1));
        let _covered = list.covers(text, 443);
    }
    if let Some(target) = Target::parse(text) {
        assert_eq!(Target::parse(&target.to_string()), Some(target));
    }
    if let Err(why) = Proxy::parse(&format!("http://user:hunter2canary@{text}"), true) {
        assert!(!why.contains("hunter2canary"));
    }
}

/// Answers of proxies, lists and addresses.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let seeds: [&[u8]; 9] = [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nProxy-agent: tinyproxy/1.11\r\nVia: 1.1 x\r\n\r\n",
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03",
        b"corp.example, .sub.example *.star.example,10.0.0.0/8,[2001:db8::1]:8400,*",
        b"proxy.example:3128",
        b"[2001:db8::1]:8400",
        b"xy%40z:1",
    ];
    seeds.map(<[u8]>::to_vec).into()
}
