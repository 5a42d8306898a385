//! The PROXY protocol, versions 1 and 2: what a proxy says, before the first byte of its client,
//! about where that client is (haproxy.org, "The PROXY protocol", sections 2.1 and 2.2).
//!
//! It is read from trusted proxies only, which must send it: a header that is sometimes there could
//! come from the client itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[cfg(test)]
mod tests;

/// Longest header that is read. Version 1 has at most 107 bytes; what version 2 carries beyond
/// addresses is passed over, and no proxy sends this much of it.
pub const PROXY_HEADER_BYTES_MAX: usize = 2_048;

const V1_START: &[u8] = b"PROXY ";
const V1_BYTES_MAX: usize = 107;
const V2_START: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEAD_BYTES: usize = 16;
const V4_BYTES: usize = 12;
const V6_BYTES: usize = 36;

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Its length in bytes.
    pub length: usize,
    /// The client; `None`: the proxy speaks for itself, as for probes.
    pub client: Option<IpAddr>,
}

/// Reads the header that `bytes` begin with; `None` when it has not arrived as a whole.
///
/// # Errors
/// What is wrong with it.
pub fn parse_proxy_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, &'static str> {
    if bytes.starts_with(V2_START) {
        return version_2(bytes);
    }
    if bytes.starts_with(V1_START) {
        return version_1(bytes);
    }
    if V2_START.starts_with(bytes) || V1_START.starts_with(bytes) {
        return Ok(None);
    }
    Err("there is no PROXY header")
}

fn version_1(bytes: &[u8]) -> Result<Option<ProxyHeader>, &'static str> {
    let longest = bytes.get(..V1_BYTES_MAX).unwrap_or(bytes);
    let Some(end) = longest.windows(2).position(|two| two == b"\r\n") else {
        return if bytes.len() < V1_BYTES_MAX { Ok(None) } else { Err("its line does not end") };
    };
    let line = longest.get(V1_START.len()..end).unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| "its line is not ASCII")?;
    let length = end + 2;
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Ok(Some(ProxyHeader { length, client: None }));
    }
    let words: Vec<&str> = line.split(' ').collect();
    let [family, client, own, client_port, own_port] = words[..] else {
        return Err("its line does not have six words");
    };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
            _ => None,
        }
    };
    let (Some(client), Some(_)) = (address(client), address(own)) else {
        return Err("its addresses are not of its family");
    };
    if !is_port(client_port) || !is_port(own_port) {
        return Err("its ports are none");
    }
    Ok(Some(ProxyHeader { length, client: Some(usable(client)?) }))
}

/// Without leading zeros, which readers disagree about.
fn is_port(text: &str) -> bool {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    plain && text.parse::<u16>().is_ok()
}

fn version_2(bytes: &[u8]) -> Result<Option<ProxyHeader>, &'static str> {
    let Some((head, rest)) = bytes.split_at_checked(V2_HEAD_BYTES) else { return Ok(None) };
    let &[.., version_and_command, family, high, low] = head else { return Ok(None) };
    let carried = usize::from(u16::from_be_bytes([high, low]));
    let length = V2_HEAD_BYTES + carried;
    if length > PROXY_HEADER_BYTES_MAX {
        return Err("it is too long");
    }
    let speaks_for_itself = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err("its version or command is not known"),
    };
    let Some(carried) = rest.get(..carried) else { return Ok(None) };
    if speaks_for_itself {
        return Ok(Some(ProxyHeader { length, client: None }));
    }
    let client: IpAddr = match family {
        0x00 => return Ok(Some(ProxyHeader { length, client: None })),
        0x11 if carried.len() >= V4_BYTES => first::<4>(carried)?.into(),
        0x21 if carried.len() >= V6_BYTES => first::<16>(carried)?.into(),
        0x11 | 0x21 => return Err("it is too short for its addresses"),
        _ => return Err("its family is not TCP over IP"),
    };
    Ok(Some(ProxyHeader { length, client: Some(usable(client)?) }))
}

fn first<const N: usize>(bytes: &[u8]) -> Result<[u8; N], &'static str> {
    bytes.first_chunk().copied().ok_or("it is too short for its addresses")
}

/// An address that a client can have.
fn usable(address: IpAddr) -> Result<IpAddr, &'static str> {
    let address = address.to_canonical();
    if address.is_unspecified() || address.is_multicast() {
        return Err("its client has no address that a client can have");
    }
    Ok(address)
}
