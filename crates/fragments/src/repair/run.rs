//! The side of the manager whose shares are repaired: it asks, and believes nothing it can check.

use std::collections::BTreeMap;

use keysherd_base::SecretBytes;
use zeroize::Zeroizing;

use super::frost;
use super::{KeyNotes, RepairHelp, RepairParams};
use crate::bundle::Bundle;
use crate::bundle::pinned::PinnedBundle;
use crate::encoding::Encoding;
use crate::epoch::SignedRecord;
use crate::leg_s::{ShareS, check_value};
use crate::manager_set::{ManagerIndex, ManagerSet};
use crate::manifest::{KeyVersion, Manifest, TrustedManifest};
use crate::messages::PeerRequest;
use crate::refusal::{Blame, Refusal};
use crate::share::KeyShares;

/// Repaired shares of one key version, checked.
pub struct Admitted {
    /// The shares.
    pub shares: KeyShares,
    /// What is known of the key version.
    pub notes: KeyNotes,
    /// The record of the epoch; `None` at epoch 0.
    pub record: Option<SignedRecord>,
}

/// A repair as the manager sees it whose shares are repaired.
pub struct RepairRun {
    params: RepairParams,
    help: BTreeMap<ManagerIndex, Vec<RepairHelp>>,
}

impl RepairRun {
    /// A run that has not begun.
    ///
    /// # Errors
    /// [`Refusal::NotAllParticipants`], [`Refusal::BadEntries`].
    pub fn new(params: RepairParams) -> Result<Self, Refusal> {
        params.check()?;
        Ok(Self { params, help: BTreeMap::new() })
    }

    /// The helpers.
    pub const fn helpers(&self) -> ManagerSet {
        self.params.helpers
    }

    /// The first message, the same to each helper.
    pub fn begin(&self) -> SecretBytes {
        PeerRequest::RepairBegin(self.params.clone()).to_secret_bytes()
    }

    /// The second one, when each helper has taken the first.
    pub fn collect(&self) -> SecretBytes {
        let (session, manager) = (self.params.session, self.params.manager);
        PeerRequest::RepairCollect { session, manager }.to_secret_bytes()
    }

    /// Takes what a helper answered to the second message.
    pub fn offer(&mut self, from: ManagerIndex, help: Vec<RepairHelp>) {
        if self.params.helpers.contains(from) {
            self.help.insert(from, help);
        }
    }

    /// The repaired shares, in the order of the parameters, when every one of them fits the public
    /// shares and check values of its key.
    ///
    /// # Errors
    /// [`Refusal::NotAllParticipants`] when help is missing; [`Refusal::BadRepair`], with the
    /// helper where it is known which one; [`Refusal::ManifestMismatch`] when helpers know other
    /// keys;
    /// as [`SignedRecord::verify`]. Nothing may be kept then.
    pub fn finish(&self, bundle: &PinnedBundle) -> Result<Vec<Admitted>, Blame> {
        let missing = || Blame::from(Refusal::NotAllParticipants);
        let mut admitted = Vec::with_capacity(self.params.keys.len());
        for (place, (key, epoch)) in self.params.keys.iter().enumerate() {
            let mut help = Vec::with_capacity(self.help.len());
            for helper in self.params.helpers.iter() {
                let given = self.help.get(&helper).and_then(|given| given.get(place));
                help.push((helper, given.ok_or_else(missing)?));
            }
            admitted.push(self.admit(bundle, *key, *epoch, &help)?);
        }
        Ok(admitted)
    }

    fn admit(
        &self,
        bundle: &PinnedBundle,
        key: KeyVersion,
        epoch: u32,
        help: &[(ManagerIndex, &RepairHelp)],
    ) -> Result<Admitted, Blame> {
        let (_, first) = help.first().ok_or(Refusal::NotAllParticipants)?;
        for (helper, given) in help {
            // t helpers agree, so one that tells the truth does.
            if given.notes.manifest != first.notes.manifest {
                return Err(Blame::on(*helper, Refusal::ManifestMismatch));
            }
        }
        let manifest = Manifest::from_bytes(&first.notes.manifest)?;
        if manifest.key != key || !is_of_bundle(&manifest, bundle.bundle()) {
            return Err(Refusal::ManifestMismatch.into());
        }
        let manifest = TrustedManifest::new(manifest)?;
        let manifest = match &first.record {
            Some(record) => record.verify(bundle, &manifest)?,
            None => manifest,
        };
        if manifest.manifest().epoch != epoch {
            return Err(Refusal::WrongEpoch.into());
        }
        let me = self.params.manager;
        let share = frost::join(help.iter().map(|(_, given)| &given.sigma), me, &manifest)?;
        // What FROST leaves to us: a helper that lied is seen here.
        if manifest.manifest().public_shares.get(me.place()) != Some(share.public()) {
            return Err(Refusal::BadRepair.into());
        }
        let leg_s = self.leg_s(&manifest, help)?;
        let threshold = self.params.threshold;
        Ok(Admitted {
            shares: KeyShares::new(key, threshold, epoch, share, leg_s),
            notes: first.notes.clone(),
            record: first.record.clone(),
        })
    }

    /// The leg-S keys of this manager, each from a helper whose key has the right check value.
    fn leg_s(
        &self,
        manifest: &TrustedManifest,
        help: &[(ManagerIndex, &RepairHelp)],
    ) -> Result<ShareS, Blame> {
        let (me, threshold) = (self.params.manager, self.params.threshold);
        let mut keys = Vec::with_capacity(threshold.sets_held());
        for set in threshold.sets_of(me) {
            let check = manifest.manifest().check_of(set).ok_or(Refusal::BadManifest)?;
            let mut culprit = None;
            let found = help.iter().find_map(|(helper, given)| {
                let (_, key) = given.leg_s.iter().find(|(other, _)| *other == set)?;
                let right = check_value(key.expose(), set) == *check;
                if !right {
                    culprit = Some(*helper);
                }
                right.then(|| Zeroizing::new(*key.expose()))
            });
            let refusal = Refusal::BadRepair;
            keys.push((set, found.ok_or(Blame { refusal, culprit })?));
        }
        Ok(ShareS::new(threshold, me, keys)?)
    }
}

/// Whether the manifest's managers are those of the bundle, or machines that were before.
pub(crate) fn is_of_bundle(manifest: &Manifest, bundle: &Bundle) -> bool {
    manifest
        .managers
        .iter()
        .zip(&bundle.managers)
        .all(|(key, entry)| entry.key == *key || entry.former_keys.contains(key))
        && manifest.managers.len() <= bundle.managers.len()
}
