//! FROST key generation (RFC 9591's companion DKG) behind this crate's own fixed encodings.

use std::collections::BTreeMap;

use frost_ristretto255::keys::dkg::{self, round1, round2};
use frost_ristretto255::keys::{SigningShare, VerifiableSecretSharingCommitment};
use frost_ristretto255::rand_core::{CryptoRng, Error as RandError, RngCore};
use frost_ristretto255::{Error, Identifier, Signature};
use keysherd_base::{Rng, Secret};
use zeroize::Zeroizing;

use crate::leg_g::ShareG;
use crate::manager_set::{ManagerIndex, Threshold};
use crate::refusal::{Blame, Refusal};

/// What a manager keeps between rounds 1 and 2.
pub(super) struct AfterRound1(round1::SecretPackage);

/// What a manager keeps between rounds 2 and 3.
pub(super) struct AfterRound2 {
    secret: round2::SecretPackage,
    others: BTreeMap<Identifier, round1::Package>,
}

/// What a manager publishes in round 1: commitments and proof.
pub(super) type Published = (Vec<[u8; 32]>, [u8; 64]);

/// The group key and the public shares of managers 1 to n.
pub(super) type PublicPoints = ([u8; 32], Vec<[u8; 32]>);

/// What each of the other managers is to be dealt.
pub(crate) type Shares = Vec<(ManagerIndex, Secret<[u8; 32]>)>;

pub(super) fn round1(
    me: ManagerIndex,
    threshold: Threshold,
    rng: &dyn Rng,
) -> Result<(AfterRound1, Published), Refusal> {
    let mut source = Source::new(rng);
    let (n, t) = (u16::from(threshold.n()), u16::from(threshold.t()));
    let made = dkg::part1(identifier(me), n, t, &mut source);
    if source.failed {
        return Err(Refusal::RandomnessFailed);
    }
    // With a valid threshold and index nothing but randomness can go wrong.
    let (secret, package) = made.map_err(|_| Refusal::RandomnessFailed)?;
    let published = publish(&package).map_err(|_| Refusal::RandomnessFailed)?;
    Ok((AfterRound1(secret), published))
}

/// Verifies what the others published and gives the secret share for each of them.
pub(super) fn round2(
    kept: AfterRound1,
    published: &[(ManagerIndex, Published)],
) -> Result<(AfterRound2, Shares), Blame> {
    let mut others = BTreeMap::new();
    for (manager, published) in published {
        let package = read(published).map_err(|_| Blame::on(*manager, Refusal::BadRound1))?;
        others.insert(identifier(*manager), package);
    }
    let (secret, packages) =
        dkg::part2(kept.0, &others).map_err(|error| blame(&error, Refusal::BadRound1))?;
    let mut shares = Vec::with_capacity(packages.len());
    for (manager, _) in published {
        let package = packages.get(&identifier(*manager)).ok_or(Refusal::NotAllParticipants)?;
        shares.push((*manager, scalar(package.signing_share())));
    }
    Ok((AfterRound2 { secret, others }, shares))
}

/// Verifies the shares the others dealt and gives this manager's own.
pub(super) fn round3<'a>(
    me: ManagerIndex,
    threshold: Threshold,
    kept: &AfterRound2,
    dealt: impl Iterator<Item = (ManagerIndex, &'a Secret<[u8; 32]>)>,
) -> Result<(ShareG, PublicPoints), Blame> {
    let mut packages = BTreeMap::new();
    for (manager, share) in dealt {
        let share = SigningShare::deserialize(share.expose())
            .map_err(|_| Blame::on(manager, Refusal::BadDeal))?;
        packages.insert(identifier(manager), round2::Package::new(share));
    }
    let (key, public) = dkg::part3(&kept.secret, &kept.others, &packages)
        .map_err(|error| blame(&error, Refusal::BadDeal))?;
    let share = ShareG::new(me, scalar(key.signing_share()).expose())?;
    let points = threshold.managers().iter().map(|manager| {
        let point = public.verifying_shares().get(&identifier(manager))?;
        point.serialize().ok()?.try_into().ok()
    });
    let points: Option<Vec<[u8; 32]>> = points.collect();
    let group = public.verifying_key().serialize().ok().and_then(|key| key.try_into().ok());
    match (group, points) {
        (Some(group), Some(points)) if points.get(me.place()) == Some(share.public()) => {
            Ok((share, (group, points)))
        }
        // A sum of commitments that is the identity: the managers must draw again.
        _ => Err(Refusal::BadDeal.into()),
    }
}

pub(crate) fn identifier(manager: ManagerIndex) -> Identifier {
    Identifier::try_from(u16::from(manager.get())).expect("invariant: an index is not zero")
}

pub(crate) fn scalar(share: &SigningShare) -> Secret<[u8; 32]> {
    let bytes = Zeroizing::new(share.serialize());
    let mut secret = Secret::new([0; 32]);
    secret.expose_mut().copy_from_slice(&bytes);
    secret
}

fn publish(package: &round1::Package) -> Result<Published, Error> {
    let commitments = package
        .commitment()
        .serialize()?
        .into_iter()
        .map(|point| point.try_into().map_err(|_| Error::SerializationError));
    let proof = package.proof_of_knowledge().serialize()?;
    let proof = proof.try_into().map_err(|_| Error::SerializationError)?;
    Ok((commitments.collect::<Result<_, _>>()?, proof))
}

fn read((commitments, proof): &Published) -> Result<round1::Package, Error> {
    let commitment = VerifiableSecretSharingCommitment::deserialize(commitments)?;
    Ok(round1::Package::new(commitment, Signature::deserialize(proof)?))
}

pub(crate) fn blame(error: &Error, refusal: Refusal) -> Blame {
    let guilty = error.culprits().first().copied();
    let culprit = (1..).map_while(ManagerIndex::new).find(|m| Some(identifier(*m)) == guilty);
    Blame { refusal, culprit }
}

/// The handed-in random source in the shape FROST wants. FROST cannot be told of a failure, so it
/// is remembered and the result thrown away.
pub(crate) struct Source<'a> {
    rng: &'a dyn Rng,
    failed: bool,
}

impl<'a> Source<'a> {
    pub(crate) const fn new(rng: &'a dyn Rng) -> Self {
        Self { rng, failed: false }
    }

    /// Whether the source failed: what was made of it must not be used.
    pub(crate) const fn failed(&self) -> bool {
        self.failed
    }
}

impl RngCore for Source<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        if self.rng.fill(dest).is_err() {
            self.failed = true;
            // FROST draws again as long as it gets zeros; anything else ends it.
            dest.fill(1);
        }
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), RandError> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Source<'_> {}
