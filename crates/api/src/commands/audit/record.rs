//! An audit record as answers show it: the published names of its parts.

use std::collections::BTreeMap;

use keysherd_audit::Record;
use keysherd_base::Fault;
use serde::Serialize;
use serde_json::Value;

/// What stands for a value that is not recorded.
const REDACTED: &str = "[redacted]";

/// A record.
#[derive(Serialize)]
pub(super) struct RecordReply {
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

impl RecordReply {
    /// Shows the record with this encoding.
    ///
    /// # Errors
    /// [`Fault::internal`] for a record that somebody altered.
    pub(super) fn read(text: &str) -> Result<Self, Fault> {
        let record = Record::parse(text.as_bytes()).map_err(|bad| {
            Fault::internal(format_args!("{bad}; run keysherd audit verify on control's machine"))
        })?;
        Ok(Self::of(record))
    }

    fn of(record: Record) -> Self {
        let draft = record.draft;
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
            access_id: draft.access_id.map(|id| id.to_string()),
            unique_id: draft.unique_id.to_string(),
            access_type: draft.access_type.into_owned(),
            component: draft.component.into_owned(),
            action: draft.action.into_owned(),
            item_type: draft.item_type.into_owned(),
            status: record.status,
            error: record.error.map(|code| code.into_owned()),
            remote_addr: draft.client_address.map(|address| address.to_string()),
            duration: record.duration_us / 1_000,
            request_parameters: params.into_iter().map(one_or_many).collect(),
            client_sub_claims: (*draft.sub_claims).clone(),
            product: draft.product.into_owned(),
            command: draft.command.to_string(),
            client_type: draft.client_type.to_string(),
            request_id: draft.request.to_string(),
        }
    }
}

/// A parameter that was given several times is a list.
fn one_or_many((name, mut values): (String, Vec<String>)) -> (String, Value) {
    match values.len() {
        1 => (name, values.swap_remove(0).into()),
        _ => (name, values.into()),
    }
}
