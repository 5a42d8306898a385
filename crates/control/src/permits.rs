//! Permits: what one gateway may derive, encoded and signed (`fragments.md` 5.8).
//!
//! Entries of many callers share a permit when account and operation agree, so that one signature
//! covers a whole batch. A permit is bound to the gateway that asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_audit::{Draft, ExplainedPermits, Failure};
use keysherd_base::{AccountId, Fault, KeyId, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::permit::{Class, Op, PERMIT_ENTRIES_MAX, Permit, PermitEntry, Subject};
use keysherd_plane::grants::{PermitSlot, SignedPermit};

use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::keys;
use crate::session::Principal;

#[cfg(test)]
mod tests;

/// Label under which the permit key signs.
pub const PERMIT_LABEL: &str = "KSF1-sig/permit";
/// Life of a permit in seconds: the most the managers accept.
const PERMIT_SECONDS: i64 = 60;
/// Uses of a permit at each manager: an answer can get lost, twice.
const USES: u8 = 3;
/// Uses of a permit for re-wrapping: one entry of two is read, the other one is written.
const REWRAP_USES: u8 = 6;
/// Uses of a permit for generation, which takes several rounds and two self-tests.
const GENERATION_USES: u8 = 10;
/// Seconds a gateway may keep what it opened.
const CACHE_SECONDS: u32 = 60;

impl Control {
    /// A permit to generate the original key of an account that is about to be created. It names
    /// no subject: nobody has signed in yet.
    ///
    /// # Errors
    /// [`Fault::internal`] when the random source fails.
    pub fn permit_original_key(
        &self,
        account: AccountId,
        key_id: KeyId,
        self_test_salt: [u8; 32],
        gateway: &GatewayIdentity,
    ) -> Result<SignedPermit, Fault> {
        let key = (key_id, keys::FIRST_VERSION);
        self.permit_generation(account, key, self_test_salt, Subject::default(), gateway)
    }

    /// A permit to generate a version of a key, with its self-test.
    ///
    /// # Errors
    /// [`Fault::internal`] when the random source fails.
    pub(crate) fn permit_generation(
        &self,
        account: AccountId,
        (key_id, key_version): (KeyId, u32),
        self_test_salt: [u8; 32],
        subject: Subject,
        gateway: &GatewayIdentity,
    ) -> Result<SignedPermit, Fault> {
        let entry = PermitEntry {
            key_id,
            key_version,
            class: Class::SelfTest,
            item_id: key_id,
            item_version: 0,
            salt: self_test_salt,
            subject,
        };
        let part = Part::new(account, Op::Generate, Uid::random(&*self.rng)?, entry, None);
        Ok(self.sign_permit(part, 0, gateway))
    }

    /// A permit to refresh a version of a key.
    ///
    /// # Errors
    /// [`Fault::internal`] when the random source fails.
    pub(crate) fn permit_refresh(
        &self,
        account: AccountId,
        (key_id, key_version): (KeyId, u32),
        salt: [u8; 32],
        subject: Subject,
        gateway: &GatewayIdentity,
    ) -> Result<SignedPermit, Fault> {
        let class = Class::SelfTest;
        let item_id = key_id;
        let entry =
            PermitEntry { key_id, key_version, class, item_id, item_version: 0, salt, subject };
        let part = Part::new(account, Op::Refresh, Uid::random(&*self.rng)?, entry, None);
        Ok(self.sign_permit(part, 0, gateway))
    }

    fn sign_permit(&self, part: Part, audit_seq: u64, gateway: &GatewayIdentity) -> SignedPermit {
        let now = self.now();
        let permit = Permit {
            permit_id: part.id,
            issued_at: now,
            expires_at: now.plus_seconds(PERMIT_SECONDS),
            account: part.account,
            gateway_spki_sha256: gateway.spki_sha256,
            op: part.op,
            entries: part.entries,
            max_uses: match part.op {
                Op::Generate => GENERATION_USES,
                Op::Rewrap => REWRAP_USES,
                _ => USES,
            },
            cache_ttl_seconds: CACHE_SECONDS,
            audit_seq,
            bundle_version: self.gateways.bundle_version(),
        };
        let mut bytes = permit.to_bytes();
        let signature = self.permit_key.sign(PERMIT_LABEL, &bytes);
        bytes.extend_from_slice(signature.as_bytes());
        SignedPermit { bytes: bytes.into() }
    }
}

impl Principal {
    /// The bearer as managers know them: by hashes only.
    pub(crate) fn permit_subject(&self) -> Subject {
        Subject {
            access_id_sha256: sha256(&[self.access_id().as_str().as_bytes()]),
            token_sha256: self.token_sha256,
        }
    }
}

/// The permits of one batch, before they are signed.
#[derive(Default)]
pub(crate) struct PermitBatch {
    parts: Vec<Part>,
}

/// What will be one permit.
struct Part {
    /// Its id; zeros before it was drawn.
    id: Uid,
    account: AccountId,
    op: Op,
    entries: Vec<PermitEntry>,
    /// Which audit record of the batch explains each entry.
    records: Vec<Option<usize>>,
}

impl Part {
    fn new(account: AccountId, op: Op, id: Uid, entry: PermitEntry, record: Option<usize>) -> Self {
        Self { id, account, op, entries: vec![entry], records: vec![record] }
    }
}

impl PermitBatch {
    /// Adds a derivation. `record` is the place of the audit record that explains it, if there is
    /// one.
    ///
    /// # Errors
    /// [`Fault::internal`] when there are too many permits, which the limits on a batch exclude.
    pub(crate) fn add(
        &mut self,
        account: AccountId,
        op: Op,
        entry: PermitEntry,
        record: Option<usize>,
    ) -> Result<PermitSlot, Fault> {
        let has_room = |part: &Part| {
            part.account == account && part.op == op && part.entries.len() < PERMIT_ENTRIES_MAX
        };
        // The newest one first: the others of its kind are full.
        let at = self.parts.iter().rposition(has_room).unwrap_or(self.parts.len());
        let too_many = |_| Fault::internal("too many permits in one batch");
        let permit = u16::try_from(at).map_err(too_many)?;
        let Some(part) = self.parts.get_mut(at) else {
            self.parts.push(Part::new(account, op, Uid::default(), entry, record));
            return Ok(PermitSlot { permit, entry: 0 });
        };
        let slot =
            PermitSlot { permit, entry: u16::try_from(part.entries.len()).map_err(too_many)? };
        part.entries.push(entry);
        part.records.push(record);
        Ok(slot)
    }

    /// Draws the ids of the permits and has the audit records say what they explain: which
    /// permits, and how many entries of each. To be called before the records are stored: a
    /// derivation that no record explains is what the managers' logs are searched for.
    ///
    /// # Errors
    /// [`Fault::internal`] when the random source fails.
    pub(crate) fn explain(
        &mut self,
        control: &Control,
        records: &mut [(Draft, Option<Failure>)],
    ) -> Result<(), Fault> {
        let mut explained: BTreeMap<usize, ExplainedPermits> = BTreeMap::new();
        for part in &mut self.parts {
            part.id = Uid::random(&*control.rng)?;
            let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
            for record in part.records.iter().flatten() {
                *counts.entry(*record).or_default() += 1;
            }
            for (record, count) in counts {
                explained.entry(record).or_default().add(part.id, count);
            }
        }
        for (at, permits) in explained {
            if let Some((draft, _)) = records.get_mut(at) {
                draft.params.extend(permits.param());
            }
        }
        Ok(())
    }

    /// Takes back what the audit record at `record` was to explain, as it could not be written.
    /// No outcome names the places of these entries any more.
    pub(crate) fn take_back(&mut self, record: usize) {
        for part in &mut self.parts {
            // All records of a permit are of one account, whose chain takes all of them or none.
            if part.records.contains(&Some(record)) {
                part.entries.clear();
            }
        }
    }

    /// Signs them all, in the order of their slots. `seqs` are the numbers the batch's audit
    /// records were given.
    ///
    /// # Errors
    /// [`Fault::internal`] when the random source fails.
    pub(crate) fn sign(
        self,
        control: &Control,
        gateway: &GatewayIdentity,
        seqs: &[u64],
    ) -> Result<Vec<SignedPermit>, Fault> {
        let sign = |mut part: Part| {
            if part.entries.is_empty() {
                // It keeps its place: the slots of the others count it.
                return Ok(SignedPermit { bytes: Arc::new([]) });
            }
            if part.id == Uid::default() {
                part.id = Uid::random(&*control.rng)?;
            }
            let first = part.records.first().copied().flatten();
            let seq = first.and_then(|at| seqs.get(at)).copied().unwrap_or(0);
            Ok(control.sign_permit(part, seq, gateway))
        };
        self.parts.into_iter().map(sign).collect()
    }
}
