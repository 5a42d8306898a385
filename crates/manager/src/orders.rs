//! Orders of the owner: verified, logged, kept durably, then obeyed (design 5.8).
//!
//! The control plane carries them and can do nothing of what they do. Whether a key serves is
//! looked up on every request, so what is stopped is kept in memory besides ([`Stops`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keysherd_base::{AccountId, Fault, KeyId, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_fragments::bundle::Bundle;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::messages::ManagerAnswer;
use keysherd_fragments::order::{
    Condition, DestroyReceipt, FreezeScope, KeyReport, OrderAction, OwnerOrder, Target,
};
use keysherd_fragments::refusal::Refusal;

use crate::keys::store_refusal;
use crate::log::{DestroyedEvent, Entry, Event, KeyRef, OrderEvent};
use crate::manager::{Manager, lock};
use crate::serve::log_refusal;
use crate::store::{KeyState, OrderRecord, Store};

/// The newest order about each target.
pub(crate) struct Orders(BTreeMap<Target, Obeyed>);

/// An order that is in force.
#[derive(Clone)]
struct Obeyed {
    order: OwnerOrder,
    record: OrderRecord,
}

/// What the owner has stopped, by the orders in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stops {
    keys: BTreeSet<(AccountId, KeyId)>,
    groups: BTreeSet<String>,
    scheduled: BTreeMap<KeyVersion, (Uid, Timestamp)>,
}

impl Stops {
    /// Whether the owner froze `key` or its group.
    pub(crate) fn is_frozen(&self, key: &KeyVersion, group: &str) -> bool {
        self.keys.contains(&(key.account, key.id)) || self.groups.contains(group)
    }

    /// Order and time of the destruction of `key`, if it was ordered.
    pub(crate) fn scheduled(&self, key: &KeyVersion) -> Option<&(Uid, Timestamp)> {
        self.scheduled.get(key)
    }
}

impl Orders {
    /// The orders of the store.
    ///
    /// # Errors
    /// When the store cannot be read or one of them is damaged.
    pub(crate) fn load(store: &Store) -> Result<Self, Fault> {
        let mut orders = BTreeMap::new();
        for record in store.orders()? {
            // Its signature was verified before it was stored, and records are authenticated.
            let order = OwnerOrder::from_bytes(&record.signed.body)?;
            orders.insert(order.action.target(), Obeyed { order, record });
        }
        Ok(Self(orders))
    }

    /// What they stop.
    pub(crate) fn stops(&self) -> Stops {
        let mut stops = Stops::default();
        for Obeyed { order, record } in self.0.values() {
            match (&order.action, record.destroy_at) {
                (OrderAction::Freeze { scope: FreezeScope::Key { account, id } }, _) => {
                    stops.keys.insert((*account, *id));
                }
                (OrderAction::Freeze { scope: FreezeScope::Group(name) }, _) => {
                    stops.groups.insert(name.clone());
                }
                (OrderAction::DestroyVersion { key }, Some(at)) => {
                    stops.scheduled.insert(*key, (order.order_id, at));
                }
                _ => {}
            }
        }
        stops
    }

    fn due(&self, now: Timestamp) -> Vec<(KeyVersion, OwnerOrder)> {
        let due = |obeyed: &Obeyed| match (&obeyed.order.action, obeyed.record.destroy_at) {
            (OrderAction::DestroyVersion { key }, Some(at)) if now >= at => {
                Some((*key, obeyed.order.clone()))
            }
            _ => None,
        };
        self.0.values().filter_map(due).collect()
    }
}

