//! What a manager asks another manager, and what it answers.

use keysherd_base::{SecretBytes, Uid};
use keysherd_crypto::sign::Signature;

use super::{number, read_refusal};
use crate::encoding::{Encoding, MESSAGE_BYTES_MAX, Reader, Signed, Writer};
use crate::epoch::{RECORD_BYTES_MAX, SignedRecord};
use crate::keygen::Deal;
use crate::manager_set::{MANAGERS_MAX, ManagerIndex, Threshold};
use crate::manifest::KeyVersion;
use crate::refresh::{REFRESH_KEYS_MAX, RefreshDeal, RefreshParams};
use crate::refusal::Refusal;
use crate::repair::{REPAIR_KEYS_MAX, RepairDeltas, RepairHelp, RepairParams};

#[cfg(test)]
mod tests;

/// Most key versions of one page.
pub const PEER_KEYS_MAX: usize = 1_000;

/// What a manager asks another manager.
#[derive(Debug)]
pub enum PeerRequest {
    /// Take my deal of a generation. Answered by [`PeerAnswer::Taken`].
    Deal(Deal),
    /// Begin a refresh. Answered by [`PeerAnswer::Statement`].
    RefreshBegin(RefreshParams),
    /// All statements of a refresh. Answered by [`PeerAnswer::Taken`] once every other participant
    /// has this manager's deal.
    RefreshExchange {
        /// The run.
        session: Uid,
        /// One signed [`Statement`](crate::refresh::Statement) of each participant, ascending.
        statements: Vec<Signed>,
    },
    /// Take my deal of a refresh. Answered by [`PeerAnswer::Taken`].
    RefreshDeal(RefreshDeal),
    /// Add up the new shares. Answered by [`PeerAnswer::Statement`].
    RefreshCollect {
        /// The run.
        session: Uid,
    },
    /// Compare, keep the new shares beside the old ones, and sign. Answered by
    /// [`PeerAnswer::Prepared`].
    RefreshPrepare {
        /// The run.
        session: Uid,
        /// One signed [`Collected`](crate::refresh::Collected) of each participant, ascending.
        collected: Vec<Signed>,
    },
    /// Records that all participants signed. Answered by [`PeerAnswer::Taken`]. Anybody may send
    /// them: they prove themselves.
    RefreshCommit(Vec<SignedRecord>),
    /// A refresh run is over: erase what was replaced. Answered by [`PeerAnswer::Taken`].
    RefreshEnd {
        /// Whether it was the scheduled one of all key versions.
        all: bool,
    },
    /// Say which key versions you hold, in order, after this one. Answered by [`PeerAnswer::Keys`].
    Keys {
        /// The last one of the page before; `None` for the first page.
        after: Option<KeyVersion>,
    },
    /// Say at which epoch you hold these key versions. Answered by [`PeerAnswer::Keys`], without
    /// those that are not held.
    Epochs(Vec<KeyVersion>),
    /// Give the records of these key versions. Answered by [`PeerAnswer::Records`].
    Records(Vec<KeyVersion>),
    /// Give what you prepared for these epochs. Answered by [`PeerAnswer::Prepared`]; of those it
    /// did not prepare, body and signature are empty.
    Shelf(Vec<(KeyVersion, u32)>),
    /// Help to repair the sender's shares. Answered by [`PeerAnswer::Taken`] once every other
    /// helper has this one's pieces.
    RepairBegin(RepairParams),
    /// Take my pieces of a repair. Answered by [`PeerAnswer::Taken`].
    RepairDeltas(RepairDeltas),
    /// Give what you have for me. Answered by [`PeerAnswer::Help`].
    RepairCollect {
        /// The run.
        session: Uid,
        /// Whose shares are repaired: the sender.
        manager: ManagerIndex,
    },
}

/// At which epoch a manager holds a key version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEpoch {
    /// Which.
    pub key: KeyVersion,
    /// How many of how many managers derive.
    pub threshold: Threshold,
    /// The epoch it knows to be in force.
    pub epoch: u32,
    /// The highest epoch it ever prepared or took.
    pub highest: u32,
    /// Whether it holds its share of that epoch, or waits for a repair.
    pub held: bool,
    /// Whether it knows the key version to be in use.
    pub in_use: bool,
}

/// A record and the signature of one participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The record's bytes.
    pub body: Vec<u8>,
    /// The signature.
    pub signature: Signature,
}

