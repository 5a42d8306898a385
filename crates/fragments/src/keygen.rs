//! Generation of a key version without a dealer (design 5.4).
//!
//! A gateway coordinates and sees public messages only; secret shares go from manager to manager.
//!
//! 1. `Begin`: the gateway sends its permit and the [`GenerateParams`] to all n managers. Each
//!    answers with its signed [`Round1`]: the commitment to its FROST polynomial.
//! 2. `Exchange`: the gateway sends all n round-1 statements to every manager. Each verifies them
//!    and sends every other manager one [`Deal`] over the managers' own link: the FROST share, and
//!    its contribution to each leg-S key that both hold. A deal names the hash of all round-1
//!    statements its sender saw, so a gateway that shows different ones is found out.
//! 3. `Collect`: with all deals there, each manager answers with its [`Proposal`].
//! 4. `Sign`: the gateway puts the manifest together; each manager compares every value with its
//!    own view and signs. A key is usable only with all n signatures.
//! 5. The self-test: two quorums derive the same key, see
//!    [`self_test`](crate::gateway_side::self_test).

use keysherd_base::{Secret, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::{PublicKey, SigningKey};

use crate::bundle::GROUP_BYTES_MAX;
use crate::encoding::{Encoding, Reader, Signed, SignedBy, Writer};
use crate::labels;
use crate::manager_set::{MANAGERS_MAX, ManagerIndex, ManagerSet, Threshold};
use crate::manifest::{KeyVersion, Manifest};
use crate::refusal::Refusal;

pub(crate) mod frost;
mod pending;
mod session;
mod sessions;

pub use pending::PendingKey;
pub use session::Session;
pub use sessions::{SESSION_SECONDS_MAX, SESSIONS_MAX, Sessions};

const FORMAT: u8 = 1;
/// The format of parameters with a check value of the customer fragment.
const FORMAT_CHECKED: u8 = 2;
/// Most leg-S keys that two managers hold together: C(5, 2) in 4-of-7, C(5, 3) in 3-of-7.
pub const SHARED_SETS_MAX: usize = 10;

/// What is to be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateParams {
    /// Random id of this run.
    pub session: Uid,
    /// The key version.
    pub key: KeyVersion,
    /// How many of how many managers shall derive.
    pub threshold: Threshold,
    /// The key group, 1 to [`GROUP_BYTES_MAX`] bytes.
    pub group: String,
    /// The customer fragment; all zero for none.
    pub fragment: Uid,
    /// The check value of that fragment, for the manifest; all zero for none.
    pub fragment_check: [u8; 16],
    /// The identity keys of managers 1 to n.
    pub managers: Vec<PublicKey>,
}

impl GenerateParams {
    /// The hash by which all messages of the run name its parameters.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[labels::GENERATION_PARAMETERS, &self.to_bytes()])
    }

    /// The manifest that these parameters and the managers' proposals make.
    ///
    /// # Errors
    /// [`Refusal::NotAllParticipants`] unless there is one proposal of each manager, by index;
    /// [`Refusal::ManifestMismatch`] when they differ.
    pub fn manifest(&self, proposals: &[Proposal]) -> Result<Manifest, Refusal> {
        let first = proposals.first().ok_or(Refusal::NotAllParticipants)?;
        if proposals.len() != usize::from(self.threshold.n()) {
            return Err(Refusal::NotAllParticipants);
        }
        let agree = proposals.iter().all(|proposal| {
            proposal.group_key == first.group_key && proposal.public_shares == first.public_shares
        });
        let mut checks = Vec::new();
        for set in self.threshold.sets() {
            let mut stated = set.iter().map(|holder| {
                let proposal = proposals.get(holder.place())?;
                let place = self.threshold.sets_of(holder).position(|other| other == set)?;
                proposal.checks.get(place).copied()
            });
            let check = stated.next().flatten().ok_or(Refusal::ManifestMismatch)?;
            if !agree || stated.any(|other| other != Some(check)) {
                return Err(Refusal::ManifestMismatch);
            }
            checks.push(check);
        }
        Ok(Manifest {
            key: self.key,
            threshold: self.threshold,
            group: self.group.clone(),
            fragment: self.fragment,
            fragment_check: self.fragment_check,
            managers: self.managers.clone(),
            group_key: first.group_key,
            public_shares: first.public_shares.clone(),
            checks,
            epoch: 0,
        })
    }
}

impl Encoding for GenerateParams {
    const BYTES_MAX: usize = 512;

    fn write(&self, to: &mut Writer) {
        let checked = self.fragment_check != [0; 16];
        if checked {
            to.array(8).uint(FORMAT_CHECKED).uid(&self.session);
        } else {
            to.array(7).uint(FORMAT).uid(&self.session);
        }
        self.key.write(to);
        to.threshold(self.threshold).text(&self.group).uid(&self.fragment);
        to.list(&self.managers, |to, key| {
            to.bytes(&key.0);
        });
        if checked {
            to.bytes(&self.fragment_check);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        let checked = from.array_either(7, 8)?;
        if from.u8()? != if checked { FORMAT_CHECKED } else { FORMAT } {
            return Err(Refusal::Malformed);
        }
        let mut params = Self {
            session: from.uid()?,
            key: KeyVersion::read(from)?,
            threshold: from.threshold()?,
            group: from.text(GROUP_BYTES_MAX)?.to_owned(),
            fragment: from.uid()?,
            fragment_check: [0; 16],
            managers: from.list(usize::from(MANAGERS_MAX), Reader::public_key)?,
        };
        if checked {
            params.fragment_check = from.fixed()?;
        }
        let checks_nothing = checked && params.fragment == Uid::default();
        if params.group.is_empty() || checks_nothing {
            return Err(Refusal::Malformed);
        }
        if params.managers.len() != usize::from(params.threshold.n()) {
            return Err(Refusal::NotAllParticipants);
        }
        Ok(params)
    }
}

/// What a gateway signs to begin a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateRequest {
    /// SHA-256 of the bytes of the permit, whose op is `Generate` and whose entries name the key.
    pub permit_sha256: [u8; 32],
    /// What is to be generated.
    pub params: GenerateParams,
}

