//! From a bundle to the draft that says the same.

use keysherd_base::Timestamp;
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::{Bundle, Cluster, ManagerEntry, PermitKey};
use keysherd_fragments::permit::Op;

use super::read::op_name;
use super::{
    Draft, DraftCluster, DraftControl, DraftGateway, DraftGroup, DraftManager, DraftPermitKey,
    Names,
};

/// The draft that says what `bundle` says.
pub(super) fn draft_of(bundle: &Bundle, named: Option<&Names>) -> Draft {
    let named = named.cloned().unwrap_or_default();
    let name =
        |tls: &[u8; 32], otherwise: String| named.machines.get(tls).cloned().unwrap_or(otherwise);
    let controls = bundle.controls.iter().enumerate().map(|(place, control)| DraftControl {
        name: name(&control.tls_spki_sha256, format!("control-{}", place + 1)),
        address: control.address.clone(),
        tls_spki_sha256: hex::encode(control.tls_spki_sha256),
    });
    let groups = bundle.groups.iter().map(|group| DraftGroup {
        name: group.name.clone(),
        fragment_required: group.fragment_required,
        caps: group.caps.into(),
        key_caps: group.key_caps.into(),
    });
    let clusters = bundle.clusters.iter().enumerate().map(|(place, entry)| {
        let known = named.clusters.get(&entry.id).cloned();
        cluster(entry, known.unwrap_or_else(|| format!("cluster-{}", place + 1)), &name)
    });
    Draft {
        deployment: bundle.deployment.to_string(),
        accounts: bundle.accounts.iter().map(ToString::to_string).collect(),
        cache_ttl_seconds_max: bundle.cache_ttl_seconds_max,
        destroy_delay_seconds: bundle.destroy_delay_seconds,
        witnesses: texts(&bundle.witnesses),
        recovery_key: bundle.recovery_key.as_ref().map(hex::encode),
        account_caps: bundle.account_caps.into(),
        controls: controls.collect(),
        permit_keys: bundle.permit_keys.iter().map(permit_key).collect(),
        managers: bundle.managers.iter().map(|entry| manager(entry, &name)).collect(),
        groups: groups.collect(),
        clusters: clusters.collect(),
    }
}

fn manager(entry: &ManagerEntry, name: &dyn Fn(&[u8; 32], String) -> String) -> DraftManager {
    let own = entry.key.spki_sha256() == entry.tls_spki_sha256;
    DraftManager {
        index: entry.index.get(),
        name: name(&entry.tls_spki_sha256, format!("manager-{}", entry.index)),
        address: entry.address.clone(),
        key: entry.key.to_string(),
        tls_spki_sha256: (!own).then(|| hex::encode(entry.tls_spki_sha256)),
        former_keys: texts(&entry.former_keys),
    }
}

fn cluster(
    entry: &Cluster,
    cluster_name: String,
    name: &dyn Fn(&[u8; 32], String) -> String,
) -> DraftCluster {
    let gateways = entry.instances.iter().enumerate().map(|(place, tls)| DraftGateway {
        name: name(tls, format!("{cluster_name}-gateway-{}", place + 1)),
        tls_spki_sha256: hex::encode(tls),
    });
    let all = Op::ALL.iter().all(|op| entry.ops.contains(op));
    DraftCluster {
        id: entry.id.to_string(),
        groups: entry.groups.clone(),
        fragments: entry.fragments.iter().map(ToString::to_string).collect(),
        ops: match all {
            true => vec!["all".to_owned()],
            false => entry.ops.iter().map(|op| op_name(*op)).collect(),
        },
        cluster_key: entry.cluster_key.map(|key| key.to_string()),
        caps: entry.caps.into(),
        gateways: gateways.collect(),
        name: cluster_name,
    }
}

/// A permit key.
pub(in crate::owner) fn permit_key(entry: &PermitKey) -> DraftPermitKey {
    DraftPermitKey {
        key: entry.key.to_string(),
        not_before: time(entry.not_before),
        not_after: time(entry.not_after),
    }
}

/// RFC 3339 with the milliseconds, where there are any: nothing is lost on the way back.
fn time(at: Timestamp) -> String {
    let text = at.rfc3339();
    match at.0.rem_euclid(1_000) {
        0 => text,
        ms => format!("{}.{ms:03}Z", text.trim_end_matches('Z')),
    }
}

fn texts(keys: &[PublicKey]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}
