//! The derivation request of a gateway and the answer of a manager (design 5.8, 5.9).

use keysherd_base::{SecretBytes, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::{PublicKey, Signature, SigningKey};

use crate::dleq::Proof;
use crate::encoding::{Encoding, MESSAGE_BYTES_MAX, Reader, SignedBy, Writer};
use crate::labels;
use crate::manager_set::{ManagerIndex, ManagerSet};
use crate::permit::PERMIT_ENTRIES_MAX;
use crate::refusal::Refusal;

const FORMAT: u8 = 1;
/// Longest log checkpoint in bytes: a signed note with a few witnesses.
pub const CHECKPOINT_BYTES_MAX: usize = 1_024;

/// Whether the manager must prove that it derived with its own share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// No proof: the commitment in the ciphertext decides.
    Read = 1,
    /// With one proof per key version: nothing else decides at a write.
    Verify = 2,
}

impl Mode {
    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Read),
            2 => Some(Self::Verify),
            _ => None,
        }
    }
}

/// What a gateway asks one manager to derive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeriveRequest {
    /// SHA-256 of the permit's bytes.
    pub permit_sha256: [u8; 32],
    /// The manager that is asked.
    pub manager: ManagerIndex,
    /// Random; the same at every manager of one round.
    pub request_id: Uid,
    /// The managers that are asked in this round, for their logs.
    pub quorum: ManagerSet,
    /// Which entries of the permit, strictly ascending.
    pub entries: Vec<u16>,
    /// The epoch the gateway expects of each key version, in the order in which the versions first
    /// appear among the entries; empty when it expects none.
    pub epoch_hints: Vec<u32>,
    /// Whether proofs are wanted.
    pub mode: Mode,
}

impl DeriveRequest {
    /// Signs the request with the gateway instance's key.
    pub fn seal(&self, instance: &SigningKey) -> SignedBy {
        SignedBy::seal(instance, labels::SIGN_DERIVE_REQUEST, self.to_bytes())
    }

    /// The hash by which an answer names the request with these bytes.
    pub fn hash(bytes: &[u8]) -> [u8; 32] {
        sha256(&[bytes])
    }
}

impl Encoding for DeriveRequest {
    /// 1000 indexes of 3 bytes, 1000 hints of 5, and the head.
    const BYTES_MAX: usize = 8 * PERMIT_ENTRIES_MAX + 256;

    fn write(&self, to: &mut Writer) {
        to.array(8).uint(FORMAT).bytes(&self.permit_sha256).uint(self.manager.get());
        to.uid(&self.request_id).uint(self.quorum.bits());
        to.list(&self.entries, |to, entry| {
            to.uint(*entry);
        });
        to.list(&self.epoch_hints, |to, epoch| {
            to.uint(*epoch);
        });
        to.uint(self.mode as u8);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(8)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            permit_sha256: from.fixed()?,
            manager: from.manager()?,
            request_id: from.uid()?,
            quorum: ManagerSet::from_bits(from.u16()?).ok_or(Refusal::Malformed)?,
            entries: from.list(PERMIT_ENTRIES_MAX, Reader::u16)?,
            epoch_hints: from.list(PERMIT_ENTRIES_MAX, Reader::u32)?,
            mode: Mode::from_number(from.u8()?).ok_or(Refusal::Malformed)?,
        })
    }
}

/// What a manager says about one key version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAnswer {
    /// The epoch of the share that was used.
    pub epoch: u32,
    /// In [`Mode::Verify`]: the proof over all entries of this key version.
    pub proof: Option<Proof>,
}

/// What a manager signs. Outputs are bound by their hash, so even a leg-S value, which cannot be
/// proven, is evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerBody {
    /// SHA-256 of the request's bytes.
    pub request_sha256: [u8; 32],
    /// Who answers.
    pub manager: ManagerIndex,
    /// One for each key version, in the order in which they first appear among the entries.
    pub keys: Vec<KeyAnswer>,
    /// SHA-256 of the outputs.
    pub outputs_sha256: [u8; 32],
    /// The head of the manager's log, which already has this request; opaque here.
    pub checkpoint: Vec<u8>,
}

