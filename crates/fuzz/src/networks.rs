//! IP networks in CIDR form.

use std::net::IpAddr;

use keysherd_domain::auth_method::IpNetwork;

/// The first line is a network, the others are addresses: containment is what the bits say.
pub fn networks(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let Some(network) = lines.next().and_then(IpNetwork::parse) else { return };
    assert_eq!(IpNetwork::parse(&network.to_string()), Some(network));
    let bits_max = if network.address().is_ipv4() { 32 } else { 128 };
    assert!(network.prefix() <= bits_max);
    let addresses = lines.take(16).filter_map(|line| line.parse().ok());
    for address in addresses.chain([network.address()]) {
        assert_eq!(network.contains(address), contains(network, address), "{network} {address}");
    }
}

/// The definition: the first bits are the same, and IPv4 inside IPv6 counts as IPv4.
fn contains(network: IpNetwork, address: IpAddr) -> bool {
    let (net, address) = (bits(network.address()), bits(address.to_canonical()));
    let prefix = usize::from(network.prefix());
    net.len() == address.len() && net[..prefix] == address[..prefix]
}

fn bits(address: IpAddr) -> Vec<bool> {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "10.0.0.0/8\n10.255.0.1\n11.0.0.1\n::ffff:10.0.0.9",
        "0.0.0.0/0\n1.2.3.4\n::1",
        "::/0\n::1\n1.2.3.4",
        "2001:db8::/33\n2001:db8:8000::\n2001:db8::1",
        "192.168.1.7\n192.168.1.7",
        "10.0.0.0/32",
        "::1/128\n::1",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
