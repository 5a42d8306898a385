//! Good headers, the beginnings of them, and everything that must not be taken for one.

use proptest::prelude::*;

use super::*;

fn v2(command: u8, family: u8, carried: &[u8]) -> Vec<u8> {
    let mut bytes = V2_START.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(carried.len()).unwrap().to_be_bytes());
    bytes.extend(carried);
    bytes
}

fn client(bytes: &[u8]) -> Option<String> {
    let header = parse_proxy_header(bytes).unwrap().unwrap();
    assert_eq!(header.length, bytes.len());
    header.client.map(|client| client.to_string())
}

const TCP4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0x01, 0xbb];

#[test]
fn both_versions_say_where_the_client_is() {
    assert_eq!(client(b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n").unwrap(), "192.0.2.1");
    assert_eq!(client(b"PROXY TCP6 2001:db8::1 ::1 4660 443\r\n").unwrap(), "2001:db8::1");
    assert_eq!(client(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n").unwrap(), "192.0.2.1");
    assert_eq!(client(b"PROXY UNKNOWN\r\n"), None);
    assert_eq!(client(b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n"), None);
    assert_eq!(client(&v2(0x21, 0x11, &TCP4)).unwrap(), "192.0.2.1");
    let mut tcp6 = [0_u8; 36];
    tcp6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
    assert_eq!(client(&v2(0x21, 0x21, &tcp6)).unwrap(), "2001:db8::7");
    // More than addresses, such as the name that a client asked for.
    let more = [&TCP4[..], &[0x02, 0, 3, b'a', b'.', b'b']].concat();
    assert_eq!(client(&v2(0x21, 0x11, &more)).unwrap(), "192.0.2.1");
    assert_eq!(client(&v2(0x20, 0x11, &TCP4)), None, "the proxy's own connection");
    assert_eq!(client(&v2(0x20, 0x00, b"")), None);
    assert_eq!(client(&v2(0x21, 0x00, b"")), None);
}

#[test]
fn what_follows_is_left_alone() {
    let header = v2(0x21, 0x11, &TCP4);
    let mut bytes = header.clone();
    bytes.extend(b"\x16\x03\x01PROXY TCP4 198.51.100.1 10.0.0.1 1 2\r\n");
    let found = parse_proxy_header(&bytes).unwrap().unwrap();
    assert_eq!((found.length, found.client), (header.len(), Some([192, 0, 2, 1].into())));
}

#[test]
fn everything_else_is_refused() {
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 120], b"\r\n"].concat();
    let huge = v2(0x21, 0x11, &[0; 4_000]);
    let wrong: [&[u8]; 21] = [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4660\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 443 1\r\n",
        b"PROXY  TCP4 192.0.2.1 10.0.0.1 4660 443\r\n",
        b"PROXY TCP4 192.0.2.1  10.0.0.1 4660 443\r\n",
        b"PROXY TCP4 2001:db8::1 10.0.0.1 4660 443\r\n",
        b"PROXY TCP6 192.0.2.1 10.0.0.1 4660 443\r\n",
        b"PROXY TCP4 192.0.2.01 10.0.0.1 4660 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 65536\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 +466 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 0466 443\r\n",
        b"PROXY TCP4 0.0.0.0 10.0.0.1 4660 443\r\n",
        b"PROXY TCP4 224.0.0.1 10.0.0.1 4660 443\r\n",
        b"PROXY UDP4 192.0.2.1 10.0.0.1 4660 443\r\n",
        b"PROXY UNKNOWNTCP4 192.0.2.1 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.\xff 10.0.0.1 4660 443\r\n",
        b"proxy TCP4 192.0.2.1 10.0.0.1 4660 443\r\n",
        &long,
        &huge,
        b"\r\n\r\n\0\r\nQUIX\n",
    ];
    for bytes in wrong {
        assert!(parse_proxy_header(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
    }
    for (command, family, carried) in [
        (0x11, 0x11, &TCP4[..]),
        (0x22, 0x11, &TCP4),
        (0x21, 0x12, &TCP4),
        (0x21, 0x31, &[0; 216]),
        (0x21, 0x11, &TCP4[..11]),
        (0x21, 0x21, &TCP4),
    ] {
        assert!(parse_proxy_header(&v2(command, family, carried)).is_err(), "{command} {family}");
    }
}

proptest! {
    #[test]
    fn no_beginning_of_a_header_is_taken_for_another(cut in 0_usize..60) {
        let line = b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n".to_vec();
        for header in [line, v2(0x21, 0x11, &TCP4)] {
            let cut = cut.min(header.len() - 1);
            prop_assert_eq!(parse_proxy_header(&header[..cut]), Ok(None));
        }
    }

    #[test]
    fn any_bytes_are_judged(mut bytes: Vec<u8>, start in 0_usize..3) {
        let start: &[u8] = [&b""[..], V1_START, V2_START][start];
        bytes.splice(0..0, start.iter().copied());
        if let Ok(Some(header)) = parse_proxy_header(&bytes) {
            prop_assert!(header.length <= bytes.len() && header.length <= PROXY_HEADER_BYTES_MAX);
        }
    }
}
