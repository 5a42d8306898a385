//! What the owner of a measured installation signs: everybody in it, without caps.

use keysherd_base::{Clock as _, SystemClock, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::{
    Bundle, Caps, Cluster, ControlEntry, KeyGroup, ManagerEntry, PermitKey,
};
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::permit::Op;

/// A process that others have to find and to recognize.
pub(super) struct Party {
    /// Its identity.
    pub(super) key: PublicKey,
    /// Host and port.
    pub(super) address: String,
}

/// Everybody.
pub(super) struct Parties<'a> {
    /// The control plane.
    pub(super) control: &'a Party,
    /// What it signs permits with.
    pub(super) permit_key: PublicKey,
    /// By ascending index from 1.
    pub(super) managers: Vec<&'a Party>,
    /// The gateways.
    pub(super) gateways: Vec<&'a Party>,
}

/// The first bundle.
///
/// # Errors
/// When there is no randomness.
pub(super) fn bundle(parties: &Parties<'_>) -> Result<Bundle, String> {
    let now = SystemClock.now();
    let id = || Uid::random(&SystemRng).map_err(|error| error.to_string());
    let caps = Caps::UNLIMITED;
    let group = "default".to_owned();
    let indices = (1..=u8::MAX).filter_map(ManagerIndex::new);
    let managers = parties.managers.iter().zip(indices).map(|(party, index)| ManagerEntry {
        index,
        key: party.key,
        tls_spki_sha256: party.key.spki_sha256(),
        former_keys: Vec::new(),
        address: party.address.clone(),
    });
    Ok(Bundle {
        deployment: id()?,
        version: 1,
        issued_at: now,
        accounts: Vec::new(),
        managers: managers.collect(),
        permit_keys: vec![PermitKey {
            key: parties.permit_key,
            not_before: now.plus_seconds(-3_600),
            not_after: now.plus_seconds(86_400),
        }],
        clusters: vec![Cluster {
            id: id()?,
            instances: parties.gateways.iter().map(|party| party.key.spki_sha256()).collect(),
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
            tls_spki_sha256: parties.control.key.spki_sha256(),
            address: parties.control.address.clone(),
        }],
    })
}
