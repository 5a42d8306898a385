//! What a manager is asked and what it answers: by gateways ([`ManagerRequest`]) and by other
//! managers ([`PeerRequest`]). The transport carries these bytes and knows nothing else.

use keysherd_base::{SecretBytes, Timestamp, Uid};
use keysherd_crypto::sign::Signature;

use crate::bundle::succession::SignedBundle;
use crate::checkpoint::PROOF_ENTRIES_MAX;
use crate::derive::{CHECKPOINT_BYTES_MAX, DeriveAnswer};
use crate::encoding::{Encoding, MESSAGE_BYTES_MAX, Reader, Signed, SignedBy, Writer};
use crate::epoch::SignedRecord;
use crate::keygen::{Exchange, Proposal};
use crate::manager_set::ManagerIndex;
use crate::manifest::{KeyVersion, MANIFEST_BYTES_MAX, SignedManifest};
use crate::order::{KeyReport, REPORTS_MAX};
use crate::refresh::{REFRESH_KEYS_MAX, RefreshCall};
use crate::refusal::Refusal;

mod peer;
#[cfg(test)]
mod tests;

pub use peer::{KeyEpoch, PEER_KEYS_MAX, PeerAnswer, PeerRequest, Prepared};

/// A derivation: permit, request, and the cluster's endorsement of a gateway that is not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeriveCall {
    /// The permit.
    pub permit: Signed,
    /// The request.
    pub request: SignedBy,
    /// The endorsement, where the bundle does not list the gateway itself.
    pub endorsement: Option<Signed>,
}

/// The first message of a generation; the parts are those of a derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateCall {
    /// The permit, with op `Generate`.
    pub permit: Signed,
    /// The signed [`GenerateRequest`](crate::keygen::GenerateRequest).
    pub request: SignedBy,
    /// The endorsement, where the bundle does not list the gateway itself.
    pub endorsement: Option<Signed>,
}

/// What a gateway asks a manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagerRequest {
    /// Derive. Answered by [`ManagerAnswer::Derived`].
    Derive(DeriveCall),
    /// Begin a generation. Answered by [`ManagerAnswer::Round1`].
    GenerateBegin(GenerateCall),
    /// All round-1 statements. Answered by [`ManagerAnswer::Exchanged`] once every peer has this
    /// manager's deal.
    GenerateExchange(Exchange),
    /// Ask for the proposal. Answered by [`ManagerAnswer::Proposal`].
    GenerateCollect {
        /// The run.
        session: Uid,
    },
    /// Sign the manifest. Answered by [`ManagerAnswer::ManifestSignature`].
    GenerateSign {
        /// The run.
        session: Uid,
        /// The manifest's bytes.
        manifest: Vec<u8>,
    },
    /// The manifest of a fresh key version with the signatures of all its managers, which is what
    /// makes the version usable: the manager keeps it for good. Answered by
    /// [`ManagerAnswer::KeyCompleted`].
    CompleteKey(SignedManifest),
    /// Say how you are. Answered by [`ManagerAnswer::Status`].
    Status,
    /// A trust bundle to pin, relayed. Answered by [`ManagerAnswer::BundlePinned`].
    Bundle(SignedBundle),
    /// Say which epoch a key version is at. Answered by [`ManagerAnswer::Epoch`].
    Epoch(KeyVersion),
    /// Refresh the key versions of a permit. Answered by [`ManagerAnswer::Refreshed`].
    Refresh(RefreshCall),
    /// An order of the owner, relayed. Answered by [`ManagerAnswer::OrderTaken`].
    Order(Signed),
    /// How are these key versions? At most [`REPORTS_MAX`]. Answered by
    /// [`ManagerAnswer::KeyReports`].
    KeyReports(Vec<KeyVersion>),
    /// The hashes of the log's entries between two positions, at most
    /// [`PROOF_ENTRIES_MAX`] of them. Answered by [`ManagerAnswer::LogProof`].
    LogProof {
        /// How many entries come before the first of them.
        from: u64,
        /// How many come before the end of the last.
        to: u64,
    },
}

/// How a manager is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its index.
    pub manager: ManagerIndex,
    /// The trust bundle it holds.
    pub bundle_version: u64,
    /// How many key versions it holds.
    pub key_versions: u64,
    /// The head of its log; opaque here.
    pub checkpoint: Vec<u8>,
}

