//! A key version that a manager made and whose manifest is not signed by all yet.

use keysherd_crypto::sign::{Signature, SigningKey};

use super::{GenerateParams, Proposal};
use crate::encoding::Encoding;
use crate::labels;
use crate::manifest::{Manifest, TrustedManifest};
use crate::refusal::Refusal;
use crate::share::KeyShares;

/// One manager's fragments of a fresh key version. Store them durably before signing.
pub struct PendingKey {
    pub(super) params: GenerateParams,
    pub(super) shares: KeyShares,
    pub(super) proposal: Proposal,
}

impl PendingKey {
    /// What was generated.
    pub fn params(&self) -> &GenerateParams {
        &self.params
    }

    /// What this manager proposes for the manifest.
    pub fn proposal(&self) -> &Proposal {
        &self.proposal
    }

    /// The fragments.
    pub fn shares(&self) -> &KeyShares {
        &self.shares
    }

    /// Compares every value of a manifest with this manager's own view.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::BadManifest`], [`Refusal::BadPoint`];
    /// [`Refusal::ManifestMismatch`].
    pub fn check_manifest(&self, body: &[u8]) -> Result<Manifest, Refusal> {
        let trusted = TrustedManifest::new(Manifest::from_bytes(body)?)?;
        let manifest = trusted.manifest();
        let threshold = self.params.threshold;
        let sets = threshold.sets_of(self.shares.g().manager());
        let own_checks = sets.zip(&self.proposal.checks);
        let agrees = manifest.key == self.params.key
            && manifest.threshold == threshold
            && manifest.group == self.params.group
            && manifest.fragment == self.params.fragment
            && manifest.fragment_check == self.params.fragment_check
            && manifest.managers == self.params.managers
            && manifest.group_key == self.proposal.group_key
            && manifest.public_shares == self.proposal.public_shares
            && manifest.epoch == 0
            && { own_checks }.all(|(set, check)| manifest.check_of(set) == Some(check));
        if agrees { Ok(manifest.clone()) } else { Err(Refusal::ManifestMismatch) }
    }

    /// Signs a manifest that agrees with this manager's view. The fragments must be durable first:
    /// with all signatures the key is in use.
    ///
    /// # Errors
    /// As [`Self::check_manifest`].
    pub fn sign(&self, body: &[u8], identity: &SigningKey) -> Result<Signature, Refusal> {
        self.check_manifest(body)?;
        Ok(identity.sign(labels::SIGN_MANIFEST, body))
    }
}
