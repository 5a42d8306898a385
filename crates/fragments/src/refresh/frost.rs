//! FROST's distributed refresh (version 3.0) behind this crate's own fixed encodings.
//!
//! Its zero polynomials carry no constant term, and the proof of knowledge that its packages have
//! is not looked at in a refresh: shares are verified against commitments whose constant term is
//! the identity, so nothing but zero can be dealt. The proof is therefore not sent; where a package
//! needs one, this manager's own stands in.

use std::collections::BTreeMap;

use frost_ristretto255::keys::dkg::{round1, round2};
use frost_ristretto255::keys::refresh;
use frost_ristretto255::keys::{
    KeyPackage, PublicKeyPackage, SigningShare, VerifiableSecretSharingCommitment, VerifyingShare,
};
use frost_ristretto255::{Error, Identifier, Signature, VerifyingKey};
use keysherd_base::{Rng, Secret};
use zeroize::Zeroizing;

use crate::keygen::frost::{Shares, Source, blame, identifier, scalar};
use crate::leg_g::ShareG;
use crate::manager_set::{ManagerIndex, ManagerSet, Threshold};
use crate::manifest::TrustedManifest;
use crate::refusal::{Blame, Refusal};
use crate::share::KeyShares;

/// What a manager keeps between rounds 1 and 2, for one key version.
pub(super) struct AfterRound1 {
    secret: round1::SecretPackage,
    stand_in: Signature,
}

/// What a manager keeps between rounds 2 and 3, for one key version.
pub(super) struct AfterRound2 {
    secret: round2::SecretPackage,
    others: BTreeMap<Identifier, round1::Package>,
}

/// Draws a sharing of zero and gives its commitments.
pub(super) fn round1(
    me: ManagerIndex,
    participants: ManagerSet,
    threshold: Threshold,
    rng: &dyn Rng,
) -> Result<(AfterRound1, Vec<[u8; 32]>), Refusal> {
    let mut source = Source::new(rng);
    let (n, t) = (u16::from(participants.len()), u16::from(threshold.t()));
    let made = refresh::refresh_dkg_part1(identifier(me), n, t, &mut source);
    if source.failed() {
        return Err(Refusal::RandomnessFailed);
    }
    // With a valid threshold and index nothing but randomness can go wrong.
    let (secret, package) = made.map_err(|_| Refusal::RandomnessFailed)?;
    let points = package.commitment().serialize().map_err(|_| Refusal::RandomnessFailed)?;
    let points: Result<Vec<[u8; 32]>, _> = points.into_iter().map(TryInto::try_into).collect();
    let stand_in = *package.proof_of_knowledge();
    Ok((AfterRound1 { secret, stand_in }, points.map_err(|_| Refusal::RandomnessFailed)?))
}

/// Verifies what the others published and gives the secret share for each of them.
pub(super) fn round2(
    kept: AfterRound1,
    published: &[(ManagerIndex, &[[u8; 32]])],
) -> Result<(AfterRound2, Shares), Blame> {
    let mut others = BTreeMap::new();
    for (manager, points) in published {
        let commitment = VerifiableSecretSharingCommitment::deserialize(points.iter())
            .map_err(|_| Blame::on(*manager, Refusal::BadRound1))?;
        others.insert(identifier(*manager), round1::Package::new(commitment, kept.stand_in));
    }
    let (secret, packages) = refresh::refresh_dkg_part2(kept.secret, &others)
        .map_err(|error| blame(&error, Refusal::BadRound1))?;
    let mut shares = Vec::with_capacity(packages.len());
    for (manager, _) in published {
        let package = packages.get(&identifier(*manager)).ok_or(Refusal::NotAllParticipants)?;
        shares.push((*manager, scalar(package.signing_share())));
    }
    Ok((AfterRound2 { secret, others }, shares))
}

/// Verifies the shares the others dealt, adds them to this manager's own, and gives the new share
/// and the new public shares of the participants, ascending.
pub(super) fn round3<'a>(
    kept: &AfterRound2,
    held: &KeyShares,
    manifest: &TrustedManifest,
    participants: ManagerSet,
    dealt: impl Iterator<Item = (ManagerIndex, &'a Secret<[u8; 32]>)>,
) -> Result<(ShareG, Vec<[u8; 32]>), Blame> {
    let mut packages = BTreeMap::new();
    for (manager, share) in dealt {
        let share = SigningShare::deserialize(share.expose())
            .map_err(|_| Blame::on(manager, Refusal::BadDeal))?;
        packages.insert(identifier(manager), round2::Package::new(share));
    }
    let me = held.g().manager();
    let (key, public) =
        packages_of(held, manifest, participants).map_err(|_| Blame::from(Refusal::BadRecord))?;
    let (key, public) =
        refresh::refresh_dkg_shares(&kept.secret, &kept.others, &packages, public, key)
            .map_err(|error| blame(&error, Refusal::BadDeal))?;
    let share = ShareG::new(me, scalar(key.signing_share()).expose())?;
    let points = participants.iter().map(|manager| {
        let point = public.verifying_shares().get(&identifier(manager))?;
        Some((manager, point.serialize().ok()?.try_into().ok()?))
    });
    let points: Option<Vec<(ManagerIndex, [u8; 32])>> = points.collect();
    let points = points.ok_or(Refusal::BadDeal)?;
    let own = points.iter().any(|(manager, point)| *manager == me && point == share.public());
    if !own {
        return Err(Refusal::BadDeal.into());
    }
    Ok((share, points.into_iter().map(|(_, point)| point).collect()))
}

/// This manager's share and the public shares of `managers` in the shapes FROST wants.
pub(crate) fn packages_of(
    held: &KeyShares,
    manifest: &TrustedManifest,
    managers: ManagerSet,
) -> Result<(KeyPackage, PublicKeyPackage), Error> {
    let body = manifest.manifest();
    let mut shares = BTreeMap::new();
    for manager in managers.iter() {
        let point = body.public_shares.get(manager.place()).ok_or(Error::UnknownIdentifier)?;
        shares.insert(identifier(manager), VerifyingShare::deserialize(point)?);
    }
    let group = VerifyingKey::deserialize(&body.group_key)?;
    let t = u16::from(body.threshold.t());
    let secret = Zeroizing::new(held.g().secret().to_bytes());
    let share = SigningShare::deserialize(secret.as_slice())?;
    let own = VerifyingShare::deserialize(held.g().public())?;
    let me = identifier(held.g().manager());
    let key = KeyPackage::new(me, share, own, group, t);
    Ok((key, PublicKeyPackage::new(shares, group, Some(t))))
}
