//! Machines in and out of the draft, and caps: each by one command with the file or name at hand.

use std::path::{Path, PathBuf};

use keysherd_base::{Clock as _, SystemClock, Uid};
use keysherd_crypto::fingerprint::Fingerprint;
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::PermitKey;
use keysherd_fragments::enrollment::{self, EnrolledRole, Enrollment, FILE_BYTES_MAX};

use super::draft::{Draft, DraftCaps, DraftControl, DraftGateway, DraftManager};
use crate::exit::Exit;
use crate::roles::process::write_stdout;

/// Days a control's permit key may sign. The one-machine server takes as many; a new request of
/// the same control with another key replaces it sooner.
const PERMIT_KEY_DAYS: i64 = 3_650;
/// Most managers' former keys in a draft, as in the bundle.
const FORMER_KEYS_MAX: usize = keysherd_fragments::bundle::FORMER_KEYS_MAX;

/// What `keysherd owner add` was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Add {
    /// The request files.
    pub(super) requests: Vec<PathBuf>,
    /// The cluster that gateways join.
    pub(super) cluster: Option<String>,
    /// The machine that a manager replaces.
    pub(super) replace: Option<String>,
    /// The fingerprints that the machines showed.
    pub(super) fingerprints: Vec<Fingerprint>,
}

/// Reads every request file before anything is changed.
pub(super) fn read_requests(add: &Add) -> Result<Vec<Enrollment>, Exit> {
    let requests =
        add.requests.iter().map(|path| read_request(path)).collect::<Result<Vec<_>, _>>()?;
    for request in &requests {
        let fingerprint = request.key.fingerprint();
        write_stdout(&format!(
            "request of {}: {}, made {}\n  fingerprint {fingerprint}\n",
            request.name,
            described(request),
            request.made_at
        ));
        if !add.fingerprints.is_empty() && !add.fingerprints.contains(&fingerprint) {
            return Err(Exit::Configuration(format!(
                "the request of {} is for {fingerprint}, which is none of the fingerprints you \
                 gave: it is not the machine you think, or the file was swapped",
                request.name
            )));
        }
    }
    if add.fingerprints.is_empty() {
        write_stdout("compare each fingerprint with what the machine itself shows\n");
    }
    if add.replace.is_some() && requests.len() != 1 {
        return Err(Exit::Configuration("--replace takes one request".to_owned()));
    }
    Ok(requests)
}

