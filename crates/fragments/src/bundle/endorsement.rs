//! A cluster's statement that an instance belongs to it, for instances the bundle does not list.

use keysherd_base::{Timestamp, Uid};
use keysherd_crypto::sign::SigningKey;

use crate::encoding::{Encoding, Reader, Signed, Writer};
use crate::labels;
use crate::refusal::Refusal;

const FORMAT: u8 = 1;

/// What a cluster key signs: "the gateway with this key is one of mine, for so long".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endorsement {
    /// The cluster.
    pub cluster: Uid,
    /// SHA-256 of the instance's `SubjectPublicKeyInfo`.
    pub instance_spki_sha256: [u8; 32],
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

impl Endorsement {
    /// Longest encoding in bytes.
    pub const BYTES_MAX: usize = 128;

    /// Signs the statement with the cluster's key.
    pub fn seal(&self, cluster_key: &SigningKey) -> Signed {
        Signed::seal(cluster_key, labels::SIGN_INSTANCE, self.to_bytes())
    }
}

impl Encoding for Endorsement {
    const BYTES_MAX: usize = Self::BYTES_MAX;

    fn write(&self, to: &mut Writer) {
        to.array(5).uint(FORMAT).uid(&self.cluster).bytes(&self.instance_spki_sha256);
        to.time(self.not_before).time(self.not_after);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(5)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            cluster: from.uid()?,
            instance_spki_sha256: from.fixed()?,
            not_before: from.time()?,
            not_after: from.time()?,
        })
    }
}