impl Manager {
    /// Obeys an order of the owner. The same order again changes nothing and is answered alike.
    /// Anybody may relay it: only the owner's signature counts. It blocks.
    ///
    /// # Errors
    /// As [`OwnerOrder::open`]; [`Refusal::OrderSuperseded`] after a newer order about the same
    /// target; [`Refusal::UnknownKey`], [`Refusal::KeyDestroyed`], [`Refusal::NotScheduled`],
    /// [`Refusal::UnknownGroup`] when there is nothing to do it to; [`Refusal::BadRecord`] when
    /// the store fails.
    pub(crate) fn obey(&self, signed: Signed) -> Result<ManagerAnswer, Refusal> {
        let bundle = self.trusted_bundle()?;
        let now = self.clock.now();
        let deployment = bundle.bundle().deployment;
        let order = OwnerOrder::open(&signed, &bundle.owner(), &deployment, now)?;
        let target = order.action.target();
        let mut orders = lock(&self.orders);
        if let Some(known) = orders.0.get(&target) {
            if known.order == order {
                return Ok(taken(&known.order, &known.record));
            }
            if order.issued_at <= known.order.issued_at {
                return Err(Refusal::OrderSuperseded);
            }
        }
        let destroy_at = self.plan(orders.0.get(&target), &order, bundle.bundle(), now)?;
        let event =
            OrderEvent { body: signed.body.clone(), signature: *signed.signature.as_bytes() };
        let entry = Entry { at: now, event: Event::Order(event) };
        self.log.append_blocking(&entry).map_err(log_refusal)?;
        let record = OrderRecord { signed, destroy_at };
        let store = self.keys.store();
        store.set_order(&target, &record).map_err(|fault| store_refusal(&fault))?;
        let answer = taken(&order, &record);
        let order_id = order.order_id;
        let action = &order.action;
        tracing::warn!(%order_id, ?action, "an order of the owner is obeyed");
        orders.0.insert(target, Obeyed { order, record });
        self.keys.set_stops(orders.stops());
        drop(orders);
        self.destroy_due().map_err(|fault| store_refusal(&fault))?;
        Ok(answer)
    }

