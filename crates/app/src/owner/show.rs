//! What there is: the owner's key, the newest bundle, and files that came from elsewhere.

use std::path::Path;

use keysherd_crypto::fingerprint::Fingerprint;
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::Bundle;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::enrollment;
use serde_json::{Value, json};

use super::changes::allowed;
use super::draft::Names;
use super::enlist::{described, read_request};
use super::home::OwnerHome;
use crate::exit::Exit;
use crate::roles::process::write_stdout;

/// Shows the owner, or the file.
pub(super) fn show(home: &OwnerHome, file: Option<&Path>, as_json: bool) -> Result<(), Exit> {
    let owner = home.public()?;
    let names = home.draft().map(|draft| draft.names()).unwrap_or_default();
    let bundle = match file {
        None => home.bundle()?,
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|error| {
                Exit::Configuration(format!("cannot read {}: {error}", path.display()))
            })?;
            let text = std::str::from_utf8(&bytes).unwrap_or_default();
            if enrollment::from_file(text).is_ok() {
                return show_request(path, as_json);
            }
            Some(home.read_bundle(&bytes, path)?)
        }
    };
    let bundle = bundle.as_ref();
    let text = match as_json {
        true => format!("{}\n", in_json(&owner, bundle.map(PinnedBundle::bundle), &names)),
        false => in_words(&owner, bundle.map(PinnedBundle::bundle), &names),
    };
    write_stdout(&text);
    Ok(())
}

fn show_request(path: &Path, as_json: bool) -> Result<(), Exit> {
    let request = read_request(path)?;
    let fingerprint = request.key.fingerprint();
    let text = match as_json {
        true => format!(
            "{}\n",
            json!({
                "request": described(&request), "name": request.name,
                "fingerprint": fingerprint.to_string(), "made_at": request.made_at.rfc3339(),
            })
        ),
        false => format!(
            "request of {}: {}\n  fingerprint {fingerprint}\n",
            request.name,
            described(&request)
        ),
    };
    write_stdout(&text);
    Ok(())
}

fn in_words(owner: &PublicKey, bundle: Option<&Bundle>, names: &Names) -> String {
    let mut text = format!("owner key     {}\n  in full     {owner}\n", owner.fingerprint());
    let Some(bundle) = bundle else {
        text.push_str("trust bundle  none was signed yet\n");
        return text;
    };
    text.push_str(&format!(
        "trust bundle  version {}, signed {}\ndeployment    {}\n",
        bundle.version, bundle.issued_at, bundle.deployment
    ));
    let at = |address: &str| match address {
        "" => String::new(),
        address => format!(" at {address}"),
    };
    for control in &bundle.controls {
        let name = names.machine(&control.tls_spki_sha256);
        text.push_str(&format!("control       {name}{}\n", at(&control.address)));
    }
    for key in &bundle.permit_keys {
        let fingerprint = key.key.fingerprint();
        text.push_str(&format!("permit key    {fingerprint} until {}\n", key.not_after));
    }
    for manager in &bundle.managers {
        let name = names.machine(&manager.tls_spki_sha256);
        text.push_str(&format!("manager {}     {name}{}\n", manager.index, at(&manager.address)));
    }
    for cluster in &bundle.clusters {
        let name = names.cluster(&cluster.id);
        let groups = cluster.groups.join(", ");
        let caps = allowed(cluster.caps);
        text.push_str(&format!("cluster       {name}: groups {groups}; {caps}\n"));
        for gateway in &cluster.instances {
            text.push_str(&format!("  gateway     {}\n", names.machine(gateway)));
        }
    }
    for group in &bundle.groups {
        let fragment = if group.fragment_required { "; customer fragment required" } else { "" };
        text.push_str(&format!(
            "group         {}: {}{fragment}\n",
            group.name,
            allowed(group.caps)
        ));
    }
    text
}

fn in_json(owner: &PublicKey, bundle: Option<&Bundle>, names: &Names) -> Value {
    let machine = |tls: &[u8; 32], address: &str| {
        json!({
            "name": names.machine(tls), "address": address,
            "fingerprint": Fingerprint::of_spki_sha256(tls).to_string(),
            "tls_spki_sha256": hex::encode(tls),
        })
    };
    let bundle = bundle.map(|bundle| {
        let controls: Vec<Value> = bundle
            .controls
            .iter()
            .map(|control| machine(&control.tls_spki_sha256, &control.address))
            .collect();
        let managers: Vec<Value> = bundle
            .managers
            .iter()
            .map(|manager| machine(&manager.tls_spki_sha256, &manager.address))
            .collect();
        let clusters: Vec<Value> = bundle
            .clusters
            .iter()
            .map(|cluster| {
                let gateways = cluster.instances.iter().map(|tls| machine(tls, ""));
                json!({
                    "name": names.cluster(&cluster.id), "groups": cluster.groups,
                    "gateways": gateways.collect::<Vec<Value>>(),
                })
            })
            .collect();
        json!({
            "version": bundle.version, "issued_at": bundle.issued_at.rfc3339(),
            "deployment": bundle.deployment.to_string(), "controls": controls,
            "managers": managers, "clusters": clusters,
        })
    });
    json!({
        "owner_key": owner.to_string(), "fingerprint": owner.fingerprint().to_string(),
        "bundle": bundle,
    })
}
