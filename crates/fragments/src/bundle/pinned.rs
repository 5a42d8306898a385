//! The bundle that a manager or gateway holds: verified under the owner key it was installed with.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use keysherd_base::{Timestamp, Uid};
use keysherd_crypto::sign::{PublicKey, SigningKey};

use crate::bundle::endorsement::Endorsement;
use crate::bundle::succession::{SUCCESSIONS_MAX, SignedBundle, follow};
use crate::bundle::{Bundle, Cluster};
use crate::encoding::{Encoding, Signed};
use crate::labels;
use crate::refusal::Refusal;

impl Bundle {
    /// Signs the bundle with the owner's key.
    pub fn seal(&self, owner: &SigningKey) -> SignedBundle {
        Signed::seal(owner, labels::SIGN_BUNDLE, self.to_bytes()).into()
    }
}

/// A trust bundle whose owner signature was verified. There is no other way to one.
#[derive(Clone, Debug)]
pub struct PinnedBundle {
    owner: PublicKey,
    bundle: Bundle,
    signed: SignedBundle,
    /// The statements that lead from the key of the install to `owner`.
    verified: Vec<Signed>,
    /// Listed instance -> place of its cluster.
    instances: BTreeMap<[u8; 32], usize>,
}

impl PinnedBundle {
    /// Opens a bundle at install: `owner` is the key a person typed, mounted or compared, or one
    /// that the owner's statements lead on from.
    ///
    /// # Errors
    /// [`Refusal::BadBundleSignature`]; [`Refusal::BadSuccession`]; [`Refusal::Malformed`],
    /// [`Refusal::TooLarge`] or [`Refusal::BadBundle`] for a body that is none.
    pub fn open(owner: PublicKey, signed: impl Into<SignedBundle>) -> Result<Self, Refusal> {
        Self::open_after(Vec::new(), owner, signed.into())
    }

    /// As [`Self::open`] by one who came to `pinned` through the statements `verified`.
    fn open_after(
        mut verified: Vec<Signed>,
        pinned: PublicKey,
        mut signed: SignedBundle,
    ) -> Result<Self, Refusal> {
        let (owner, used) = follow(pinned, &signed.successions, None)?;
        if !signed.is_by(&owner) {
            return Err(Refusal::BadBundleSignature);
        }
        let bundle = Bundle::from_bytes(&signed.body)?;
        // What the owner said for another deployment leads nowhere in this one.
        follow(pinned, &signed.successions, Some(&bundle.deployment))?;
        verified.extend(used);
        // The others are for those who pinned an older key, as far as there is room: whoever relays
        // a bundle can add and leave out statements, but never those that were verified here.
        let room = SUCCESSIONS_MAX.checked_sub(verified.len()).ok_or(Refusal::BadSuccession)?;
        signed.successions.retain(|statement| !verified.contains(statement));
        signed.successions.truncate(room);
        signed.successions.extend(verified.iter().cloned());
        let instances = bundle
            .clusters
            .iter()
            .enumerate()
            .flat_map(|(place, cluster)| cluster.instances.iter().map(move |spki| (*spki, place)))
            .collect();
        Ok(Self { owner, bundle, signed, verified, instances })
    }

    /// The bundle to hold after `newer` arrived: itself again when it is the very same.
    ///
    /// # Errors
    /// As [`Self::open`]; [`Refusal::BundleOlder`]; [`Refusal::BundleForked`] for other bytes with
    /// the same version; [`Refusal::WrongDeployment`].
    pub fn accept(&self, newer: impl Into<SignedBundle>) -> Result<Self, Refusal> {
        let newer = Self::open_after(self.verified.clone(), self.owner, newer.into())?;
        if newer.bundle.deployment != self.bundle.deployment {
            return Err(Refusal::WrongDeployment);
        }
        match newer.version().cmp(&self.version()) {
            Ordering::Less => Err(Refusal::BundleOlder),
            Ordering::Equal if newer.signed.body != self.signed.body => Err(Refusal::BundleForked),
            Ordering::Equal => Ok(self.clone()),
            Ordering::Greater => Ok(newer),
        }
    }

    /// The owner's key.
    pub fn owner(&self) -> PublicKey {
        self.owner
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.bundle.version
    }

    /// The exact bytes and signature, for storing and relaying.
    pub fn signed(&self) -> &SignedBundle {
        &self.signed
    }

    /// The cluster of the gateway whose connection has this SPKI hash: listed, or endorsed by the
    /// cluster's key.
    ///
    /// # Errors
    /// [`Refusal::UnknownGateway`]; [`Refusal::BadEndorsement`] when the endorsement is not for
    /// this gateway, not valid now, or not signed by the cluster's key.
    pub fn cluster_of(
        &self,
        spki_sha256: &[u8; 32],
        endorsement: Option<&Signed>,
        now: Timestamp,
    ) -> Result<&Cluster, Refusal> {
        if let Some(place) = self.instances.get(spki_sha256) {
            return self.bundle.clusters.get(*place).ok_or(Refusal::UnknownGateway);
        }
        let endorsement = endorsement.ok_or(Refusal::UnknownGateway)?;
        // The statement says which cluster's key to verify with; nothing of it is believed before
        // that key has verified it.
        let stated = Endorsement::from_bytes(&endorsement.body)?;
        let cluster = self.cluster(&stated.cluster).ok_or(Refusal::UnknownGateway)?;
        let key = cluster.cluster_key.ok_or(Refusal::BadEndorsement)?;
        let holds = endorsement.is_by(&key, labels::SIGN_INSTANCE)
            && stated.instance_spki_sha256 == *spki_sha256
            && (stated.not_before..=stated.not_after).contains(&now);
        if holds { Ok(cluster) } else { Err(Refusal::BadEndorsement) }
    }

    /// The cluster with this id.
    pub fn cluster(&self, id: &Uid) -> Option<&Cluster> {
        self.bundle.clusters.iter().find(|cluster| cluster.id == *id)
    }

    /// The permit keys that are valid at `now`.
    pub fn permit_keys_at(&self, now: Timestamp) -> impl Iterator<Item = PublicKey> {
        let keys = self.bundle.permit_keys.iter();
        keys.filter(move |key| (key.not_before..=key.not_after).contains(&now)).map(|key| key.key)
    }
}