    /// Whether the order can be carried out, and when what it destroys is erased.
    fn plan(
        &self,
        known: Option<&Obeyed>,
        order: &OwnerOrder,
        bundle: &Bundle,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Refusal> {
        let before = known.and_then(|known| known.record.destroy_at);
        match &order.action {
            OrderAction::DestroyVersion { key } => {
                self.check_undestroyed(key)?;
                let at = now.plus_seconds(i64::from(bundle.destroy_delay_seconds));
                // Ordering it again does not begin the delay anew.
                Ok(Some(before.map_or(at, |before| before.min(at))))
            }
            OrderAction::CancelDestroy { key } => {
                self.check_undestroyed(key)?;
                if before.is_none() { Err(Refusal::NotScheduled) } else { Ok(None) }
            }
            OrderAction::Freeze { scope: FreezeScope::Group(name) }
            | OrderAction::Unfreeze { scope: FreezeScope::Group(name) } => {
                bundle.group(name).map(|_| None).ok_or(Refusal::UnknownGroup)
            }
            OrderAction::Freeze { .. } | OrderAction::Unfreeze { .. } => Ok(None),
        }
    }

    fn check_undestroyed(&self, key: &KeyVersion) -> Result<(), Refusal> {
        let info = self.keys.info(key).map_err(|fault| store_refusal(&fault))?;
        let destroyed = info.ok_or(Refusal::UnknownKey)?.record.state == KeyState::Destroyed;
        if destroyed { Err(Refusal::KeyDestroyed) } else { Ok(()) }
    }

    /// Erases the key versions whose delay is over. It blocks.
    ///
    /// # Errors
    /// When log or store cannot be written; what is left is erased at the next call.
    pub(crate) fn destroy_due(&self) -> Result<(), Fault> {
        let mut orders = lock(&self.orders);
        let now = self.clock.now();
        let due = orders.due(now);
        if due.is_empty() {
            return Ok(());
        }
        for (key, order) in &due {
            self.destroy(key, order, now)?;
        }
        // Copies of the erased records lie in free pages of the store, in backups and on the disk.
        self.erase_replaced()?;
        // Only now is it done: until then it is due again at the next start.
        for (key, _) in &due {
            let target = Target::Destruction(*key);
            if let Some(obeyed) = orders.0.get_mut(&target) {
                obeyed.record.destroy_at = None;
                self.keys.store().set_order(&target, &obeyed.record)?;
            }
        }
        self.keys.set_stops(orders.stops());
        self.keep_log_floor()
    }

    /// Logged first, then erased: a crash in between erases again at the next start.
    fn destroy(&self, key: &KeyVersion, order: &OwnerOrder, now: Timestamp) -> Result<(), Fault> {
        let Some(info) = self.keys.info(key)? else { return Ok(()) };
        if info.record.state == KeyState::Destroyed {
            return Ok(());
        }
        let manifest_sha256 = sha256(&[&info.record.manifest]);
        let event = DestroyedEvent {
            account: key.account,
            key: KeyRef { key_id: key.id, version: key.version },
            order_id: order.order_id,
            manifest_sha256,
        };
        let entry = Entry { at: now, event: Event::Destroyed(event) };
        let position = self.log.append_blocking(&entry).map_err(log_refusal)?;
        let receipt = DestroyReceipt {
            deployment: order.deployment,
            manager: self.index,
            key: *key,
            manifest_sha256,
            order_id: order.order_id,
            order_sha256: sha256(&[&order.to_bytes()]),
            destroyed_at: now,
            checkpoint: self.checkpoint_note(&position),
        };
        self.keys.erase(key, &receipt.seal(&self.identity))?;
        let KeyVersion { account, id, version } = key;
        tracing::warn!(%account, key = %id, version, "a key version was erased for good");
        Ok(())
    }

    /// How key versions are here.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] when the store fails.
    pub(crate) fn key_reports(&self, keys: &[KeyVersion]) -> Result<Vec<KeyReport>, Refusal> {
        let report = |key: &KeyVersion| self.key_report(key);
        keys.iter().map(report).collect::<Result<_, _>>().map_err(|fault| store_refusal(&fault))
    }

    fn key_report(&self, key: &KeyVersion) -> Result<KeyReport, Fault> {
        let stops = self.keys.stops();
        let Some(info) = self.keys.info(key)? else {
            let frozen = stops.is_frozen(key, "");
            let condition = Condition::Unknown;
            return Ok(KeyReport { key: *key, condition, frozen, receipt: None });
        };
        let scheduled = stops.scheduled(key);
        let condition = match (info.record.state, scheduled) {
            // Also while it is being erased.
            (_, Some((order_id, destroy_at))) => {
                Condition::Scheduled { order_id: *order_id, destroy_at: *destroy_at }
            }
            (KeyState::Destroyed, None) => Condition::Destroyed,
            (KeyState::Pending { .. }, None) => Condition::Pending,
            (KeyState::Enabled, None) => Condition::Enabled,
        };
        let receipt = match condition {
            Condition::Destroyed => self.keys.store().receipt(key)?,
            _ => None,
        };
        Ok(KeyReport { key: *key, condition, frozen: stops.is_frozen(key, info.group()), receipt })
    }

    /// Obeys an order of the owner with this encoding; see [`ManagerAnswer::OrderTaken`]. For who
    /// has the order as a file.
    ///
    /// # Errors
    /// When the owner did not sign it, when it is over, when a newer one was obeyed, when there is
    /// nothing to do it to, and when it cannot be kept.
    pub async fn apply_order(self: &Arc<Self>, signed: &[u8]) -> Result<(), Fault> {
        let signed = Signed::from_bytes(signed)?;
        self.heavy(move |manager| manager.obey(signed)).await.map_err(Fault::from).map(drop)
    }
}

fn taken(order: &OwnerOrder, record: &OrderRecord) -> ManagerAnswer {
    ManagerAnswer::OrderTaken { order_id: order.order_id, destroy_at: record.destroy_at }
}
