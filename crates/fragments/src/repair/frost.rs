//! FROST's repairable threshold scheme (version 3.0) behind this crate's own fixed encodings.

use frost_ristretto255::Ristretto255Sha512;
use frost_ristretto255::VerifyingKey;
use frost_ristretto255::keys::PublicKeyPackage;
use frost_ristretto255::keys::repairable::{
    Delta, Sigma, repair_share_part1, repair_share_part2, repair_share_part3,
};
use keysherd_base::{Rng, Secret};
use zeroize::Zeroizing;

use crate::keygen::frost::{Shares, Source, identifier, scalar};
use crate::leg_g::ShareG;
use crate::manager_set::{ManagerIndex, ManagerSet};
use crate::manifest::TrustedManifest;
use crate::refresh::packages_of;
use crate::refusal::Refusal;
use crate::share::KeyShares;

/// A helper's part of the share of `manager`, in random pieces, one for each helper.
pub(super) fn split(
    held: &KeyShares,
    manifest: &TrustedManifest,
    helpers: ManagerSet,
    manager: ManagerIndex,
    rng: &dyn Rng,
) -> Result<Shares, Refusal> {
    let (key, _) = packages_of(held, manifest, helpers).map_err(|_| Refusal::BadRecord)?;
    let ids: Vec<_> = helpers.iter().map(identifier).collect();
    let mut source = Source::new(rng);
    let pieces =
        repair_share_part1::<Ristretto255Sha512, _>(&ids, &key, &mut source, identifier(manager));
    if source.failed() {
        return Err(Refusal::RandomnessFailed);
    }
    let pieces = pieces.map_err(|_| Refusal::NotAllParticipants)?;
    let all = helpers.iter().map(|helper| {
        let piece = pieces.get(&identifier(helper)).ok_or(Refusal::NotAllParticipants)?;
        Ok((helper, secret(&Zeroizing::new(piece.serialize()))))
    });
    all.collect()
}

/// The sum of the pieces a helper got.
pub(super) fn sum<'a>(
    pieces: impl Iterator<Item = &'a Secret<[u8; 32]>>,
) -> Result<Secret<[u8; 32]>, Refusal> {
    let pieces: Result<Vec<Delta>, _> =
        pieces.map(|piece| Delta::deserialize(piece.expose())).collect();
    let sigma = repair_share_part2(&pieces.map_err(|_| Refusal::BadRepair)?);
    Ok(secret(&Zeroizing::new(sigma.serialize())))
}

/// The share of `manager` from the helpers' sums. FROST does not verify it; the caller must.
pub(super) fn join<'a>(
    sums: impl Iterator<Item = &'a Secret<[u8; 32]>>,
    manager: ManagerIndex,
    manifest: &TrustedManifest,
) -> Result<ShareG, Refusal> {
    let sums: Result<Vec<Sigma>, _> = sums.map(|sum| Sigma::deserialize(sum.expose())).collect();
    let sums = sums.map_err(|_| Refusal::BadRepair)?;
    let body = manifest.manifest();
    let group = VerifyingKey::deserialize(&body.group_key).map_err(|_| Refusal::BadManifest)?;
    let t = u16::from(body.threshold.t());
    // Of the public key package it reads the group key and the threshold only.
    let public = PublicKeyPackage::new(std::iter::empty().collect(), group, Some(t));
    let key = repair_share_part3(&sums, identifier(manager), &public);
    let key = key.map_err(|_| Refusal::BadRepair)?;
    ShareG::new(manager, scalar(key.signing_share()).expose()).map_err(|_| Refusal::BadRepair)
}

fn secret(bytes: &[u8]) -> Secret<[u8; 32]> {
    let mut secret = Secret::new([0; 32]);
    for (to, from) in secret.expose_mut().iter_mut().zip(bytes) {
        *to = *from;
    }
    secret
}
