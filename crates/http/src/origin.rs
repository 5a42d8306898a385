//! Who calls, as far as addresses and headers tell.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName};
use keysherd_base::limits::{CLIENT_KIND_BYTES_MAX, FORWARDED_HOPS_MAX};
use keysherd_wire::headers::{CLIENT_TYPE, CLIENT_TYPE_CLI};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const KIND: HeaderName = HeaderName::from_static(CLIENT_TYPE);

/// Who is at the other end of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Whether nobody else may be behind it: a proxy that could not, or would not, say for whom it
    /// speaks. What such a client says of itself must not pass for the proxy's word.
    pub(crate) alone: bool,
}

/// The address of the client behind the connection from `peer`.
///
/// `X-Forwarded-For` counts only when `trusted` says that the peer is a proxy, and then only from
/// the right: each trusted proxy vouches for the address to its left, so the right-most address
/// that is not a trusted proxy is the client. Everything further left is the client's own word.
/// When an entry is unreadable, the proxy that sent it is as far as anyone knows.
pub(crate) fn client_address(
    peer: Peer,
    headers: &HeaderMap,
    trusted: &dyn Fn(IpAddr) -> bool,
) -> IpAddr {
    let Peer { address: peer, alone } = peer;
    if alone || !headers.contains_key(FORWARDED_FOR) || !trusted(peer) {
        return peer;
    }
    let mut nearest = peer;
    let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
    for hop in hops.take(FORWARDED_HOPS_MAX) {
        let Some(address) = parse_hop(hop) else { break };
        nearest = address;
        if !trusted(address) {
            break;
        }
    }
    nearest
}

/// An address, with or without a port or brackets.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let address =
        bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|with_port| with_port.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// The kinds of client that need no text of their own.
#[derive(Debug)]
pub(crate) struct ClientKinds {
    sdk: Arc<str>,
    cli: Arc<str>,
    browser: Arc<str>,
}

impl ClientKinds {
    pub(crate) fn new() -> Self {
        Self { sdk: "sdk".into(), cli: CLIENT_TYPE_CLI.into(), browser: "browser".into() }
    }

    /// Who asks for pages.
    pub(crate) fn browser(&self) -> Arc<str> {
        self.browser.clone()
    }

    /// What kind of program calls: what it says of itself, else what its user agent tells.
    /// Official SDKs send `OpenAPI-Generator/<version>/<language>`; like everything unknown they
    /// are `sdk` (V2 reference, section 1.1).
    pub(crate) fn of(&self, headers: &HeaderMap) -> Arc<str> {
        let said = headers.get(KIND).map(|value| {
            let printable = value.as_bytes().iter().filter(|byte| byte.is_ascii_graphic());
            printable.take(CLIENT_KIND_BYTES_MAX).map(|&byte| char::from(byte)).collect::<String>()
        });
        match said.filter(|kind| !kind.is_empty()) {
            Some(kind) if *kind == *self.cli => self.cli.clone(),
            Some(kind) if *kind == *self.sdk => self.sdk.clone(),
            Some(kind) => kind.into(),
            None if is_cli(headers) => self.cli.clone(),
            None => self.sdk.clone(),
        }
    }
}

fn is_cli(headers: &HeaderMap) -> bool {
    headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"keysherd-cli/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn client(peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        let proxies = |address: IpAddr| address.to_string().starts_with("10.");
        let peer = Peer { address: peer.parse().unwrap(), alone: false };
        assert_eq!(client_address(Peer { alone: true, ..peer }, &headers, &proxies), peer.address);
        client_address(peer, &headers, &proxies).to_string()
    }

    #[test]
    fn the_header_of_a_stranger_is_ignored() {
        assert_eq!(client("203.0.113.9", &["192.0.2.1"]), "203.0.113.9");
    }

    #[test]
    fn the_right_most_untrusted_address_is_the_client() {
        assert_eq!(client("10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 192.0.2.1, 10.9.9.9"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "192.0.2.1,10.2.2.2"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["10.5.5.5, 10.6.6.6"]), "10.5.5.5");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        assert_eq!(client("10.0.0.1", &["192.0.2.1:443"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["::ffff:192.0.2.1"]), "192.0.2.1");
    }

    #[test]
    fn nothing_left_of_garbage_is_believed() {
        assert_eq!(client("10.0.0.1", &["192.0.2.1, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.1, , 10.7.7.7"]), "10.7.7.7");
        assert_eq!(client("10.0.0.1", &[""]), "10.0.0.1");
    }

    fn kind(header: Option<&str>, agent: &str) -> String {
        let mut headers = HeaderMap::new();
        if let Some(text) = header {
            headers.insert(KIND, HeaderValue::from_bytes(text.as_bytes()).unwrap());
        }
        headers.insert(USER_AGENT, HeaderValue::from_str(agent).unwrap());
        ClientKinds::new().of(&headers).to_string()
    }

    #[test]
    fn a_client_is_what_it_says_or_what_its_agent_tells() {
        assert_eq!(kind(Some("terraform"), "keysherd-cli/1"), "terraform");
        assert_eq!(kind(Some("cli"), "x"), "cli");
        assert_eq!(kind(Some(""), "keysherd-cli/1.0"), "cli");
        assert_eq!(kind(None, "OpenAPI-Generator/5.0.33/python"), "sdk");
        assert_eq!(kind(None, "curl/8"), "sdk");
        assert_eq!(kind(Some("a b\u{e9}\t;c"), ""), "ab;c");
        assert_eq!(kind(Some(&"k".repeat(100)), "").len(), 64);
    }

    proptest! {
        #[test]
        fn forwarding_is_total(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&line) {
                headers.insert(FORWARDED_FOR, value);
            }
            let peer = Peer { address: [10, 0, 0, 1].into(), alone: false };
            client_address(peer, &headers, &|_| true);
        }
    }
}
