//! The trust bundle that an installation begins with.

use keysherd_base::{Clock as _, SystemClock, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::bundle::{
    Bundle, Caps, Cluster as GatewayCluster, ControlEntry, KeyGroup, ManagerEntry, PermitKey,
};
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::permit::Op;

use super::Node;

/// A bundle with everybody in it.
pub(super) fn first_bundle(control: &Node, managers: &[Node], gateway: &Node) -> Bundle {
    let now = SystemClock.now();
    let id = || Uid::random(&SystemRng).unwrap();
    let caps = Caps::UNLIMITED;
    let group = "default".to_owned();
    let manager = |(place, node): (usize, &Node)| {
        let key = node.printed_key("identity");
        ManagerEntry {
            index: ManagerIndex::new(u8::try_from(place).unwrap() + 1).unwrap(),
            key,
            tls_spki_sha256: key.spki_sha256(),
            former_keys: Vec::new(),
            address: node.seen_at(),
        }
    };
    Bundle {
        deployment: id(),
        version: 1,
        issued_at: now,
        accounts: Vec::new(),
        managers: managers.iter().enumerate().map(manager).collect(),
        permit_keys: vec![PermitKey {
            key: control.printed_key("permit key"),
            not_before: now.plus_seconds(-3_600),
            not_after: now.plus_seconds(86_400),
        }],
        clusters: vec![GatewayCluster {
            id: id(),
            instances: vec![gateway.printed_key("identity").spki_sha256()],
            cluster_key: None,
            groups: vec![group.clone()],
            fragments: Vec::new(),
            ops: Op::ALL.to_vec(),
            caps,
        }],
        groups: vec![KeyGroup { name: group, fragment_required: false, caps, key_caps: caps }],
        account_caps: caps,
        cache_ttl_seconds_max: 3_600,
        destroy_delay_seconds: 7 * 86_400,
        witnesses: Vec::new(),
        recovery_key: None,
        controls: vec![ControlEntry {
            tls_spki_sha256: control.printed_key("identity").spki_sha256(),
            address: control.seen_at(),
        }],
    }
}
