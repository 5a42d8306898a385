//! What counts as an address in a bundle: `host:port`, an IPv6 host in brackets.

use std::net::Ipv6Addr;

/// Longest address in bytes: the longest DNS name has 253.
pub const ADDRESS_BYTES_MAX: usize = 260;

/// Whether `text` is `host:port` with a port from 1 to 65535. The host is a DNS name, an IPv4
/// address, or an IPv6 address in brackets; nothing else can hide in it.
pub fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    // A sign or a leading zero would be a second spelling.
    let spelled = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    let port_fits = spelled && port.parse::<u16>().is_ok();
    text.len() <= ADDRESS_BYTES_MAX && port_fits && is_host(host)
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
    }
    let in_names = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    host.len() <= 253
        && host.split('.').all(|part| (1..=63).contains(&part.len()) && part.bytes().all(in_names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_a_port_are_addresses() {
        for text in ["a:1", "manager-1.example.com:8450", "10.0.0.7:65535", "[fd00::1]:443"] {
            assert!(is_address(text), "{text}");
        }
    }

    #[test]
    fn everything_else_is_none() {
        let long = format!("{}:1", ["a".repeat(63).as_str(); 5].join("."));
        let others = [
            "",
            ":1",
            "a",
            "a:",
            "a:0",
            "a:01",
            "a:+1",
            "a:65536",
            "a b:1",
            "a..b:1",
            "fd00::1:1",
            "[fd00::1]",
            "[x]:1",
            "http://a:1",
            "a/b:1",
            "a:1\n",
            "ä:1",
            &long,
        ];
        for text in others {
            assert!(!is_address(text), "{text}");
        }
    }
}
