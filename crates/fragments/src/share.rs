//! All that one manager holds of one key version.

use keysherd_base::SecretBytes;
use zeroize::Zeroizing;

use crate::encoding::{Reader, Writer};
use crate::leg_g::ShareG;
use crate::leg_s::ShareS;
use crate::manager_set::{ManagerIndex, ManagerSet, Threshold};
use crate::manifest::KeyVersion;
use crate::refusal::Refusal;

const FORMAT: u8 = 1;
/// Longest record in bytes: 20 leg-S keys in 4-of-7.
const RECORD_BYTES_MAX: usize = 1_024;

/// The fragments of one manager: shares of legs G and S at one epoch.
///
/// No `Clone`, `Debug` or `Serialize`: zeroized on drop.
pub struct KeyShares {
    key: KeyVersion,
    threshold: Threshold,
    epoch: u32,
    g: ShareG,
    s: ShareS,
}

impl KeyShares {
    pub(crate) fn new(
        key: KeyVersion,
        threshold: Threshold,
        epoch: u32,
        g: ShareG,
        s: ShareS,
    ) -> Self {
        Self { key, threshold, epoch, g, s }
    }

    /// The same leg-S keys with the leg-G share of another epoch.
    pub(crate) fn with_share(&self, epoch: u32, g: ShareG) -> Self {
        Self { key: self.key, threshold: self.threshold, epoch, g, s: self.s.copy() }
    }

    /// Which key version.
    pub fn key(&self) -> KeyVersion {
        self.key
    }

    /// How many of how many managers derive.
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// The epoch of the leg-G share.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The leg-G share.
    pub fn g(&self) -> &ShareG {
        &self.g
    }

    /// The leg-S keys.
    pub fn s(&self) -> &ShareS {
        &self.s
    }

    /// The record to keep, encrypted, at rest.
    pub fn to_record(&self) -> SecretBytes {
        let mut to = Writer::with_capacity(RECORD_BYTES_MAX);
        to.array(7).uint(FORMAT);
        self.key.write(&mut to);
        to.threshold(self.threshold).uint(self.g.manager().get()).uint(self.epoch);
        to.bytes(Zeroizing::new(self.g.secret().to_bytes()).as_slice());
        to.array(self.s.keys().count());
        for (set, key) in self.s.keys() {
            to.array(2).uint(set.bits()).bytes(key);
        }
        SecretBytes::new(to.finish())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] for anything that [`Self::to_record`] did not write.
    pub fn from_record(record: &SecretBytes) -> Result<Self, Refusal> {
        let shares =
            Self::read(&mut Reader::new(record.expose())).map_err(|_| Refusal::BadRecord)?;
        let same = shares.to_record().expose() == record.expose();
        if same { Ok(shares) } else { Err(Refusal::BadRecord) }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(7)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::BadRecord);
        }
        let key = KeyVersion::read(from)?;
        let threshold = from.threshold()?;
        let manager: ManagerIndex = from.manager()?;
        let epoch = from.u32()?;
        let g = ShareG::new(manager, &Zeroizing::new(from.fixed()?))?;
        let keys = from.list(35, |from| {
            from.array(2)?;
            let set = ManagerSet::from_bits(from.u16()?).ok_or(Refusal::BadRecord)?;
            Ok((set, Zeroizing::new(from.fixed()?)))
        })?;
        let s = ShareS::new(threshold, manager, keys)?;
        Ok(Self { key, threshold, epoch, g, s })
    }
}
