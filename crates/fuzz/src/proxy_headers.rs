//! What proxies say about their clients before the first byte of these.

use keysherd_http::{PROXY_HEADER_BYTES_MAX, parse_proxy_header};

/// Reads the bytes as the beginning of a connection.
///
/// A header that is taken lies within the bytes and is bounded; what follows it changes nothing, no
/// part of it is taken for the whole, and its client is an address that a client can have.
pub fn proxy_headers(data: &[u8]) {
    let Ok(Some(header)) = parse_proxy_header(data) else { return };
    assert!(header.length <= data.len() && header.length <= PROXY_HEADER_BYTES_MAX);
    let alone = &data[..header.length];
    assert_eq!(parse_proxy_header(alone), Ok(Some(header)));
    for end in 0..alone.len() {
        assert_eq!(parse_proxy_header(&alone[..end]), Ok(None), "{end} of {}", alone.len());
    }
    if let Some(client) = header.client {
        assert!(!client.is_unspecified() && !client.is_multicast(), "{client}");
        assert_eq!(client, client.to_canonical());
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
    let binary = |command: u8, family: u8, carried: &[u8]| {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(carried.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(carried);
        bytes
    };
    let with_name = [192, 0, 2, 1, 10, 0, 0, 1, 1, 2, 3, 4, 2, 0, 1, b'a'];
    vec![
        line("TCP4 192.0.2.1 10.0.0.1 4660 443"),
        line("TCP6 2001:db8::1 ::1 1 2"),
        line("UNKNOWN"),
        line("UNKNOWN ffff:: ffff:: 1 2"),
        binary(0x21, 0x11, &with_name),
        binary(0x21, 0x21, &[7; 36]),
        binary(0x20, 0, b""),
        b"\x16\x03\x01".to_vec(),
    ]
}
