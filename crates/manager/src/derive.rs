//! Derivations: admitted, logged, derived, signed, in this order (design 5.8).

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::Fault;
use keysherd_crypto::hash::sha256;
use keysherd_fragments::derive::{DeriveAnswer, Mode};
use keysherd_fragments::manager_side::{self, Caller, Checked, check_request};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::messages::DeriveCall;
use keysherd_fragments::permit::{Op, Permit};
use keysherd_fragments::refusal::Refusal;
use keysherd_fragments::share::KeyShares;

use crate::keys::{Ring, store_refusal};
use crate::log::{Checkpoint, DeriveEvent, DerivedItem, Entry, Event, KeyRef};
use crate::manager::{Manager, lock};
use crate::serve::log_refusal;

/// Largest batch that is checked and derived on the runtime's own threads. 64 entries take about
/// 3 ms, 4 with proofs.
const INLINE_ENTRIES_MAX: usize = 64;

/// A request that may be answered once its entry is in the log.
struct Admitted {
    checked: Checked,
    entry: Entry,
    /// Key versions that are in use from now on.
    pending: Vec<KeyVersion>,
}

impl Manager {
    pub(crate) async fn derive(
        self: &Arc<Self>,
        peer: [u8; 32],
        call: DeriveCall,
    ) -> Result<DeriveAnswer, Refusal> {
        self.be_current().await?;
        // The permit is not read yet, but an entry takes more than 100 bytes of it.
        let admitted = if call.permit.body.len() <= INLINE_ENTRIES_MAX * 100 {
            self.admit(&peer, &call)?
        } else {
            self.heavy(move |manager| manager.admit(&peer, &call)).await?
        };
        let position = self.log.append(&admitted.entry).await.map_err(log_refusal)?;
        let Admitted { checked, pending, .. } = admitted;
        if checked.entries.len() <= INLINE_ENTRIES_MAX && pending.is_empty() {
            return self.evaluate(&checked, &position);
        }
        self.heavy(move |manager| {
            manager.keys.enable(&pending).map_err(|fault| store_refusal(&fault))?;
            manager.evaluate(&checked, &position)
        })
        .await
    }

    /// Steps 1 to 7: everything that is checked before the log is written.
    fn admit(&self, peer: &[u8; 32], call: &DeriveCall) -> Result<Admitted, Refusal> {
        let now = self.clock.now();
        let bundle = self.trusted_bundle()?;
        let cluster = bundle.cluster_of(peer, call.endorsement.as_ref(), now)?;
        lock(&self.bad_permits).check(peer, now)?;
        let permit = self.permits.verify(&bundle, &call.permit, now);
        let permit = permit.inspect_err(|refusal| lock(&self.bad_permits).count(peer, *refusal))?;
        let in_use = permit.verified.permit().op != Op::Generate;
        let ring = Ring::of_permit(&self.keys, &permit.keys, in_use, now);
        let caller =
            Caller { bundle: &bundle, cluster, tls_spki_sha256: peer, me: self.index, now };
        let checked = check_request(caller, &permit.verified, &call.request, &ring)
            .map_err(|refusal| ring.explain(refusal))?;
        lock(&self.uses).take(
            checked.permit_id,
            checked.max_uses,
            checked.permit_expires_at,
            now,
        )?;
        lock(&self.budget).charge(&bundle, &checked, now)?;
        let event = event(&checked, permit.verified.permit(), bundle.version())?;
        let entry = Entry { at: now, event: Event::Derive(event) };
        let pending = ring.pending(checked.keys.iter().map(|key| &key.key));
        Ok(Admitted { checked, entry, pending })
    }

    /// Step 9: touches the fragments. `position` is that of the request's entry, which is durable.
    fn evaluate(&self, checked: &Checked, position: &Checkpoint) -> Result<DeriveAnswer, Refusal> {
        let mut held = Vec::with_capacity(checked.keys.len());
        for key in &checked.keys {
            held.push(self.shares_for(&key.key, key.epoch_hint)?);
        }
        let shares: Vec<&KeyShares> = held.iter().map(|shares| &**shares).collect();
        let derived = manager_side::derive(checked, &shares, &*self.rng)?;
        Ok(derived.seal(checked, self.checkpoint_note(position), &self.identity))
    }

    /// The fragments at the epoch the gateway expects, if they are there, or else at the one that
    /// is in force. A gateway can know of an epoch before this manager does: then its shares are
    /// prepared already.
    fn shares_for(&self, key: &KeyVersion, hint: Option<u32>) -> Result<Arc<KeyShares>, Refusal> {
        let failed = |fault: Fault| store_refusal(&fault);
        let shares = self.keys.shares(key).map_err(failed)?.ok_or(Refusal::ShareOutdated)?;
        let Some(hint) = hint.filter(|hint| *hint > shares.epoch()) else { return Ok(shares) };
        let mut shelf = self.keys.store().shelf(key).map_err(failed)?;
        let place = shelf.iter().position(|shelved| shelved.epoch == hint);
        Ok(place.map_or(shares, |place| Arc::new(shelf.swap_remove(place).shares)))
    }

    /// The position as gateways keep it: a signed note, evidence by itself.
    pub(crate) fn checkpoint_note(&self, position: &Checkpoint) -> Vec<u8> {
        position.sign(&self.keys.store().owner().manager, &self.identity)
    }
}

fn event(checked: &Checked, permit: &Permit, bundle_version: u64) -> Result<DeriveEvent, Refusal> {
    let keys =
        checked.keys.iter().map(|key| KeyRef { key_id: key.key.id, version: key.key.version });
    let mut items = Vec::with_capacity(checked.entries.len());
    let mut subjects = Vec::new();
    let mut places = BTreeMap::new();
    for entry in &checked.entries {
        let permitted = permit.entries.get(usize::from(entry.index)).ok_or(Refusal::BadEntries)?;
        let next = u16::try_from(subjects.len()).map_err(|_| Refusal::TooLarge)?;
        let name = (permitted.subject.access_id_sha256, permitted.subject.token_sha256);
        let subject = *places.entry(name).or_insert(next);
        if subject == next {
            subjects.push(permitted.subject);
        }
        let hash = sha256(&[entry.context.as_bytes()]);
        items.push(DerivedItem {
            key: entry.slot,
            subject,
            class: permitted.class,
            item_id: permitted.item_id,
            item_version: permitted.item_version,
            context_tag: u64::from_be_bytes(hash.first_chunk().copied().unwrap_or_default()),
        });
    }
    Ok(DeriveEvent {
        permit_sha256: checked.permit_sha256,
        permit_id: checked.permit_id,
        permit_expires_at: checked.permit_expires_at,
        audit_seq: checked.audit_seq,
        request_id: checked.request_id,
        gateway: checked.gateway_spki_sha256,
        cluster: checked.cluster,
        account: checked.account,
        op: checked.op,
        with_proofs: checked.mode == Mode::Verify,
        bundle_version,
        keys: keys.collect(),
        subjects,
        items,
    })
}
