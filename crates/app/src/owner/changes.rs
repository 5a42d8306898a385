//! What a new bundle changes, in words that a person decides by.

use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::{Bundle, Caps, Cluster, ManagerEntry, PermitKey};

use super::draft::Names;

/// Every change from `old` to `new`, one line each; empty when they say the same.
pub(super) fn changes(old: Option<&Bundle>, new: &Bundle, names: &Names) -> Vec<String> {
    let Some(old) = old else { return first(new, names) };
    let mut lines = Vec::new();
    managers(&mut lines, old, new, names);
    machines(&mut lines, "control", &controls(old), &controls(new), names);
    permit_keys(&mut lines, &old.permit_keys, &new.permit_keys);
    clusters(&mut lines, old, new, names);
    groups(&mut lines, old, new);
    caps(&mut lines, "each account", old.account_caps, new.account_caps);
    number(
        &mut lines,
        "seconds until a destruction is final",
        old.destroy_delay_seconds,
        new.destroy_delay_seconds,
    );
    number(
        &mut lines,
        "seconds a gateway may keep what it opened",
        old.cache_ttl_seconds_max,
        new.cache_ttl_seconds_max,
    );
    set(&mut lines, "account", &old.accounts, &new.accounts);
    set(&mut lines, "log witness", &old.witnesses, &new.witnesses);
    if old.accounts.is_empty() != new.accounts.is_empty() {
        let who = if new.accounts.is_empty() { "every account" } else { "the accounts above only" };
        lines.push(format!("~ permits may be for {who}"));
    }
    if old.recovery_key != new.recovery_key {
        lines.push(match (&old.recovery_key, &new.recovery_key) {
            (_, None) => "- recovery key: no manager seals its fragments any more".to_owned(),
            (None, _) => "+ recovery key: managers seal their fragments to it".to_owned(),
            _ => "~ recovery key is another one".to_owned(),
        });
    }
    if old.deployment != new.deployment {
        lines.push("~ ANOTHER DEPLOYMENT: every machine will refuse this bundle".to_owned());
    }
    lines
}

/// Everything, for a first bundle.
fn first(new: &Bundle, names: &Names) -> Vec<String> {
    let nothing = Bundle {
        managers: Vec::new(),
        controls: Vec::new(),
        permit_keys: Vec::new(),
        clusters: Vec::new(),
        groups: Vec::new(),
        accounts: Vec::new(),
        witnesses: Vec::new(),
        recovery_key: None,
        ..new.clone()
    };
    changes(Some(&nothing), new, names)
}

fn controls(bundle: &Bundle) -> Vec<([u8; 32], String)> {
    let entries = bundle.controls.iter();
    entries.map(|entry| (entry.tls_spki_sha256, entry.address.clone())).collect()
}

fn managers(lines: &mut Vec<String>, old: &Bundle, new: &Bundle, names: &Names) {
    for entry in &new.managers {
        let index = entry.index;
        let name = names.machine(&entry.tls_spki_sha256);
        match old.manager(index) {
            None => {
                lines.push(format!("+ manager {index}: {name} at {}", shown(&entry.address)));
            }
            Some(before) => manager(lines, before, entry, names),
        }
    }
    for entry in old.managers.iter().filter(|entry| new.manager(entry.index).is_none()) {
        let name = names.machine(&entry.tls_spki_sha256);
        lines.push(format!(
            "- manager {}: {name}; keys that live on it cannot be used without it for writing",
            entry.index
        ));
    }
}

fn manager(lines: &mut Vec<String>, old: &ManagerEntry, new: &ManagerEntry, names: &Names) {
    let index = new.index;
    if old.key != new.key {
        lines.push(format!(
            "~ manager {index} IS ANOTHER MACHINE: {} instead of {}",
            names.machine(&new.tls_spki_sha256),
            names.machine(&old.tls_spki_sha256)
        ));
        if !new.former_keys.contains(&old.key) {
            lines.push(format!(
                "~ manager {index}: the old machine's key is not kept, so keys it signed for \
                 cannot be used"
            ));
        }
    } else if old.tls_spki_sha256 != new.tls_spki_sha256 {
        lines.push(format!("~ manager {index}: another TLS key"));
    }
    if old.address != new.address {
        lines.push(format!(
            "~ manager {index}: at {} instead of {}",
            shown(&new.address),
            shown(&old.address)
        ));
    }
    let gone = old.former_keys.iter().any(|key| !new.former_keys.contains(key));
    if gone {
        lines.push(format!("- manager {index}: a former key is not known any more"));
    }
}

fn machines(
    lines: &mut Vec<String>,
    what: &str,
    old: &[([u8; 32], String)],
    new: &[([u8; 32], String)],
    names: &Names,
) {
    for (tls, address) in new {
        match old.iter().find(|(before, _)| before == tls) {
            None => {
                lines.push(format!("+ {what}: {} at {}", names.machine(tls), shown(address)));
            }
            Some((_, before)) if before != address => lines.push(format!(
                "~ {what} {}: at {} instead of {}",
                names.machine(tls),
                shown(address),
                shown(before)
            )),
            Some(_) => {}
        }
    }
    for (tls, _) in old.iter().filter(|(tls, _)| !new.iter().any(|(after, _)| after == tls)) {
        lines.push(format!("- {what}: {}", names.machine(tls)));
    }
}

fn permit_keys(lines: &mut Vec<String>, old: &[PermitKey], new: &[PermitKey]) {
    let said = |key: &PermitKey| {
        format!("{} from {} to {}", key.key.fingerprint(), key.not_before, key.not_after)
    };
    for key in new.iter().filter(|key| !old.contains(key)) {
        lines.push(format!("+ permit key: {}", said(key)));
    }
    for key in old.iter().filter(|key| !new.contains(key)) {
        lines.push(format!("- permit key: {}", said(key)));
    }
}

