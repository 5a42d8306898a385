//! Entries as text for people and as JSON for programs.

use std::collections::BTreeSet;

use keysherd_base::{AccountId, Timestamp, Uid};
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::order::OwnerOrder;
use keysherd_manager::log::{Checkpoint, DeriveEvent, EpochEvent, Event};
use serde_json::{Value, json};

use super::find::Log;

/// One derived key: what a gateway that has enough parts of it can open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DerivedKey {
    /// The account.
    pub(crate) account: AccountId,
    /// The item.
    pub(crate) item_id: Uid,
    item_version: u64,
    class: u8,
    key_id: Uid,
    key_version: u32,
    context_tag: u64,
}

impl DerivedKey {
    /// What an entry gave out.
    pub(crate) fn all_of(derive: &DeriveEvent) -> impl Iterator<Item = Self> {
        derive.derived().map(|(key, item)| Self {
            account: derive.account,
            item_id: item.item_id,
            item_version: item.item_version,
            class: item.class.number(),
            key_id: key.key_id,
            key_version: key.version,
            context_tag: item.context_tag,
        })
    }

    fn json(&self) -> Value {
        json!({
            "account_id": self.account.to_string(), "item_id": self.item_id.to_string(),
            "item_version": self.item_version, "class": self.class,
            "key_id": self.key_id.to_string(), "key_version": self.key_version,
            "context_tag": format!("{:016x}", self.context_tag),
        })
    }

    fn text(&self) -> String {
        let Self { item_id, item_version, class, key_id, key_version, .. } = self;
        format!("item={item_id} version={item_version} class={class} key={key_id}#{key_version}")
    }
}

/// When and where a derived key was obtained.
#[derive(Clone, Debug, Default)]
pub(crate) struct Obtained {
    times: BTreeSet<Timestamp>,
    managers: BTreeSet<u8>,
    gateways: BTreeSet<[u8; 32]>,
}

impl Obtained {
    /// Adds one part.
    pub(crate) fn add(&mut self, at: Timestamp, manager: u8, gateway: [u8; 32]) {
        self.times.insert(at);
        if self.times.len() > 2 {
            // Only the first and the last are shown.
            let middle = self.times.iter().nth(1).copied();
            middle.map(|time| self.times.remove(&time));
        }
        self.managers.insert(manager);
        self.gateways.insert(gateway);
    }
}

/// One line for a derived key.
pub(crate) fn derived(as_json: bool, key: &DerivedKey, obtained: &Obtained) -> String {
    let first = obtained.times.first().copied().unwrap_or_default();
    let last = obtained.times.last().copied().unwrap_or_default();
    let gateways: Vec<String> = obtained.gateways.iter().map(hex::encode).collect();
    let managers: Vec<u8> = obtained.managers.iter().copied().collect();
    if as_json {
        let mut line = key.json();
        line["first"] = json!(first.rfc3339());
        line["last"] = json!(last.rfc3339());
        line["managers"] = json!(managers);
        line["gateways"] = json!(gateways);
        return line.to_string();
    }
    let account = key.account;
    let gateways = gateways.join(",");
    let key = key.text();
    format!("{key} account={account} first={first} last={last} managers={managers:?} {gateways}")
}

/// One line for an entry.
pub(crate) fn entry(
    as_json: bool,
    log: &Log,
    after: &Checkpoint,
    at: Timestamp,
    event: &Event,
) -> String {
    let (name, fields) = fields(event);
    let (index, number) = (log.index, after.size);
    if as_json {
        let mut line = json!({
            "manager": index, "entry": number, "time": at.rfc3339(), "time_ms": at.0,
            "event": name,
        });
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
        }
        return line.to_string();
    }
    let Value::Object(fields) = fields else { return String::new() };
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    format!("{at} manager={index} entry={number} {name} {}", fields.join(" "))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn fields(event: &Event) -> (&'static str, Value) {
    match event {
        Event::Segment { manager, segment, size_before, .. } => {
            let manager = manager.to_string();
            ("segment", json!({"store": manager, "segment": segment, "before": size_before}))
        }
        Event::Opened { bundle_version, identity } => {
            let identity = hex::encode(identity);
            ("opened", json!({"bundle_version": bundle_version, "identity": identity}))
        }
        Event::Bundle { version, sha256 } => {
            ("bundle", json!({"bundle_version": version, "sha256": hex::encode(sha256)}))
        }
        Event::Derive(derive) => ("derive", derivation(derive)),
        Event::Generation(step) => (
            "generation",
            json!({
                "step": format!("{:?}", step.step).to_lowercase(),
                "account_id": step.account.to_string(),
                "key_id": step.key.key_id.to_string(), "key_version": step.key.version,
                "gateway": hex::encode(step.gateway), "session": step.session.to_string(),
                "audit_seq": step.audit_seq,
            }),
        ),
        Event::Order(order) => match OwnerOrder::from_bytes(&order.body) {
            Ok(order) => (
                "order",
                json!({
                    "order_id": order.order_id.to_string(), "issued": order.issued_at.rfc3339(),
                    "action": format!("{:?}", order.action),
                }),
            ),
            Err(_) => ("order", json!({"body": hex::encode(&order.body)})),
        },
        Event::Epochs(step) => ("epochs", epochs(step)),
        Event::Destroyed(erased) => (
            "destroyed",
            json!({
                "account_id": erased.account.to_string(),
                "key_id": erased.key.key_id.to_string(), "key_version": erased.key.version,
                "order_id": erased.order_id.to_string(),
            }),
        ),
    }
}

/// What an entry of a refresh or a repair says.
fn epochs(event: &EpochEvent) -> Value {
    let keys = event.keys.iter().map(|(account, key, epoch)| {
        json!({
            "account_id": account.to_string(), "key_id": key.key_id.to_string(),
            "key_version": key.version, "epoch": epoch,
        })
    });
    let keys: Vec<Value> = keys.collect();
    json!({
        "step": format!("{:?}", event.step).to_lowercase(), "session": event.session.to_string(),
        "manager": event.manager, "participants": event.participants,
        "gateway": hex::encode(event.gateway), "audit_seq": event.audit_seq, "keys": keys,
    })
}

/// What an entry of a derivation says.
pub(crate) fn derivation(derive: &DeriveEvent) -> Value {
    let items: Vec<Value> = DerivedKey::all_of(derive).map(|key| key.json()).collect();
    let subjects: Vec<String> =
        derive.subjects.iter().map(|subject| hex::encode(subject.access_id_sha256)).collect();
    json!({
        "op": format!("{:?}", derive.op).to_lowercase(),
        "account_id": derive.account.to_string(), "gateway": hex::encode(derive.gateway),
        "cluster": derive.cluster.to_string(), "permit_id": derive.permit_id.to_string(),
        "audit_seq": derive.audit_seq, "request_id": derive.request_id.to_string(),
        "bundle_version": derive.bundle_version, "subjects": subjects, "items": items,
    })
}

/// One line for a log that was verified.
pub(crate) fn verified(
    as_json: bool,
    log: &Log,
    end: &Checkpoint,
    finding: &Option<String>,
) -> String {
    let (index, store, size) = (log.index, log.manager, end.size);
    if as_json {
        return json!({
            "manager": index, "store": store.to_string(), "ok": finding.is_none(),
            "entries": size, "head": hex::encode(end.head), "finding": finding,
        })
        .to_string();
    }
    match finding {
        Some(finding) => format!("manager {index} ({store}): NOT INTACT: {finding}"),
        None => {
            let head = hex::encode(end.head);
            format!("manager {index} ({store}): {size} entries, none altered; head {head}")
        }
    }
}
