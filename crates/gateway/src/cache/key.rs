//! What tells one call from another: everything that its decision may depend on.

use std::net::IpAddr;

use keysherd_crypto::hash::sha256;
use keysherd_plane::Caller;
use keysherd_plane::grants::{ItemRef, VersionWish};

const LABEL: &[u8] = b"KSG1/read\0";

/// The place of a call in the cache; `None` without a token, and for what is not a secret. The
/// token is in it as a hash only.
pub(super) fn of(caller: &Caller, items: &[ItemRef], version: VersionWish) -> Option<[u8; 32]> {
    let token = caller.token.as_deref()?;
    let mut parts = Parts(Vec::with_capacity(128 + items.len() * 48));
    parts.put(&sha256(&[token.as_bytes()]));
    match caller.client.address {
        IpAddr::V4(address) => parts.put(&address.octets()),
        IpAddr::V6(address) => parts.put(&address.octets()),
    }
    parts.put(caller.client.kind.as_bytes());
    parts.put(caller.command.as_bytes());
    let (kind, number) = match version {
        VersionWish::Latest => (0, 0),
        VersionWish::Exactly(number) => (1, number),
        VersionWish::Last(count) => (2, count),
    };
    parts.put(&[kind]);
    parts.put(&u32::to_be_bytes(number));
    for item in items {
        match item {
            ItemRef::Path(path) => parts.put_as(0, path.as_str().as_bytes()),
            ItemRef::Id(id) => parts.put_as(1, &id.0.to_be_bytes()),
            ItemRef::Display(id) => parts.put_as(2, id.as_bytes()),
            ItemRef::GatewayCluster(_) => return None,
        }
    }
    Some(sha256(&[LABEL, &parts.0]))
}

/// Texts one after the other, each with its length before it: no two lists look the same.
struct Parts(Vec<u8>);

impl Parts {
    fn put(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.0.extend_from_slice(part);
    }

    fn put_as(&mut self, kind: u8, part: &[u8]) {
        self.0.push(kind);
        self.put(part);
    }
}
