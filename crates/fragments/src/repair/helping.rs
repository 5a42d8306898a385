//! A helper's side of one repair.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::{Rng, Secret, SecretBytes};
use keysherd_crypto::hash::constant_time_eq;

use super::frost;
use super::{KeyNotes, RepairDeltas, RepairHelp, RepairParams};
use crate::epoch::SignedRecord;
use crate::manager_set::{ManagerIndex, ManagerSet};
use crate::manifest::TrustedManifest;
use crate::messages::PeerRequest;
use crate::refusal::Refusal;
use crate::share::KeyShares;

/// What a helper holds of one key version.
pub struct Held {
    /// The manifest at the current epoch.
    pub manifest: Arc<TrustedManifest>,
    /// This manager's shares of that epoch.
    pub shares: Arc<KeyShares>,
    /// What is known of the key version.
    pub notes: KeyNotes,
    /// The record of the epoch.
    pub record: Option<SignedRecord>,
}

/// The hash of the parameters a helper made its pieces for, and the pieces.
type Pieces = ([u8; 32], Vec<Secret<[u8; 32]>>);

/// A repair this manager helps with. Pieces may arrive before it knows what for.
#[derive(Default)]
pub struct Helping {
    begun: Option<(RepairParams, Vec<Held>)>,
    /// The pieces of each helper, and for which parameters it made them.
    pieces: BTreeMap<ManagerIndex, Pieces>,
}

impl Helping {
    /// Begins: splits this manager's part of each share and gives the message for each other
    /// helper. `held` has what it holds of each key of the parameters, in that order. It can be
    /// done once: other pieces for the same repair would make a wrong sum.
    ///
    /// # Errors
    /// [`Refusal::NotAllParticipants`] unless this manager helps; [`Refusal::WrongEpoch`] when it
    /// is not at the epoch of a key; [`Refusal::RefreshBusy`] the second time;
    /// [`Refusal::RandomnessFailed`].
    pub fn begin(
        &mut self,
        params: RepairParams,
        me: ManagerIndex,
        held: Vec<Held>,
        rng: &dyn Rng,
    ) -> Result<Vec<(ManagerIndex, SecretBytes)>, Refusal> {
        params.check()?;
        if !params.helpers.contains(me) {
            return Err(Refusal::NotAllParticipants);
        }
        if self.begun.is_some() {
            return Err(Refusal::RefreshBusy);
        }
        let at_epoch = held.len() == params.keys.len()
            && held.iter().zip(&params.keys).all(|(held, (key, epoch))| {
                let manifest = held.manifest.manifest();
                held.shares.key() == *key
                    && held.shares.epoch() == *epoch
                    && manifest.epoch == *epoch
                    && manifest.threshold == params.threshold
            });
        if !at_epoch {
            return Err(Refusal::WrongEpoch);
        }
        let mut split: BTreeMap<ManagerIndex, Vec<Secret<[u8; 32]>>> = BTreeMap::new();
        for held in &held {
            let (helpers, manager) = (params.helpers, params.manager);
            for (to, piece) in frost::split(&held.shares, &held.manifest, helpers, manager, rng)? {
                split.entry(to).or_default().push(piece);
            }
        }
        let params_sha256 = params.hash();
        let mut messages = Vec::with_capacity(split.len());
        for (to, deltas) in split {
            if to == me {
                self.pieces.insert(me, (params_sha256, deltas));
                continue;
            }
            let (session, manager) = (params.session, params.manager);
            let deltas = RepairDeltas { session, manager, params_sha256, from: me, to, deltas };
            messages.push((to, PeerRequest::RepairDeltas(deltas).to_secret_bytes()));
        }
        self.begun = Some((params, held));
        Ok(messages)
    }

    /// Takes the pieces of another helper, which arrived on its connection. The same twice is one.
    ///
    /// # Errors
    /// [`Refusal::DealRepeated`] for other pieces of a helper that sent some already.
    pub fn take(&mut self, deltas: RepairDeltas) -> Result<(), Refusal> {
        if let Some((sha256, taken)) = self.pieces.get(&deltas.from) {
            let same = *sha256 == deltas.params_sha256
                && taken.len() == deltas.deltas.len()
                && taken
                    .iter()
                    .zip(&deltas.deltas)
                    .all(|(a, b)| constant_time_eq(a.expose(), b.expose()));
            return if same { Ok(()) } else { Err(Refusal::DealRepeated) };
        }
        self.pieces.insert(deltas.from, (deltas.params_sha256, deltas.deltas));
        Ok(())
    }

    /// What this helper gives, once all pieces are there.
    ///
    /// # Errors
    /// [`Refusal::DealMissing`] (collect again later); [`Refusal::WrongStep`];
    /// [`Refusal::ViewsDiffer`] when helpers were given different parameters.
    pub fn help(&self) -> Result<Vec<RepairHelp>, Refusal> {
        let (params, held) = self.begun.as_ref().ok_or(Refusal::WrongStep)?;
        let hash = params.hash();
        let senders: ManagerSet = self.pieces.keys().copied().collect();
        if !params.helpers.is_within(senders) {
            return Err(Refusal::DealMissing);
        }
        let fits = self.pieces.iter().all(|(from, (sha256, pieces))| {
            params.helpers.contains(*from) && *sha256 == hash && pieces.len() == held.len()
        });
        if !fits {
            return Err(Refusal::ViewsDiffer);
        }
        let help = held.iter().enumerate().map(|(place, held)| {
            let pieces = self.pieces.values().filter_map(|(_, pieces)| pieces.get(place));
            let shared = held.shares.s().keys().filter(|(set, _)| set.contains(params.manager));
            Ok(RepairHelp {
                sigma: frost::sum(pieces)?,
                leg_s: shared.map(|(set, key)| (set, Secret::new(*key))).collect(),
                notes: held.notes.clone(),
                record: held.record.clone(),
            })
        });
        help.collect()
    }
}
