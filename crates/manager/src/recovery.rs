//! Recovery escrow at a manager: its fragments sealed to the owner's recovery key, and fragments
//! that a recovery gave back taken into an empty store (design 5.11).

use keysherd_base::{Fault, FaultKind};
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::escrow::Export;
use keysherd_fragments::member::Vault as _;
use keysherd_fragments::repair::Admitted;

use crate::keys::NewEpoch;
use crate::log::{EpochEvent, EpochStep};
use crate::manager::Manager;
use crate::vault::{Drawers, event};

/// Key versions that are read and written at one time.
const PAGE: usize = 64;

/// A manager's fragments, sealed to the recovery key of its trust bundle.
pub struct RecoveryExport {
    /// The file.
    pub bytes: Vec<u8>,
    /// How many key versions it has.
    pub keys: usize,
    /// How many are known without their fragments here, and so are not in it: this manager missed
    /// a refresh and waits for its repair.
    pub missing: usize,
}

impl Manager {
    /// Seals the fragments of every key version to the bundle's recovery key. It blocks for as
    /// long as one encapsulation for each key version takes.
    ///
    /// # Errors
    /// [`FaultKind::Forbidden`] when the owner wants no escrow or does not list this manager;
    /// when the store cannot be read.
    pub fn export_recovery(&self) -> Result<RecoveryExport, Fault> {
        let bundle = self.trusted_bundle()?;
        let Some(recovery_key) = &bundle.bundle().recovery_key else {
            return Err(Fault::forbidden(
                "the trust bundle has no recovery key, so nothing is exported; the owner makes one \
                 with keysherd owner recovery-key",
            ));
        };
        let deployment = bundle.bundle().deployment;
        let now = self.clock.now();
        let identity = self.identity.public();
        let mut export = Export::begin(deployment, self.index, identity, recovery_key, now)?;
        let (vault, mut after, mut missing) = (Drawers(self), None, 0);
        loop {
            let page = self.keys.store().keys_after(after.as_ref(), PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            for key in &page {
                let Some(holding) = vault.holding(key)? else { continue };
                let Some(shares) = holding.shares else {
                    missing += 1;
                    continue;
                };
                let record = holding.record.as_ref();
                export.add(recovery_key, &shares, &holding.notes, record, &*self.rng)?;
            }
        }
        let bytes = export.seal(&self.identity).to_bytes();
        Ok(RecoveryExport { bytes, keys: export.keys.len(), missing })
    }

    /// Takes in what a recovery gave back. Durable on return.
    ///
    /// # Errors
    /// [`FaultKind::Conflict`] when this manager has key versions already, or the fragments are
    /// another one's: nothing is taken then. When log or store cannot be written.
    pub fn import_recovered(&self, recovered: Vec<Admitted>) -> Result<usize, Fault> {
        if !self.keys.store().keys_after(None, 1)?.is_empty() {
            return Err(Fault::conflict(
                "this manager has fragments already; recover into an empty directory",
            ));
        }
        if recovered.iter().any(|admitted| admitted.shares.g().manager() != self.index) {
            return Err(Fault::new(
                FaultKind::Conflict,
                "the fragments are another manager's; give the index they were recovered for",
            ));
        }
        let count = recovered.len();
        let mut left = recovered.into_iter();
        loop {
            let page: Vec<Admitted> = left.by_ref().take(PAGE).collect();
            if page.is_empty() {
                return Ok(count);
            }
            let keys: Vec<_> =
                page.iter().map(|one| (one.shares.key(), one.shares.epoch())).collect();
            let manager = self.index.get();
            self.log_epochs(EpochEvent { manager, ..event(EpochStep::Repaired, &keys) })?;
            let epochs = page.into_iter().map(|Admitted { shares, notes, record }| NewEpoch {
                key: shares.key(),
                notes: Some(notes),
                record,
                shares: Some(shares),
            });
            self.keys.set_epochs(epochs.collect())?;
        }
    }
}
