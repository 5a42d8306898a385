//! What goes past the proxy: the list that `NO_PROXY` has in most programs.

use std::net::IpAddr;

/// Most entries of a list, and the longest list in bytes.
const ENTRIES_MAX: usize = 512;
const BYTES_MAX: usize = 32 * 1024;

/// Targets that are reached without the proxy. Nobody ever asks a proxy for this machine itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    whom: Whom,
    /// `None`: any.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whom {
    Everybody,
    /// A name, and what is below it.
    Name(String),
    /// What is below a name.
    Below(String),
    Network(IpAddr, u8),
}

impl NoProxy {
    /// Reads a list with commas or spaces between its entries: `*`; `host`, which means what is
    /// below it too; `.host` or `*.host`, which means that alone; an address; a network such as
    /// `10.0.0.0/8`; each also with `:port`. Networks match targets that are given as addresses:
    /// no name is resolved for this.
    ///
    /// # Errors
    /// The entry that is none of these, to end a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("it is longer than {BYTES_MAX} bytes"));
        }
        let parts = text.split(|c: char| c == ',' || c.is_ascii_whitespace());
        let entries: Vec<_> =
            parts.filter(|part| !part.is_empty()).map(entry).collect::<Result<_, _>>()?;
        if entries.len() > ENTRIES_MAX {
            return Err(format!("it has more than {ENTRIES_MAX} entries"));
        }
        Ok(Self(entries))
    }

    /// Whether `host` (a name or an address) is reached without the proxy at `port`.
    pub fn covers(&self, host: &str, port: u16) -> bool {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        if host == "localhost"
            || host.ends_with(".localhost")
            || address.is_some_and(|address| address.is_loopback() || address.is_unspecified())
        {
            return true;
        }
        self.0.iter().any(|entry| {
            entry.port.is_none_or(|wanted| wanted == port)
                && match (&entry.whom, address) {
                    (Whom::Everybody, _) => true,
                    (Whom::Network(network, bits), Some(address)) => {
                        is_within(address, *network, *bits)
                    }
                    (Whom::Name(name), None) => host == *name || is_below(&host, name),
                    (Whom::Below(name), None) => is_below(&host, name),
                    _ => false,
                }
        })
    }
}

fn entry(text: &str) -> Result<Entry, String> {
    let wrong = || {
        let shown: String = text.chars().take(80).collect();
        format!("'{}' is no host, .suffix, address, network or *", shown.escape_default())
    };
    let (whom, port) = split_port(text).ok_or_else(wrong)?;
    if whom.starts_with('[') != whom.contains(']') {
        return Err(wrong());
    }
    let whom = if whom == "*" {
        Whom::Everybody
    } else if let Some((address, bits)) = whom.split_once('/') {
        let address: IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?;
        Whom::Network(address, bits)
    } else if let Ok(address) = whom.trim_matches(['[', ']']).parse::<IpAddr>() {
        let address = address.to_canonical();
        Whom::Network(address, if address.is_ipv4() { 32 } else { 128 })
    } else {
        let name = whom.trim_end_matches('.').to_ascii_lowercase();
        let suffix = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
        let plain = suffix.unwrap_or(&name);
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if plain.is_empty() || plain.len() > 253 || !plain.bytes().all(fits) {
            return Err(wrong());
        }
        match suffix {
            Some(suffix) => Whom::Below(suffix.to_owned()),
            None => Whom::Name(name),
        }
    };
    Ok(Entry { whom, port })
}

/// `host`, `host:port`, `[v6]:port` or a bare IPv6 address.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (whom, port) = match text.rsplit_once(':') {
        Some((whom, port)) if !whom.contains(':') || whom.ends_with(']') => (whom, port),
        _ => return Some((text, None)),
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!whom.is_empty()).then_some((whom, Some(port)))
}

fn is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    let shift = u32::from(width - bits);
    address.checked_shr(shift).unwrap_or(0) == network.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_cover_what_they_say_and_nothing_else() {
        let list = NoProxy::parse(
            "corp.example, .suffix.example *.star.example,10.1.0.0/16,192.0.2.7,\
             [2001:db8::1],fd00::/8,only.example:8443,[2001:db8::2]:8400,Upper.Example.",
        )
        .unwrap();
        for (host, port) in [
            ("corp.example", 443),
            ("CORP.example.", 443),
            ("a.b.corp.example", 443),
            ("x.suffix.example", 443),
            ("x.star.example", 443),
            ("10.1.255.3", 443),
            ("::ffff:10.1.0.1", 443),
            ("192.0.2.7", 1),
            ("2001:db8::1", 1),
            ("[2001:db8::1]", 1),
            ("fd12::1", 1),
            ("only.example", 8443),
            ("2001:db8::2", 8400),
            ("upper.example", 1),
            ("localhost", 1),
            ("x.localhost", 1),
            ("127.8.9.1", 1),
            ("::1", 1),
            ("0.0.0.0", 1),
        ] {
            assert!(list.covers(host, port), "{host}:{port}");
        }
        for (host, port) in [
            ("evilcorp.example", 443),
            ("corp.example.evil", 443),
            ("suffix.example", 443),
            ("star.example", 443),
            ("10.2.0.1", 443),
            ("192.0.2.8", 1),
            ("only.example", 443),
            ("2001:db8::2", 443),
            ("fe80::1", 1),
            ("10.1.0.1.nip.example", 443),
        ] {
            assert!(!list.covers(host, port), "{host}:{port}");
        }
        assert!(NoProxy::parse("*").unwrap().covers("anything", 1));
        assert!(NoProxy::parse("*:9").unwrap().covers("anything", 9));
        assert!(!NoProxy::parse("*:9").unwrap().covers("anything", 1));
        assert!(NoProxy::parse("0.0.0.0/0").unwrap().covers("8.8.8.8", 1));
        assert!(NoProxy::parse("::/0").unwrap().covers("2001::1", 1));
        assert_eq!(NoProxy::parse(" ,, ").unwrap(), NoProxy::default());
    }

    #[test]
    fn what_is_no_entry_is_named() {
        for wrong in [
            "10.0.0.0/33",
            "::/129",
            "host/8",
            "a b:c",
            "host:0",
            "host:99999",
            ":80",
            "ho*st",
            "http://host",
            ".",
            "*.",
            "[::1",
            "a@b",
        ] {
            assert!(NoProxy::parse(&format!("good.example,{wrong}")).is_err(), "{wrong}");
        }
        let many = vec!["a.example"; ENTRIES_MAX + 1].join(",");
        assert!(NoProxy::parse(&many).is_err());
    }
}
