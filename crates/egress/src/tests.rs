//! Proxies that behave and proxies that do not, over real sockets.

use std::time::Duration;

use keysherd_base::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const LIMIT: Duration = Duration::from_secs(5);
/// A name that only a proxy can know.
const ELSEWHERE: &str = "control.test:8400";

/// A proxy that answers each connection with `answer`, and what it was asked. It hangs up then
/// if `then_closes`.
async fn proxy(answer: &'static [u8], then_closes: bool) -> (Proxy, impl Future<Output = String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).await.unwrap() == 0 {
                break;
            }
            asked.push(byte[0]);
        }
        stream.write_all(answer).await.unwrap();
        if !then_closes {
            // Until the other end is done with it.
            let _rest = stream.read(&mut [0]).await;
        }
        String::from_utf8(asked).unwrap()
    });
    let proxy = Proxy::parse(&address.to_string(), false).unwrap();
    (proxy, async move { serving.await.unwrap() })
}

async fn outcome(answer: &'static [u8], then_closes: bool) -> Result<(), DialError> {
    let (proxy, _asked) = proxy(answer, then_closes).await;
    let egress = Egress::through(proxy, NoProxy::default());
    let target = Target::parse(ELSEWHERE).unwrap();
    egress.connect(&target, LIMIT).await.map(drop)
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_target_by_its_name_and_signed_in_to() {
    let (proxy, asked) = proxy(b"HTTP/1.1 200 Connection established\r\n\r\n", false).await;
    let password = Secret::new("open sesame".to_owned());
    let proxy = proxy.signed_in("aladdin".to_owned(), password).unwrap();
    let egress = Egress::through(proxy, NoProxy::default());
    let target = Target::parse(ELSEWHERE).unwrap();
    drop(egress.connect(&target, LIMIT).await.unwrap());
    assert_eq!(
        asked.await,
        "CONNECT control.test:8400 HTTP/1.1\r\nHost: control.test:8400\r\n\
         Proxy-Authorization: Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
    );
}

#[tokio::test]
async fn answers_that_open_no_tunnel_are_told_with_their_status() {
    for (answer, told) in [
        (
            &b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nno!"[..],
            "407",
        ),
        (b"HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\n\r\n", "redirects (status 302)"),
        (b"HTTP/1.0 403 Forbidden\r\n\r\n", "403"),
        (b"HTTP/1.1 502 x\r\n\r\n", "502"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "status 100"),
        (b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03", "bytes of its own"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "bytes of its own"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no answer of an HTTP proxy"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "no answer of an HTTP proxy"),
        (b"HTTP/2 200 OK\r\n\r\n", "no answer of an HTTP proxy"),
        (b"HTTP/1.1 200 OK\nA: b\r\n\r\n", "no answer of an HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "no answer of an HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", "no answer of an HTTP proxy"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "no answer of an HTTP proxy"),
    ] {
        let error = outcome(answer, false).await.unwrap_err();
        assert_eq!(error.step, DialStep::Proxy);
        assert!(error.why.contains(told), "{error} for {answer:?}");
        assert!(error.why.starts_with("the proxy 127.0.0.1:"), "{error}");
    }
    for cut in [&b""[..], b"HTTP/1.1 200 OK\r\n"] {
        let error = outcome(cut, true).await.unwrap_err();
        assert!(error.why.contains("hangs up") || error.why.contains("breaks"), "{error}");
    }
    let endless: &'static [u8] =
        Vec::leak([b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'x'; 20_000]].concat());
    let error = outcome(endless, false).await.unwrap_err();
    assert!(error.why.contains("no answer of an HTTP proxy"), "{error}");
}

#[tokio::test]
async fn a_sign_in_that_is_wrong_is_told_whichever_status_says_so() {
    for answer in [&b"HTTP/1.1 401 Unauthorized\r\n\r\n"[..], b"HTTP/1.1 407 No\r\n\r\n"] {
        let (proxy, _asked) = proxy(answer, false).await;
        let proxy = proxy.signed_in("u".to_owned(), Secret::new("p".to_owned())).unwrap();
        let egress = Egress::through(proxy, NoProxy::default());
        let error = egress.connect(&Target::parse(ELSEWHERE).unwrap(), LIMIT).await.unwrap_err();
        assert!(error.why.contains("refuses the user or the password"), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_waited_for_no_longer_than_allowed() {
    let (proxy, _asked) = proxy(b"", false).await;
    let egress = Egress::through(proxy, NoProxy::default());
    let target = Target::parse(ELSEWHERE).unwrap();
    let error = egress.connect(&target, Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.step, DialStep::Proxy);
    assert!(error.why.contains("does not answer in time"), "{error}");
}

#[tokio::test]
async fn what_is_past_the_proxy_does_not_touch_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    let nobody = Proxy::parse("http://192.0.2.1:1", false).unwrap();
    // This machine never needs to be in the list.
    let egress = Egress::through(nobody, NoProxy::default());
    egress.connect(&target, LIMIT).await.unwrap();
    assert!(egress.proxy_for("control.test", 8400).is_some());
}

#[tokio::test]
async fn targets_of_tenants_are_not_inside() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "::ffff:127.0.0.1"] {
        let target = Target::new(host, port);
        assert!(Egress::default().connect(&target, LIMIT).await.is_ok(), "{host}: control");
        let error = Egress::default().public_only().connect(&target, LIMIT).await.unwrap_err();
        assert_eq!(error.step, DialStep::Name, "{host}");
        assert!(error.why.contains("--allow-private-receivers"), "{error}");
    }
    let egress = Egress::through(Proxy::parse("proxy.test", false).unwrap(), NoProxy::default());
    let egress = egress.public_only();
    for host in ["169.254.169.254", "[::1]", "LOCALHOST", "a.localhost.", "10.0.0.1", "proxy.test."]
    {
        assert!(!egress.admits(host), "{host}");
    }
    for host in ["8.8.8.8", "logs.example", "[2606:4700::1]"] {
        assert!(egress.admits(host), "{host}");
    }
}

#[tokio::test]
async fn a_proxy_inside_is_the_operators_whatever_letters_its_name_is_written_in() {
    for host in ["localhost", "LocalHost"] {
        let (proxy, asked) =
            proxy(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", true).await;
        let proxy = format!("http://{host}:{}", proxy.place().port());
        let egress =
            Egress::through(Proxy::parse(&proxy, false).unwrap(), NoProxy::default()).public_only();
        let client = egress.http().build().unwrap();
        assert!(client.get("https://logs.example/").send().await.is_err());
        let asked = tokio::time::timeout(LIMIT, asked).await.expect("the proxy is asked");
        assert!(asked.starts_with("CONNECT logs.example:443 "), "{host}: {asked}");
    }
}

#[test]
fn targets_are_hosts_with_ports() {
    for good in ["a.example:1", "10.0.0.1:65535", "[2001:db8::1]:8400", "a_b:1"] {
        assert_eq!(Target::parse(good).unwrap().to_string(), good);
    }
    for wrong in [
        "",
        "a",
        ":1",
        "a:0",
        "a:65536",
        "2001:db8::1",
        "[::1]",
        "[a]:1",
        "a b:1",
        "a\r\nX:1",
        "a/b:1",
        "u@a:1",
        "[::1:1",
        "::1]:1",
    ] {
        assert!(Target::parse(wrong).is_none(), "{wrong:?}");
    }
}