impl Encoding for AnswerBody {
    /// 1000 key versions of 72 bytes, the checkpoint and the head.
    const BYTES_MAX: usize = 80 * PERMIT_ENTRIES_MAX + CHECKPOINT_BYTES_MAX + 256;

    fn write(&self, to: &mut Writer) {
        to.array(6).uint(FORMAT).bytes(&self.request_sha256).uint(self.manager.get());
        to.list(&self.keys, |to, key| {
            // An absent proof is an empty one.
            to.array(2).uint(key.epoch);
            to.bytes(key.proof.as_ref().map_or(&[], |proof| proof.0.as_slice()));
        });
        to.bytes(&self.outputs_sha256).bytes(&self.checkpoint);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(6)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            request_sha256: from.fixed()?,
            manager: from.manager()?,
            keys: from.list(PERMIT_ENTRIES_MAX, KeyAnswer::read)?,
            outputs_sha256: from.fixed()?,
            checkpoint: from.bytes(CHECKPOINT_BYTES_MAX)?.to_vec(),
        })
    }
}

impl KeyAnswer {
    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(2)?;
        let epoch = from.u32()?;
        let proof = match from.bytes(64)? {
            [] => None,
            proof => Some(Proof(proof.try_into().map_err(|_| Refusal::Malformed)?)),
        };
        Ok(Self { epoch, proof })
    }
}

/// An answer as it travels. The outputs are partials of keys: whoever has those of t managers and
/// the customer fragment has the keys.
///
/// Outputs, entry by entry: the compressed point `Y_i` (32 bytes), then `s_A` (32 bytes each) of
/// every holder set the manager belongs to, by ascending set. Points are not checked here.
#[derive(Debug)]
pub struct DeriveAnswer {
    /// The bytes of [`AnswerBody`] that were signed.
    pub body: Vec<u8>,
    /// The manager's signature.
    pub signature: Signature,
    /// The outputs of all entries, in the order of the request.
    pub outputs: SecretBytes,
}

impl DeriveAnswer {
    /// Signs a body over these outputs with the manager's identity key.
    pub fn seal(identity: &SigningKey, body: &AnswerBody, outputs: SecretBytes) -> Self {
        let body = body.to_bytes();
        let signature = identity.sign(labels::SIGN_DERIVE_ANSWER, &body);
        Self { body, signature, outputs }
    }

    /// Verifies that `identity` signed this as `manager`'s answer to the request with this hash.
    ///
    /// # Errors
    /// [`Refusal::BadAnswerSignature`]; [`Refusal::AnswerMismatch`] for another request, manager
    /// or outputs; [`Refusal::Malformed`].
    pub fn verify(
        &self,
        identity: &PublicKey,
        manager: ManagerIndex,
        request_sha256: &[u8; 32],
    ) -> Result<AnswerBody, Refusal> {
        if !identity.verify(labels::SIGN_DERIVE_ANSWER, &self.body, &self.signature) {
            return Err(Refusal::BadAnswerSignature);
        }
        let body = AnswerBody::from_bytes(&self.body)?;
        let fits = body.request_sha256 == *request_sha256
            && body.manager == manager
            && body.outputs_sha256 == sha256(&[self.outputs.expose()]);
        if fits { Ok(body) } else { Err(Refusal::AnswerMismatch) }
    }
}

impl Encoding for DeriveAnswer {
    fn write(&self, to: &mut Writer) {
        to.array(3).bytes(&self.body).bytes(&self.signature.0).bytes(self.outputs.expose());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(3)?;
        Ok(Self {
            body: from.bytes(AnswerBody::BYTES_MAX)?.to_vec(),
            signature: from.signature()?,
            outputs: SecretBytes::new(from.bytes(MESSAGE_BYTES_MAX)?.to_vec()),
        })
    }
}
