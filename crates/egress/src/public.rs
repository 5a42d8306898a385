//! Which addresses belong to the whole Internet, and to no network that one is inside of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Whether `address` is a unicast address of the Internet: none of this machine, of private
/// networks, of a link (where clouds have their metadata), of shared or reserved ranges (the IANA
/// registries of special-purpose addresses, RFC 6890), and none that stands for such a one.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// Whether `address` is another machine's: not loopback, not what stands for this machine, not a
/// link's (where clouds tell each machine what it is), no group's, and not one of this machine's
/// interfaces. Private networks are others.
pub fn is_elsewhere(address: IpAddr) -> bool {
    let apart = match address.to_canonical() {
        IpAddr::V4(v4) => is_apart_v4(v4),
        IpAddr::V6(v6) => is_apart_v6(v6),
    };
    apart && !is_own(address)
}

fn is_apart_v4(address: Ipv4Addr) -> bool {
    // What clouds answer their machines at, beside link-local addresses: Azure, Alibaba, Oracle.
    let platforms = [[168, 63, 129, 16], [100, 100, 100, 200], [192, 0, 0, 192]];
    let [a, ..] = address.octets();
    let own = a == 0 || address.is_loopback() || address.is_link_local();
    !own && a < 224 && !platforms.contains(&address.octets())
}

fn is_apart_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // Nobody, this machine, and what was meant for IPv4 addresses.
        [0, 0, 0, 0, 0, 0, ..] => false,
        // NAT64 and 6to4 lead to IPv4 addresses.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            is_apart_v4(v4(high, low))
        }
        // Amazon's and Google's metadata.
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => false,
        // Links, sites, groups.
        [first, ..] => first & 0xffc0 != 0xfe80 && first & 0xffc0 != 0xfec0 && first < 0xff00,
    }
}

/// Whether an interface of this machine has it. Nothing is sent: the system only says where from it
/// would be.
fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == address)
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        // Shared between a provider and its customers.
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments, 6to4 relays, benchmarks.
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (18..20).contains(&b))
        // Azure's platform, inside of every machine there.
        || address.octets() == [168, 63, 129, 16]
        // Multicast, reserved, broadcast.
        || a >= 224;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        // NAT64 (RFC 6052): an IPv4 address is at the end.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        // 6to4 (RFC 3056) and Teredo stand for IPv4 addresses, documentation for nothing.
        [0x2002, ..] | [0x2001, 0, ..] | [0x2001, 0xdb8, ..] | [0x3fff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_inside_are_not_public() {
        for inside in [
            "127.0.0.1",
            "127.1.2.3",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "168.63.129.16",
            "100.64.0.1",
            "100.127.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "192.88.99.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
    }

    #[test]
    fn addresses_of_this_machine_are_not_elsewhere() {
        let mut here = vec![
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
        ];
        // The address that others reach this machine at, where there is one.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
        let own = own.map(|own| own.ip().to_string()).unwrap_or_default();
        here.extend(Some(own.as_str()).filter(|own| !own.is_empty()));
        for inside in here {
            assert!(!is_elsewhere(inside.parse().unwrap()), "{inside}");
        }
        for other in [
            "10.255.254.253",
            "192.168.255.254",
            "172.31.254.253",
            "8.8.8.8",
            "fd12:3::4",
            "2a00::1",
        ] {
            assert!(is_elsewhere(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn others_are() {
        for outside in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "168.63.129.17",
            "172.15.0.1",
            "172.32.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }
}