impl Prepared {
    /// Nothing was prepared.
    pub const NOTHING: Self = Self { body: Vec::new(), signature: Signature([0; 64]) };
}

/// What a manager answers another manager.
#[derive(Debug)]
pub enum PeerAnswer {
    /// It has it.
    Taken,
    /// A signed statement of a refresh.
    Statement(Signed),
    /// What it prepared.
    Prepared(Vec<Prepared>),
    /// The key versions it holds.
    Keys(Vec<KeyEpoch>),
    /// The records asked for; `None` at epoch 0 and for unknown key versions.
    Records(Vec<Option<SignedRecord>>),
    /// Its help in a repair.
    Help(Vec<RepairHelp>),
    /// It refuses it.
    Refused(Refusal),
}

impl Encoding for PeerRequest {
    const BYTES_MAX: usize = MESSAGE_BYTES_MAX;

    fn write(&self, to: &mut Writer) {
        match self {
            Self::Deal(deal) => deal.write(to.array(2).uint(1_u8)),
            Self::RefreshBegin(params) => params.write(to.array(2).uint(2_u8)),
            Self::RefreshExchange { session, statements } => {
                write_signed(to.array(3).uint(3_u8).uid(session), statements);
            }
            Self::RefreshDeal(deal) => deal.write(to.array(2).uint(4_u8)),
            Self::RefreshCollect { session } => {
                to.array(2).uint(5_u8).uid(session);
            }
            Self::RefreshPrepare { session, collected } => {
                write_signed(to.array(3).uint(6_u8).uid(session), collected);
            }
            Self::RefreshCommit(records) => {
                to.array(2).uint(7_u8).list(records, |to, record| record.write(to));
            }
            Self::RefreshEnd { all } => {
                to.array(2).uint(8_u8).flag(*all);
            }
            Self::Keys { after } => {
                to.array(2).uint(9_u8).list(after.as_slice(), |to, key| key.write(to));
            }
            Self::Records(keys) => {
                to.array(2).uint(10_u8).list(keys, |to, key| key.write(to));
            }
            Self::Shelf(items) => {
                to.array(2).uint(11_u8).list(items, |to, (key, epoch)| {
                    key.write(to.array(2));
                    to.uint(*epoch);
                });
            }
            Self::Epochs(keys) => {
                to.array(2).uint(15_u8).list(keys, |to, key| key.write(to));
            }
            Self::RepairBegin(params) => params.write(to.array(2).uint(12_u8)),
            Self::RepairDeltas(deltas) => deltas.write(to.array(2).uint(13_u8)),
            Self::RepairCollect { session, manager } => {
                to.array(3).uint(14_u8).uid(session).uint(manager.get());
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        Ok(match number(from)? {
            (2, 1) => Self::Deal(Deal::read(from)?),
            (2, 2) => Self::RefreshBegin(RefreshParams::read(from)?),
            (3, 3) => {
                Self::RefreshExchange { session: from.uid()?, statements: read_signed(from)? }
            }
            (2, 4) => Self::RefreshDeal(RefreshDeal::read(from)?),
            (2, 5) => Self::RefreshCollect { session: from.uid()? },
            (3, 6) => Self::RefreshPrepare { session: from.uid()?, collected: read_signed(from)? },
            (2, 7) => Self::RefreshCommit(from.list(REFRESH_KEYS_MAX, SignedRecord::read)?),
            (2, 8) => Self::RefreshEnd { all: from.flag()? },
            (2, 9) => Self::Keys { after: from.list(1, KeyVersion::read)?.pop() },
            (2, 10) => Self::Records(from.list(REFRESH_KEYS_MAX, KeyVersion::read)?),
            (2, 11) => Self::Shelf(from.list(REFRESH_KEYS_MAX, |from| {
                from.array(2)?;
                Ok((KeyVersion::read(from)?, from.u32()?))
            })?),
            (2, 15) => Self::Epochs(from.list(REFRESH_KEYS_MAX, KeyVersion::read)?),
            (2, 12) => Self::RepairBegin(RepairParams::read(from)?),
            (2, 13) => Self::RepairDeltas(RepairDeltas::read(from)?),
            (3, 14) => Self::RepairCollect { session: from.uid()?, manager: from.manager()? },
            _ => return Err(Refusal::UnknownMessage),
        })
    }
}

impl PeerRequest {
    /// The encoding in memory that is zeroized: shares are in it.
    pub fn to_secret_bytes(&self) -> SecretBytes {
        let secret = match self {
            Self::Deal(_) => 1_024,
            Self::RefreshDeal(_) => RefreshDeal::BYTES_MAX,
            Self::RepairDeltas(_) => RepairDeltas::BYTES_MAX,
            _ => 256,
        };
        let mut writer = Writer::with_capacity(secret + 16);
        self.write(&mut writer);
        SecretBytes::new(writer.finish())
    }

    pub(crate) fn deal_bytes(deal: &Deal) -> SecretBytes {
        let mut writer = Writer::with_capacity(1_024);
        deal.write(writer.array(2).uint(1_u8));
        SecretBytes::new(writer.finish())
    }

    pub(crate) fn refresh_deal_bytes(deal: &RefreshDeal) -> SecretBytes {
        let mut writer = Writer::with_capacity(RefreshDeal::BYTES_MAX + 16);
        deal.write(writer.array(2).uint(4_u8));
        SecretBytes::new(writer.finish())
    }
}

impl Encoding for PeerAnswer {
    const BYTES_MAX: usize = MESSAGE_BYTES_MAX;

    fn write(&self, to: &mut Writer) {
        match self {
            Self::Taken => {
                to.array(1).uint(1_u8);
            }
            Self::Statement(signed) => signed.write(to.array(2).uint(2_u8)),
            Self::Prepared(prepared) => {
                to.array(2).uint(3_u8).list(prepared, |to, prepared| {
                    to.array(2).bytes(&prepared.body).bytes(&prepared.signature.0);
                });
            }
            Self::Keys(keys) => {
                to.array(2).uint(4_u8).list(keys, |to, key| key.write(to));
            }
            Self::Records(records) => {
                to.array(2).uint(5_u8).list(records, |to, record| {
                    to.list(record.as_slice(), |to, record| record.write(to));
                });
            }
            Self::Help(help) => {
                to.array(2).uint(6_u8).list(help, |to, help| help.write(to));
            }
            Self::Refused(refusal) => {
                to.array(2).uint(0_u8).uint(refusal.code());
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        Ok(match number(from)? {
            (1, 1) => Self::Taken,
            (2, 2) => Self::Statement(Signed::read(from)?),
            (2, 3) => Self::Prepared(from.list(REFRESH_KEYS_MAX, |from| {
                from.array(2)?;
                let body = from.bytes(RECORD_BYTES_MAX)?.to_vec();
                Ok(Prepared { body, signature: from.signature()? })
            })?),
            (2, 4) => Self::Keys(from.list(PEER_KEYS_MAX, KeyEpoch::read)?),
            (2, 5) => Self::Records(
                from.list(REFRESH_KEYS_MAX, |from| Ok(from.list(1, SignedRecord::read)?.pop()))?,
            ),
            (2, 6) => Self::Help(from.list(REPAIR_KEYS_MAX, RepairHelp::read)?),
            (2, 0) => Self::Refused(read_refusal(from)?),
            _ => return Err(Refusal::UnknownMessage),
        })
    }
}

impl PeerAnswer {
    /// The encoding in memory that is zeroized: help in a repair has keys in it.
    pub fn to_secret_bytes(&self) -> SecretBytes {
        let secret = match self {
            // A manifest, a record, and up to 35 leg-S keys.
            Self::Help(help) => help.len() * 5 * 1_024,
            _ => 0,
        };
        let mut writer = Writer::with_capacity(secret + 256);
        self.write(&mut writer);
        SecretBytes::new(writer.finish())
    }
}

impl KeyEpoch {
    fn write(&self, to: &mut Writer) {
        to.array(6);
        self.key.write(to);
        to.threshold(self.threshold).uint(self.epoch).uint(self.highest);
        to.flag(self.held).flag(self.in_use);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(6)?;
        Ok(Self {
            key: KeyVersion::read(from)?,
            threshold: from.threshold()?,
            epoch: from.u32()?,
            highest: from.u32()?,
            held: from.flag()?,
            in_use: from.flag()?,
        })
    }
}

fn write_signed(to: &mut Writer, all: &[Signed]) {
    to.list(all, |to, signed| signed.write(to));
}

fn read_signed(from: &mut Reader<'_>) -> Result<Vec<Signed>, Refusal> {
    from.list(usize::from(MANAGERS_MAX), Signed::read)
}