/// What a manager answers.
#[derive(Debug)]
pub enum ManagerAnswer {
    /// To `Derive`.
    Derived(DeriveAnswer),
    /// To `GenerateBegin`: a signed [`Round1`](crate::keygen::Round1).
    Round1(Signed),
    /// To `GenerateExchange`.
    Exchanged,
    /// To `GenerateCollect`.
    Proposal(Proposal),
    /// To `GenerateSign`.
    ManifestSignature(Signature),
    /// To `CompleteKey`.
    KeyCompleted,
    /// To `Status`.
    Status(Status),
    /// To `Bundle`: the version it holds now.
    BundlePinned {
        /// The version.
        version: u64,
    },
    /// To `Epoch`: the record of the epoch; `None` at epoch 0, which the manifest describes.
    Epoch(Option<SignedRecord>),
    /// To `Refresh`: the records of the new epochs.
    Refreshed(Vec<SignedRecord>),
    /// To `Order`: it is obeyed, now or before.
    OrderTaken {
        /// The order.
        order_id: Uid,
        /// When what it destroys is erased, by the manager's clock.
        destroy_at: Option<Timestamp>,
    },
    /// To `KeyReports`: one for each, in the order of the question.
    KeyReports(Vec<KeyReport>),
    /// To `LogProof`: the SHA-256 of each entry, one after the other.
    LogProof(Vec<u8>),
    /// To anything.
    Refused(Refusal),
}

impl Encoding for ManagerRequest {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Derive(call) => {
                let DeriveCall { permit, request, endorsement } = call;
                write_call(to, 1, permit, request, endorsement.as_ref());
            }
            Self::GenerateBegin(call) => {
                let GenerateCall { permit, request, endorsement } = call;
                write_call(to, 2, permit, request, endorsement.as_ref());
            }
            Self::GenerateExchange(exchange) => exchange.write(to.array(2).uint(3_u8)),
            Self::GenerateCollect { session } => {
                to.array(2).uint(4_u8).uid(session);
            }
            Self::GenerateSign { session, manifest } => {
                to.array(3).uint(5_u8).uid(session).bytes(manifest);
            }
            Self::CompleteKey(manifest) => manifest.write(to.array(2).uint(30_u8)),
            Self::Status => {
                to.array(1).uint(6_u8);
            }
            Self::Bundle(signed) => signed.write(to.array(2).uint(7_u8)),
            Self::Epoch(key) => key.write(to.array(2).uint(8_u8)),
            Self::Refresh(call) => {
                let RefreshCall { permit, request, endorsement } = call;
                write_call(to, 9, permit, request, endorsement.as_ref());
            }
            Self::Order(signed) => signed.write(to.array(2).uint(10_u8)),
            Self::KeyReports(keys) => {
                to.array(2).uint(11_u8).list(keys, |to, key| key.write(to));
            }
            Self::LogProof { from, to: end } => {
                to.array(3).uint(12_u8).uint(*from).uint(*end);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        Ok(match number(from)? {
            (4, 1) => {
                let (permit, request, endorsement) = read_call(from)?;
                Self::Derive(DeriveCall { permit, request, endorsement })
            }
            (4, 2) => {
                let (permit, request, endorsement) = read_call(from)?;
                Self::GenerateBegin(GenerateCall { permit, request, endorsement })
            }
            (2, 3) => Self::GenerateExchange(Exchange::read(from)?),
            (2, 4) => Self::GenerateCollect { session: from.uid()? },
            (3, 5) => Self::GenerateSign {
                session: from.uid()?,
                manifest: from.bytes(MANIFEST_BYTES_MAX)?.to_vec(),
            },
            (2, 30) => Self::CompleteKey(SignedManifest::read(from)?),
            (1, 6) => Self::Status,
            (2, 8) => Self::Epoch(KeyVersion::read(from)?),
            (4, 9) => {
                let (permit, request, endorsement) = read_call(from)?;
                Self::Refresh(RefreshCall { permit, request, endorsement })
            }
            (2, 10) => Self::Order(Signed::read(from)?),
            (2, 11) => Self::KeyReports(from.list(REPORTS_MAX, KeyVersion::read)?),
            (2, 7) => Self::Bundle(SignedBundle::read(from)?),
            (3, 12) => Self::LogProof { from: from.u64()?, to: from.u64()? },
            _ => return Err(Refusal::UnknownMessage),
        })
    }
}