impl GenerateRequest {
    /// Signs the request with the gateway instance's key.
    pub fn seal(&self, instance: &SigningKey) -> SignedBy {
        SignedBy::seal(instance, labels::SIGN_GENERATE_REQUEST, self.to_bytes())
    }
}

impl Encoding for GenerateRequest {
    const BYTES_MAX: usize = 640;

    fn write(&self, to: &mut Writer) {
        to.array(2).bytes(&self.permit_sha256);
        self.params.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(2)?;
        Ok(Self { permit_sha256: from.fixed()?, params: GenerateParams::read(from)? })
    }
}

/// What a manager says to all others in round 1; it is signed with its identity key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round1 {
    /// [`GenerateParams::hash`].
    pub params_sha256: [u8; 32],
    /// Who speaks.
    pub manager: ManagerIndex,
    /// FROST: commitments to the t coefficients of its polynomial.
    pub commitments: Vec<[u8; 32]>,
    /// FROST: proof that it knows the first coefficient.
    pub proof: [u8; 64],
}

impl Encoding for Round1 {
    const BYTES_MAX: usize = 512;

    fn write(&self, to: &mut Writer) {
        to.array(4).bytes(&self.params_sha256).uint(self.manager.get());
        to.list(&self.commitments, |to, point| {
            to.bytes(point);
        });
        to.bytes(&self.proof);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(4)?;
        Ok(Self {
            params_sha256: from.fixed()?,
            manager: from.manager()?,
            commitments: from.list(usize::from(MANAGERS_MAX), Reader::fixed)?,
            proof: from.fixed()?,
        })
    }
}

/// The round-1 statements of all n managers, by index, as the gateway passes them on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The run.
    pub session: Uid,
    /// One signed [`Round1`] of each manager.
    pub round1: Vec<Signed>,
}

impl Encoding for Exchange {
    const BYTES_MAX: usize = 8 * 640;

    fn write(&self, to: &mut Writer) {
        to.array(2).uid(&self.session);
        to.list(&self.round1, |to, signed| signed.write(to));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(2)?;
        let session = from.uid()?;
        Ok(Self { session, round1: from.list(usize::from(MANAGERS_MAX), Signed::read)? })
    }
}

/// What one manager hands to one other, over the managers' own mutually authenticated link.
#[derive(Debug)]
pub struct Deal {
    /// The run.
    pub session: Uid,
    /// The sender. The receiver checks it against the connection.
    pub from: ManagerIndex,
    /// The receiver.
    pub to: ManagerIndex,
    /// Hash of the round-1 statements the sender saw.
    pub view_sha256: [u8; 32],
    /// FROST: the sender's polynomial at the receiver's index.
    pub share: Secret<[u8; 32]>,
    /// Leg S: the sender's contribution to each key both hold, by ascending holder set.
    pub contributions: Vec<(ManagerSet, Secret<[u8; 32]>)>,
}

impl Encoding for Deal {
    const BYTES_MAX: usize = 640;

    fn write(&self, to: &mut Writer) {
        to.array(6).uid(&self.session).uint(self.from.get()).uint(self.to.get());
        to.bytes(&self.view_sha256).bytes(self.share.expose());
        to.list(&self.contributions, |to, (set, contribution)| {
            to.array(2).uint(set.bits()).bytes(contribution.expose());
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(6)?;
        Ok(Self {
            session: from.uid()?,
            from: from.manager()?,
            to: from.manager()?,
            view_sha256: from.fixed()?,
            share: from.secret_32()?,
            contributions: from.list(SHARED_SETS_MAX, |from| {
                from.array(2)?;
                let set = ManagerSet::from_bits(from.u16()?).ok_or(Refusal::Malformed)?;
                Ok((set, from.secret_32()?))
            })?,
        })
    }
}

/// What a manager computed, for the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Leg G: the public key of the whole.
    pub group_key: [u8; 32],
    /// Leg G: the public shares of managers 1 to n.
    pub public_shares: Vec<[u8; 32]>,
    /// Leg S: the check values of the keys this manager holds, by ascending holder set.
    pub checks: Vec<[u8; 16]>,
}

impl Encoding for Proposal {
    const BYTES_MAX: usize = 1_024;

    fn write(&self, to: &mut Writer) {
        to.array(3).bytes(&self.group_key);
        to.list(&self.public_shares, |to, point| {
            to.bytes(point);
        });
        to.list(&self.checks, |to, check| {
            to.bytes(check);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(3)?;
        Ok(Self {
            group_key: from.fixed()?,
            public_shares: from.list(usize::from(MANAGERS_MAX), Reader::fixed)?,
            checks: from.list(20, Reader::fixed)?,
        })
    }
}
