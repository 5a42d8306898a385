//! One batch: from the heads of envelopes to new wraps.

use std::collections::HashMap;

use keysherd_base::{AccountId, Fault, FaultKind, Rng, Uid};
use keysherd_crypto::envelope::{Envelope, Header, NewWrap, WrapKind, WrapParams, rewrap_head};
use keysherd_crypto::hash::sha256;
use keysherd_fragments::context::{Class, ContextFields};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_plane::Caller;
use keysherd_plane::grants::{KeyRef, SignedPermit};
use keysherd_plane::rotation::{RewrapBatch, RewrapValue, RewrappedValue};

use super::step::check_step;
use crate::derive::{Derivations, Keks, too_few};
use crate::needs::{Need, wrap_of};

/// What became of a batch.
#[derive(Default)]
pub(super) struct Outcome {
    /// New wraps.
    pub(super) values: Vec<RewrappedValue>,
    /// Values that have none.
    pub(super) failed: usize,
    /// Why, for the first of them.
    pub(super) problem: Option<String>,
}

impl Outcome {
    fn fail(&mut self, values: usize, fault: &Fault) {
        self.failed += values;
        self.problem.get_or_insert_with(|| fault.to_string());
    }
}

/// Derives old and new keys of all values of a batch and wraps their data keys anew.
pub(super) async fn rewrap(
    derivations: &std::sync::Arc<Derivations>,
    rng: &dyn Rng,
    permits: &[SignedPermit],
    batch: &RewrapBatch,
    salts: &[[u8; 32]],
) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(fault) = check_manifests(derivations, batch) {
        tracing::error!(%fault, "a re-wrap was refused");
        outcome.fail(batch.values.len(), &fault);
        return outcome;
    }
    let mut planned = Vec::with_capacity(batch.values.len());
    let mut needs = Vec::with_capacity(2 * batch.values.len());
    for (value, salt) in batch.values.iter().zip(salts) {
        match Plan::of(batch, value, *salt) {
            Ok((plan, both)) => {
                needs.extend(both);
                planned.push(plan);
            }
            Err(fault) => {
                tracing::error!(item = %value.uid, version = value.version, %fault);
                outcome.fail(1, &fault);
            }
        }
    }
    if planned.is_empty() {
        return outcome;
    }
    let mut keks = derivations.derive(permits, needs).await;
    for plan in planned {
        match plan.wrap_anew(&mut keks, rng) {
            Ok(value) => outcome.values.push(value),
            Err(fault) => {
                let (item, version) = (plan.value.uid, plan.value.version);
                tracing::warn!(%item, version, %fault, "a value was not wrapped anew");
                outcome.fail(1, &fault);
            }
        }
    }
    outcome
}

/// Verifies all manifests of a batch, and each step it asks for.
fn check_manifests(derivations: &Derivations, batch: &RewrapBatch) -> Result<(), Fault> {
    let mut known = HashMap::new();
    for (version, bytes) in &batch.manifests {
        let key = KeyVersion {
            account: AccountId(batch.account),
            id: batch.to.key_id,
            version: *version,
        };
        known.insert(*version, derivations.trust(&key, bytes)?);
    }
    let find = |key: &KeyRef| {
        let manifest = known.get(&key.version).map(|trusted| trusted.manifest());
        let fits = manifest.filter(|manifest| {
            let told = (manifest.key.id, manifest.fragment().copied());
            told == (key.key_id, key.customer_fragment)
        });
        fits.ok_or_else(|| {
            let KeyRef { key_id, version, .. } = key;
            let what = format!("no fitting manifest of version {version} of key {key_id}");
            Fault::new(FaultKind::Internal, what)
        })
    };
    let to = find(&batch.to)?;
    for value in &batch.values {
        check_step(find(&value.from)?, to)?;
    }
    Ok(())
}

/// A value whose derivations are known.
struct Plan<'a> {
    value: &'a RewrapValue,
    /// Which of the wraps is replaced.
    place: usize,
    params: WrapParams,
}

impl<'a> Plan<'a> {
    /// Checks what the head says about itself, and plans both derivations.
    fn of(
        batch: &RewrapBatch,
        value: &'a RewrapValue,
        salt: [u8; 32],
    ) -> Result<(Self, [Need; 2]), Fault> {
        let wrong =
            |what: &str| Fault::new(FaultKind::Internal, format!("item {}: {what}", value.uid));
        let envelope =
            Envelope::parse_head(&value.head).map_err(|_| wrong("malformed envelope"))?;
        let (place, wrap) =
            wrap_of(&envelope, &value.from).ok_or_else(|| wrong("not wrapped by its key"))?;
        let Header { account, item_id, item_version, class, .. } = envelope.header();
        let told = (account, item_id, item_version);
        if told != (batch.account.0, value.uid.0, u64::from(value.version)) {
            return Err(wrong("the envelope is another item's"));
        }
        let class = Class::from_number(class)
            .filter(|class| matches!(class, Class::SecretItem | Class::SealedKey))
            .ok_or_else(|| wrong("an envelope of a class that is not stored"))?;
        let commitment = wrap.com().try_into().map_err(Fault::internal)?;
        let old = ContextFields {
            class,
            account: AccountId(batch.account),
            key_id: value.from.key_id,
            key_version: value.from.version,
            item_id: value.uid,
            item_version,
            salt: wrap.params().salt,
        };
        let KeyRef { key_id, version, customer_fragment } = batch.to;
        let new = ContextFields { key_id, key_version: version, salt, ..old };
        // Nobody is asked on anybody's behalf: the manifests are known.
        let caller = Caller::of_the_server(Uid::default());
        let needs = [
            Need {
                caller: caller.clone(),
                slot: value.old_slot,
                fields: old,
                customer_fragment: value.from.customer_fragment,
                commitment: Some(commitment),
            },
            Need { caller, slot: value.new_slot, fields: new, customer_fragment, commitment: None },
        ];
        let params = WrapParams {
            kind: WrapKind::Fragments,
            key_id: key_id.0,
            key_version: version,
            cf_id: customer_fragment.unwrap_or_default().0,
            salt,
        };
        Ok((Self { value, place, params }, needs))
    }

    /// Opens the data key, checks that it is the payload's, wraps it, and opens it again.
    fn wrap_anew(&self, keks: &mut Keks, rng: &dyn Rng) -> Result<RewrappedValue, Fault> {
        let RewrapValue { item, version, head, from, old_slot, new_slot, .. } = self.value;
        let old = keks.take(*old_slot)?;
        let new = keks.take(*new_slot)?;
        // The value is safe where it is; it can wait until all managers are there.
        if !new.missing.is_empty() {
            return Err(too_few(new.missing));
        }
        let wrap = NewWrap { params: self.params, kek: &new.kek };
        let wrap = rewrap_head(head, self.place, &old.kek, wrap, rng).map_err(|failed| {
            let what = format!("item {}: {failed}", self.value.uid);
            Fault::new(FaultKind::Internal, what)
        })?;
        Ok(RewrappedValue {
            item: *item,
            version: *version,
            from: *from,
            head_sha256: sha256(&[head]),
            wrap: wrap.as_slice().into(),
        })
    }
}