impl Encoding for ManagerAnswer {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Derived(answer) => answer.write(to.array(2).uint(1_u8)),
            Self::Round1(signed) => signed.write(to.array(2).uint(2_u8)),
            Self::Exchanged => {
                to.array(1).uint(3_u8);
            }
            Self::Proposal(proposal) => proposal.write(to.array(2).uint(4_u8)),
            Self::ManifestSignature(signature) => {
                to.array(2).uint(5_u8).bytes(&signature.0);
            }
            Self::KeyCompleted => {
                to.array(1).uint(30_u8);
            }
            Self::Status(status) => {
                to.array(5).uint(6_u8).uint(status.manager.get()).uint(status.bundle_version);
                to.uint(status.key_versions).bytes(&status.checkpoint);
            }
            Self::BundlePinned { version } => {
                to.array(2).uint(7_u8).uint(*version);
            }
            Self::Epoch(record) => {
                to.array(2).uint(8_u8).list(record.as_slice(), |to, record| record.write(to));
            }
            Self::Refreshed(records) => {
                to.array(2).uint(9_u8).list(records, |to, record| record.write(to));
            }
            Self::OrderTaken { order_id, destroy_at } => {
                to.array(3).uint(10_u8).uid(order_id);
                to.array(usize::from(destroy_at.is_some()));
                if let Some(at) = destroy_at {
                    to.time(*at);
                }
            }
            Self::KeyReports(reports) => {
                to.array(2).uint(11_u8).list(reports, |to, report| report.write(to));
            }
            Self::LogProof(hashes) => {
                to.array(2).uint(12_u8).bytes(hashes);
            }
            Self::Refused(refusal) => {
                to.array(2).uint(0_u8).uint(refusal.code());
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        Ok(match number(from)? {
            (2, 0) => Self::Refused(read_refusal(from)?),
            (2, 1) => Self::Derived(DeriveAnswer::read(from)?),
            (2, 2) => Self::Round1(Signed::read(from)?),
            (1, 3) => Self::Exchanged,
            (2, 4) => Self::Proposal(Proposal::read(from)?),
            (2, 5) => Self::ManifestSignature(from.signature()?),
            (1, 30) => Self::KeyCompleted,
            (5, 6) => Self::Status(Status {
                manager: from.manager()?,
                bundle_version: from.u64()?,
                key_versions: from.u64()?,
                checkpoint: from.bytes(CHECKPOINT_BYTES_MAX)?.to_vec(),
            }),
            (2, 7) => Self::BundlePinned { version: from.u64()? },
            (2, 8) => Self::Epoch(from.list(1, SignedRecord::read)?.pop()),
            (2, 9) => Self::Refreshed(from.list(REFRESH_KEYS_MAX, SignedRecord::read)?),
            (3, 10) => Self::OrderTaken {
                order_id: from.uid()?,
                destroy_at: from.list(1, Reader::time)?.pop(),
            },
            (2, 11) => Self::KeyReports(from.list(REPORTS_MAX, KeyReport::read)?),
            (2, 12) => Self::LogProof(from.bytes(32 * PROOF_ENTRIES_MAX)?.to_vec()),
            _ => return Err(Refusal::UnknownMessage),
        })
    }
}

impl ManagerAnswer {
    /// The encoding in memory that is zeroized: a derivation's outputs are in it.
    pub fn to_secret_bytes(&self) -> SecretBytes {
        let outputs = match self {
            Self::Derived(answer) => answer.outputs.expose().len() + answer.body.len(),
            _ => 0,
        };
        let mut writer = Writer::with_capacity(outputs + 2_048);
        self.write(&mut writer);
        SecretBytes::new(writer.finish())
    }
}

/// The length of the message's array and its number.
fn number(from: &mut Reader<'_>) -> Result<(usize, u8), Refusal> {
    let length = from.length(8)?;
    Ok((length, from.u8()?))
}

fn read_refusal(from: &mut Reader<'_>) -> Result<Refusal, Refusal> {
    Refusal::from_code(from.u16()?).ok_or(Refusal::UnknownMessage)
}

fn write_call(
    to: &mut Writer,
    number: u8,
    permit: &Signed,
    request: &SignedBy,
    endorsement: Option<&Signed>,
) {
    permit.write(to.array(4).uint(number));
    request.write(to);
    to.array(usize::from(endorsement.is_some()));
    if let Some(endorsement) = endorsement {
        endorsement.write(to);
    }
}

type Call = (Signed, SignedBy, Option<Signed>);

fn read_call(from: &mut Reader<'_>) -> Result<Call, Refusal> {
    let permit = Signed::read(from)?;
    let request = SignedBy::read(from)?;
    let endorsement = from.list(1, Signed::read)?.pop();
    Ok((permit, request, endorsement))
}

const _: () = assert!(MANIFEST_BYTES_MAX < MESSAGE_BYTES_MAX);