fn clusters(lines: &mut Vec<String>, old: &Bundle, new: &Bundle, names: &Names) {
    for entry in &new.clusters {
        let name = names.cluster(&entry.id);
        match old.clusters.iter().find(|before| before.id == entry.id) {
            None => {
                lines.push(format!("+ cluster {name}"));
                let nothing = Cluster {
                    id: entry.id,
                    instances: Vec::new(),
                    cluster_key: None,
                    groups: Vec::new(),
                    fragments: Vec::new(),
                    ops: Vec::new(),
                    caps: entry.caps,
                };
                cluster(lines, &name, &nothing, entry, names);
                lines.push(format!("  cluster {name} may derive {}", allowed(entry.caps)));
            }
            Some(before) => cluster(lines, &name, before, entry, names),
        }
    }
    for entry in &old.clusters {
        if !new.clusters.iter().any(|after| after.id == entry.id) {
            let count = entry.instances.len();
            let name = names.cluster(&entry.id);
            lines.push(format!("- cluster {name} with {count} gateways"));
        }
    }
}

fn cluster(lines: &mut Vec<String>, name: &str, old: &Cluster, new: &Cluster, names: &Names) {
    let listed = |cluster: &Cluster| -> Vec<([u8; 32], String)> {
        cluster.instances.iter().map(|tls| (*tls, String::new())).collect()
    };
    let (before, after) = (listed(old), listed(new));
    for (tls, _) in after.iter().filter(|entry| !before.contains(entry)) {
        lines.push(format!("+ gateway in cluster {name}: {}", names.machine(tls)));
    }
    for (tls, _) in before.iter().filter(|entry| !after.contains(entry)) {
        lines.push(format!("- gateway in cluster {name}: {}", names.machine(tls)));
    }
    set(lines, &format!("group that cluster {name} may use"), &old.groups, &new.groups);
    let what = format!("customer fragment that cluster {name} may use");
    set(lines, &what, &old.fragments, &new.fragments);
    let ops = |cluster: &Cluster| -> Vec<String> {
        cluster.ops.iter().map(|op| format!("{op:?}").to_ascii_lowercase()).collect()
    };
    set(lines, &format!("operation of cluster {name}"), &ops(old), &ops(new));
    if old.cluster_key != new.cluster_key {
        let key = new.cluster_key.as_ref().map(PublicKey::fingerprint);
        lines.push(match key {
            Some(key) => format!("~ cluster {name}: gateways endorsed by {key} are trusted"),
            None => format!("~ cluster {name}: only gateways that are listed are trusted"),
        });
    }
    caps(lines, &format!("cluster {name}"), old.caps, new.caps);
}

fn groups(lines: &mut Vec<String>, old: &Bundle, new: &Bundle) {
    for group in &new.groups {
        let name = &group.name;
        match old.group(name) {
            None => {
                let fragment =
                    if group.fragment_required { ", customer fragment required" } else { "" };
                lines.push(format!("+ group {name}: {}{fragment}", allowed(group.caps)));
            }
            Some(before) => {
                if before.fragment_required != group.fragment_required {
                    let must = if group.fragment_required { "must" } else { "NEED NOT" };
                    lines.push(format!("~ group {name}: keys {must} have a customer fragment"));
                }
                caps(lines, &format!("group {name}"), before.caps, group.caps);
                caps(lines, &format!("each key of group {name}"), before.key_caps, group.key_caps);
            }
        }
    }
    for group in old.groups.iter().filter(|group| new.group(&group.name).is_none()) {
        lines.push(format!("- group {}: its keys cannot be used any more", group.name));
    }
}

fn caps(lines: &mut Vec<String>, who: &str, old: Caps, new: Caps) {
    let pairs = [
        ("derivations per second", old.derivations_per_second, new.derivations_per_second),
        ("distinct items per hour", old.items_per_hour, new.items_per_hour),
        ("distinct items per day", old.items_per_day, new.items_per_day),
    ];
    for (what, old, new) in pairs {
        if old != new {
            let more = if new > old { " (MORE)" } else { "" };
            lines.push(format!("~ {who}: {what} {} -> {}{more}", cap(old), cap(new)));
        }
    }
}

/// Caps in words.
pub(super) fn allowed(caps: Caps) -> String {
    if caps == Caps::UNLIMITED {
        return "without limit".to_owned();
    }
    format!(
        "{} a second, {} distinct items an hour, {} a day",
        cap(caps.derivations_per_second),
        cap(caps.items_per_hour),
        cap(caps.items_per_day)
    )
}

fn cap(cap: u32) -> String {
    if cap == u32::MAX { "without limit".to_owned() } else { cap.to_string() }
}

fn number(lines: &mut Vec<String>, what: &str, old: u32, new: u32) {
    if old != new {
        lines.push(format!("~ {what}: {old} -> {new}"));
    }
}

fn set<T: PartialEq + std::fmt::Display>(
    lines: &mut Vec<String>,
    what: &str,
    old: &[T],
    new: &[T],
) {
    for added in new.iter().filter(|entry| !old.contains(entry)) {
        lines.push(format!("+ {what}: {added}"));
    }
    for gone in old.iter().filter(|entry| !new.contains(entry)) {
        lines.push(format!("- {what}: {gone}"));
    }
}

fn shown(address: &str) -> &str {
    if address.is_empty() { "an address of local configuration" } else { address }
}
