//! A record with the published names of its parts, as answers show it and collectors get it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::record::Record;

/// What stands for a value that is not recorded.
const REDACTED: &str = "[redacted]";

/// A record.
#[derive(Serialize)]
pub struct Published {
    timestamp: String,
    /// Milliseconds since the epoch: the whole time.
    timestamp_ms: i64,
    seq_num: u64,
    account_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_id: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    unique_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    access_type: String,
    component: String,
    action: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    item_type: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_addr: Option<String>,
    /// Milliseconds.
    duration: u64,
    request_parameters: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    client_sub_claims: BTreeMap<String, Vec<String>>,
    product: String,
    command: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    client_type: String,
    request_id: String,
}

impl Published {
    /// Shows `record`.
    pub fn of(record: &Record) -> Self {
        let draft = &record.draft;
        let mut params: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for param in &draft.params {
            let value = param.value().unwrap_or(REDACTED).to_owned();
            params.entry(param.name().to_owned()).or_default().push(value);
        }
        Self {
            timestamp: record.time.rfc3339(),
            timestamp_ms: record.time.0,
            seq_num: record.seq,
            account_id: draft.account.to_string(),
            access_id: draft.access_id.as_ref().map(ToString::to_string),
            unique_id: draft.unique_id.to_string(),
            access_type: draft.access_type.to_string(),
            component: draft.component.to_string(),
            action: draft.action.to_string(),
            item_type: draft.item_type.to_string(),
            status: record.status,
            error: record.error.as_deref().map(str::to_owned),
            remote_addr: draft.client_address.map(|address| address.to_string()),
            duration: record.duration_us / 1_000,
            request_parameters: params.into_iter().map(one_or_many).collect(),
            client_sub_claims: (*draft.sub_claims).clone(),
            product: draft.product.to_string(),
            command: draft.command.to_string(),
            client_type: draft.client_type.to_string(),
            request_id: draft.request.to_string(),
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        serde_json::to_value(self).expect("invariant: texts, numbers and lists always serialize")
    }
}

/// A parameter that was given several times is a list.
fn one_or_many((name, mut values): (String, Vec<String>)) -> (String, Value) {
    match values.len() {
        1 => (name, values.swap_remove(0).into()),
        _ => (name, values.into()),
    }
}