/// Reads one request file.
pub(super) fn read_request(path: &Path) -> Result<Enrollment, Exit> {
    let wrong = |why: String| Exit::Configuration(format!("{}: {why}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length > FILE_BYTES_MAX as u64 {
        return Err(wrong("too long for a request; give the file that enroll wrote".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    enrollment::from_file(&text).map_err(|refusal| {
        wrong(format!("{refusal}; a request is the file that enroll writes on the new machine"))
    })
}

/// Puts the machines into the draft.
pub(super) fn add(draft: &mut Draft, add: &Add, requests: &[Enrollment]) -> Result<(), Exit> {
    for request in requests {
        let known = draft.names().machine(&request.key.spki_sha256());
        let fingerprint = request.key.fingerprint().to_string();
        match request.role {
            EnrolledRole::Manager { index } => {
                manager(draft, request, index.get(), add.replace.as_deref())?;
            }
            EnrolledRole::Gateway | EnrolledRole::Control { .. } if add.replace.is_some() => {
                return Err(Exit::Configuration(
                    "--replace is for managers; remove the old machine and add the new one"
                        .to_owned(),
                ));
            }
            EnrolledRole::Gateway if known != fingerprint => {
                return Err(Exit::Configuration(format!("{known} is in the bundle already")));
            }
            EnrolledRole::Gateway => gateway(draft, request, add.cluster.as_deref())?,
            EnrolledRole::Control { permit_key } => control(draft, request, permit_key),
        }
    }
    Ok(())
}

fn manager(
    draft: &mut Draft,
    request: &Enrollment,
    index: u8,
    replace: Option<&str>,
) -> Result<(), Exit> {
    let key = request.key.to_string();
    let place = draft.managers.iter().position(|manager| manager.index == index);
    let entry = DraftManager {
        index,
        name: request.name.clone(),
        address: request.address.clone(),
        key: key.clone(),
        tls_spki_sha256: None,
        former_keys: Vec::new(),
    };
    let Some(old) = place.and_then(|place| draft.managers.get_mut(place)) else {
        if let Some(name) = replace {
            return Err(Exit::Configuration(format!(
                "--replace {name}: the request is for index {index}, which nobody has"
            )));
        }
        draft.managers.push(entry);
        draft.managers.sort_by_key(|manager| manager.index);
        return Ok(());
    };
    if old.key == key {
        // The same machine, moved or renamed.
        old.name = request.name.clone();
        old.address = request.address.clone();
        return Ok(());
    }
    match replace {
        Some(name) if name == old.name => {
            let mut former_keys = old.former_keys.clone();
            former_keys.push(old.key.clone());
            if former_keys.len() > FORMER_KEYS_MAX {
                return Err(Exit::Configuration(format!(
                    "manager {index} was replaced {FORMER_KEYS_MAX} times; that is the most"
                )));
            }
            *old = DraftManager { former_keys, ..entry };
            Ok(())
        }
        Some(name) => Err(Exit::Configuration(format!(
            "--replace {name}: the request is for index {index}, which {} has",
            old.name
        ))),
        None => Err(Exit::Configuration(format!(
            "index {index} belongs to manager {}; if the new machine takes its place: --replace {}",
            old.name, old.name
        ))),
    }
}

fn gateway(draft: &mut Draft, request: &Enrollment, cluster: Option<&str>) -> Result<(), Exit> {
    let names: Vec<String> = draft.clusters.iter().map(|cluster| cluster.name.clone()).collect();
    let found = match (cluster, draft.clusters.as_mut_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(name), clusters) => clusters.iter_mut().find(|cluster| cluster.name == name),
    };
    let Some(cluster) = found else {
        return Err(Exit::Configuration(format!(
            "say which cluster the gateway joins: --cluster, one of {}",
            names.join(", ")
        )));
    };
    cluster.gateways.push(DraftGateway {
        name: request.name.clone(),
        tls_spki_sha256: hex::encode(request.key.spki_sha256()),
    });
    Ok(())
}

fn control(draft: &mut Draft, request: &Enrollment, permit_key: PublicKey) {
    let tls = hex::encode(request.key.spki_sha256());
    let entry = DraftControl {
        name: request.name.clone(),
        address: request.address.clone(),
        tls_spki_sha256: tls.clone(),
    };
    match draft.controls.iter_mut().find(|control| control.tls_spki_sha256 == tls) {
        Some(known) => *known = entry,
        None => draft.controls.push(entry),
    }
    let text = permit_key.to_string();
    if draft.permit_keys.iter().all(|known| known.key != text) {
        let now = SystemClock.now();
        draft.permit_keys.push(super::draft::permit_key(&PermitKey {
            key: permit_key,
            not_before: now.plus_seconds(-3_600),
            not_after: now.plus_seconds(PERMIT_KEY_DAYS * 86_400),
        }));
    }
}

/// Takes machines out of the draft, by name or fingerprint.
pub(super) fn remove(draft: &mut Draft, wanted: &[String]) -> Result<(), Exit> {
    for text in wanted {
        let fingerprint: Option<Fingerprint> = text.parse().ok();
        let meant = |name: &str, tls: &str| {
            let shown = super::draft::hash(name, tls).ok();
            let shown = shown.map(|hash| Fingerprint::of_spki_sha256(&hash));
            name == text || (fingerprint.is_some() && shown == fingerprint)
        };
        let managers = draft.managers.len();
        draft.managers.retain(|manager| {
            let tls = manager.tls().map(hex::encode).unwrap_or_default();
            !meant(&manager.name, &tls)
        });
        let controls = draft.controls.len();
        draft.controls.retain(|control| !meant(&control.name, &control.tls_spki_sha256));
        let mut found = managers - draft.managers.len() + controls - draft.controls.len();
        for cluster in &mut draft.clusters {
            let before = cluster.gateways.len();
            cluster.gateways.retain(|gateway| !meant(&gateway.name, &gateway.tls_spki_sha256));
            found += before - cluster.gateways.len();
        }
        if found == 0 {
            return Err(Exit::Configuration(format!(
                "no machine is called {text}; keysherd owner show lists them"
            )));
        }
    }
    Ok(())
}

/// Whose caps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CapsOf {
    /// Each account's.
    Account,
    /// A cluster's.
    Cluster(String),
    /// A group's.
    Group(String),
    /// Those of each key of a group.
    GroupKeys(String),
}

/// Caps that were given; `Some(None)` takes one away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GivenCaps {
    pub(super) derivations_per_second: Option<Option<u32>>,
    pub(super) items_per_hour: Option<Option<u32>>,
    pub(super) items_per_day: Option<Option<u32>>,
}

/// Sets the caps that were given and leaves the others.
pub(super) fn set_caps(draft: &mut Draft, of: &CapsOf, given: GivenCaps) -> Result<(), Exit> {
    let unknown = |what: &str, name: &str, known: Vec<&str>| {
        Exit::Configuration(format!("there is no {what} {name}; there is {}", known.join(", ")))
    };
    let clusters: Vec<String> = draft.clusters.iter().map(|entry| entry.name.clone()).collect();
    let groups: Vec<String> = draft.groups.iter().map(|entry| entry.name.clone()).collect();
    let caps: &mut DraftCaps = match of {
        CapsOf::Account => &mut draft.account_caps,
        CapsOf::Cluster(name) => {
            let found = draft.clusters.iter_mut().find(|entry| entry.name == *name);
            let known = clusters.iter().map(String::as_str).collect();
            &mut found.ok_or_else(|| unknown("cluster", name, known))?.caps
        }
        CapsOf::Group(name) | CapsOf::GroupKeys(name) => {
            let found = draft.groups.iter_mut().find(|entry| entry.name == *name);
            let known = groups.iter().map(String::as_str).collect();
            let group = found.ok_or_else(|| unknown("group", name, known))?;
            if matches!(of, CapsOf::Group(_)) { &mut group.caps } else { &mut group.key_caps }
        }
    };
    let set = |cap: &mut Option<u32>, given: Option<Option<u32>>| {
        if let Some(value) = given {
            *cap = value;
        }
    };
    set(&mut caps.derivations_per_second, given.derivations_per_second);
    set(&mut caps.items_per_hour, given.items_per_hour);
    set(&mut caps.items_per_day, given.items_per_day);
    Ok(())
}

/// Lets a cluster use customer fragments.
pub(super) fn allow_fragments(
    draft: &mut Draft,
    cluster: Option<&str>,
    ids: &[Uid],
) -> Result<(), Exit> {
    let found = match (cluster, draft.clusters.as_mut_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(name), clusters) => clusters.iter_mut().find(|entry| entry.name == name),
    };
    let cluster =
        found.ok_or_else(|| Exit::Configuration("say which cluster: --cluster".to_owned()))?;
    for id in ids.iter().map(ToString::to_string) {
        if !cluster.fragments.contains(&id) {
            cluster.fragments.push(id);
        }
    }
    Ok(())
}

/// A request in a few words.
pub(super) fn described(request: &Enrollment) -> String {
    let at = match request.address.as_str() {
        "" => String::new(),
        address => format!(" at {address}"),
    };
    match request.role {
        EnrolledRole::Manager { index } => format!("fragment manager {index}{at}"),
        EnrolledRole::Gateway => "gateway".to_owned(),
        EnrolledRole::Control { permit_key } => {
            format!("control{at}, permit key {}", permit_key.fingerprint())
        }
    }
}
