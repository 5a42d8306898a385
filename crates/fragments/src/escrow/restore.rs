//! One manager's shares from the opened exports of t managers.

use std::collections::{BTreeMap, BTreeSet};

use curve25519_dalek::scalar::Scalar;
use keysherd_base::Secret;
use zeroize::Zeroizing;

use super::{Export, OpenedKey};
use crate::bundle::pinned::PinnedBundle;
use crate::encoding::Encoding;
use crate::interpolation;
use crate::leg_g::ShareG;
use crate::leg_s::{ShareS, check_value};
use crate::manager_set::{ManagerIndex, ManagerSet};
use crate::manifest::{KeyVersion, Manifest, TrustedManifest};
use crate::refusal::{Blame, Refusal};
use crate::repair::{Admitted, is_of_bundle};
use crate::share::KeyShares;

/// What exports gave.
pub struct Recovered {
    /// The shares of the wanted manager, each held against its key's manifest.
    pub admitted: Vec<Admitted>,
    /// Key versions of which too few exports are at one epoch, or that cannot be restored from
    /// what was exported, and why.
    pub left: Vec<(KeyVersion, Blame)>,
}

/// The shares of `manager`, of every key version that it has a part in, from `exports` that were
/// verified and the seed of the recovery key.
///
/// # Errors
/// [`Refusal::BadRecord`], with the manager, when an export was sealed to another key or does not
/// open; [`Refusal::NotAllParticipants`] for two exports of one manager.
pub fn recover(
    bundle: &PinnedBundle,
    manager: ManagerIndex,
    exports: &[Export],
    seed: &Secret<[u8; 32]>,
) -> Result<Recovered, Blame> {
    let mut opened: BTreeMap<KeyVersion, Vec<(ManagerIndex, OpenedKey)>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for export in exports {
        if !seen.insert(export.manager) {
            return Err(Blame::on(export.manager, Refusal::NotAllParticipants));
        }
        for exported in &export.keys {
            let key = export.open_key(exported, seed);
            let key = key.map_err(|refusal| Blame::on(export.manager, refusal))?;
            opened.entry(exported.key).or_default().push((export.manager, key));
        }
    }
    let mut recovered = Recovered { admitted: Vec::new(), left: Vec::new() };
    for (key, held) in opened {
        match of_key(bundle, manager, &held) {
            Ok(Some(admitted)) => recovered.admitted.push(admitted),
            Ok(None) => {}
            Err(blame) => recovered.left.push((key, blame)),
        }
    }
    Ok(recovered)
}

/// `None` when the manager has no part in the key.
fn of_key(
    bundle: &PinnedBundle,
    me: ManagerIndex,
    held: &[(ManagerIndex, OpenedKey)],
) -> Result<Option<Admitted>, Blame> {
    let newest = held.iter().map(|(_, opened)| opened.shares.epoch()).max().unwrap_or(0);
    // Shares of different epochs do not combine.
    let mut held: Vec<_> =
        held.iter().filter(|(_, opened)| opened.shares.epoch() == newest).collect();
    held.sort_by_key(|(manager, _)| *manager);
    let (_, first) = held.first().ok_or(Refusal::NotEnoughManagers)?;
    let threshold = first.shares.threshold();
    if !threshold.managers().contains(me) {
        return Ok(None);
    }
    if held.len() < usize::from(threshold.t()) {
        return Err(Refusal::NotEnoughManagers.into());
    }
    held.truncate(usize::from(threshold.t()));
    let manifest = trusted(bundle, &held)?;
    let share = share_of(me, &manifest, &held)?;
    let leg_s = leg_s_of(me, &manifest, &held)?;
    let key = manifest.manifest().key;
    Ok(Some(Admitted {
        shares: KeyShares::new(key, threshold, newest, share, leg_s),
        notes: first.notes.clone(),
        record: first.record.clone(),
    }))
}

/// The manifest that all t of them keep: one that tells the truth is among them.
fn trusted(
    bundle: &PinnedBundle,
    held: &[&(ManagerIndex, OpenedKey)],
) -> Result<TrustedManifest, Blame> {
    let (_, first) = held.first().ok_or(Refusal::NotEnoughManagers)?;
    for (manager, opened) in held {
        if opened.notes.manifest != first.notes.manifest {
            return Err(Blame::on(*manager, Refusal::ManifestMismatch));
        }
    }
    let manifest = Manifest::from_bytes(&first.notes.manifest)?;
    let fits = manifest.key == first.shares.key()
        && manifest.threshold == first.shares.threshold()
        && is_of_bundle(&manifest, bundle.bundle());
    if !fits {
        return Err(Refusal::ManifestMismatch.into());
    }
    let manifest = TrustedManifest::new(manifest)?;
    let manifest = match &first.record {
        Some(record) => record.verify(bundle, &manifest)?,
        None => manifest,
    };
    if manifest.manifest().epoch != first.shares.epoch() {
        return Err(Refusal::WrongEpoch.into());
    }
    for (manager, opened) in held {
        let public = manifest.manifest().public_shares.get(manager.place());
        if public != Some(opened.shares.g().public()) {
            return Err(Blame::on(*manager, Refusal::BadRepair));
        }
    }
    Ok(manifest)
}

/// Leg G: the polynomial of t shares at the manager's place.
fn share_of(
    me: ManagerIndex,
    manifest: &TrustedManifest,
    held: &[&(ManagerIndex, OpenedKey)],
) -> Result<ShareG, Blame> {
    let set: ManagerSet = held.iter().map(|(manager, _)| *manager).collect();
    let coefficients = interpolation::coefficients_at(set, me.get());
    let mut sum = Zeroizing::new(Scalar::ZERO);
    for ((_, opened), coefficient) in held.iter().zip(coefficients) {
        *sum += coefficient * opened.shares.g().secret();
    }
    let share = ShareG::new(me, &Zeroizing::new(sum.to_bytes()))?;
    if manifest.manifest().public_shares.get(me.place()) == Some(share.public()) {
        Ok(share)
    } else {
        Err(Refusal::BadRepair.into())
    }
}

/// Leg S: each key of the manager from one of t holders; every holder set has one of them.
fn leg_s_of(
    me: ManagerIndex,
    manifest: &TrustedManifest,
    held: &[&(ManagerIndex, OpenedKey)],
) -> Result<ShareS, Blame> {
    let threshold = manifest.manifest().threshold;
    let mut keys = Vec::with_capacity(threshold.sets_held());
    for set in threshold.sets_of(me) {
        let check = manifest.manifest().check_of(set).ok_or(Refusal::BadManifest)?;
        let found = held.iter().find_map(|(_, opened)| {
            let (_, key) = opened.shares.s().keys().find(|(other, _)| *other == set)?;
            (check_value(key, set) == *check).then(|| Zeroizing::new(*key))
        });
        keys.push((set, found.ok_or(Refusal::BadRepair)?));
    }
    Ok(ShareS::new(threshold, me, keys)?)
}
