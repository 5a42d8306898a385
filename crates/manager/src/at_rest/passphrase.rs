//! The epoch key under a passphrase (Argon2id).

use keysherd_base::{Fault, FaultKind, RngHandle, SecretBytes, SecretString};
use keysherd_crypto::passphrase::{self, PassphraseFailed};

use super::Wrapping;

/// Keeps files of this use apart from other files under a passphrase.
const PURPOSE: &str = "manager-epoch-key";

/// Wraps with a passphrase that is held in memory, because the epoch key is replaced while the
/// manager runs.
pub struct PassphraseWrapping {
    passphrase: SecretString,
    rng: RngHandle,
}

impl PassphraseWrapping {
    /// Wraps with `passphrase`.
    pub fn new(passphrase: SecretString, rng: RngHandle) -> Self {
        Self { passphrase, rng }
    }
}

impl Wrapping for PassphraseWrapping {
    fn wrap(&self, key: &SecretBytes) -> Result<Vec<u8>, Fault> {
        passphrase::seal(key, &self.passphrase, PURPOSE, &*self.rng).map_err(fault)
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<SecretBytes, Fault> {
        passphrase::open(wrapped, &self.passphrase, PURPOSE).map_err(fault)
    }

    fn name(&self) -> &'static str {
        "passphrase"
    }
}

fn fault(failed: PassphraseFailed) -> Fault {
    let kind = match failed {
        PassphraseFailed::WrongPassphrase => FaultKind::Forbidden,
        _ => FaultKind::Internal,
    };
    Fault::new(kind, format!("epoch key under a passphrase: {failed}"))
}
