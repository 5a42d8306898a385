//! What a use case knows about a request: the [`Draft`] of an audit record.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use keysherd_base::{AccessId, AccountId, Fault, FaultKind, RequestId, Timestamp};

use crate::record::write_tail;

/// Longest text of a record in bytes; longer ones are cut and end in an ellipsis. An item path
/// (at most 1,024 bytes) always fits, and nobody can fill the disk with one request.
pub const TEXT_BYTES_MAX: usize = 2_048;

/// One request parameter. Making one is a choice: its value is shown, or only that there was one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    name: Cow<'static, str>,
    value: Option<Cow<'static, str>>,
}

impl Param {
    /// A parameter whose value everyone who may read the audit log may see: names of objects,
    /// choices, numbers. Never a secret value, a credential or a part of one.
    pub fn public(name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }

    /// A parameter that was given and whose value is not recorded.
    pub fn redacted(name: &'static str) -> Self {
        Self { name: name.into(), value: None }
    }

    /// Its public name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value; `None` when it is redacted.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    pub(crate) fn from_stored((name, value): (String, Option<String>)) -> Self {
        Self { name: name.into(), value: value.map(Cow::Owned) }
    }
}

/// Why a request failed, as far as its audit record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong; its HTTP status is the record's.
    pub kind: FaultKind,
    /// The machine-readable code.
    pub code: Cow<'static, str>,
}

impl From<FaultKind> for Failure {
    fn from(kind: FaultKind) -> Self {
        Self { kind, code: kind.code().into() }
    }
}

impl From<&Fault> for Failure {
    fn from(fault: &Fault) -> Self {
        Self { kind: fault.kind(), code: fault.code().to_owned().into() }
    }
}

/// An audit record before it has its place in the chain: everything the use case knows.
///
/// Start from [`Draft::new`] and fill in what is known. What is shared by many requests (client
/// type, claims) is behind an [`Arc`], so that a draft on the hot path copies little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The account whose chain it belongs to; all zero when the request names no known account.
    pub account: AccountId,
    /// Identifies the request in logs and in the records of other roles.
    pub request: RequestId,
    /// The public command, such as `get-secret-value`.
    pub command: Arc<str>,
    /// The action, one of [`crate::action`].
    pub action: Cow<'static, str>,
    /// The part of the system that acted, such as `control/items`.
    pub component: Cow<'static, str>,
    /// The auth method; `None` before the caller is known.
    pub access_id: Option<AccessId>,
    /// Who the bearer is within a shared auth method; empty: unknown.
    pub unique_id: Arc<str>,
    /// The kind of the auth method, such as `api_key`; empty: unknown.
    pub access_type: Cow<'static, str>,
    /// The claims that the auth method lets into audit records.
    pub sub_claims: Arc<BTreeMap<String, Vec<String>>>,
    /// The `item_type` of the item; empty: no item.
    pub item_type: Cow<'static, str>,
    /// Names of the objects the request is about and its other parameters.
    pub params: Vec<Param>,
    /// The client's address.
    pub client_address: Option<IpAddr>,
    /// The client type, such as `sdk`; empty: unknown.
    pub client_type: Arc<str>,
    /// The product, `sm` for secrets and keys.
    pub product: Cow<'static, str>,
    /// When the edge received the request.
    pub received: Timestamp,
}

impl Draft {
    /// A draft that names the request and nothing else yet; product `sm`.
    pub fn new(
        account: AccountId,
        request: RequestId,
        command: Arc<str>,
        action: &'static str,
        received: Timestamp,
    ) -> Self {
        Self {
            account,
            request,
            command,
            action: action.into(),
            component: "control".into(),
            access_id: None,
            unique_id: "".into(),
            access_type: "".into(),
            sub_claims: Arc::default(),
            item_type: "".into(),
            params: Vec::new(),
            client_address: None,
            client_type: "".into(),
            product: "sm".into(),
            received,
        }
    }

    /// This draft with one more public parameter, see [`Param::public`].
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.params.push(Param::public(name, value));
        self
    }

    /// Encodes what the draft knows, so that whoever gives it its place has little left to do.
    pub fn prepare(&self) -> Prepared {
        let mut tail = Vec::with_capacity(512);
        write_tail(self, &mut tail);
        Prepared { account: self.account, received: self.received, tail }
    }
}

/// An encoded [`Draft`]: all of a record but its place, time and outcome.
#[derive(Clone, Debug)]
pub struct Prepared {
    account: AccountId,
    received: Timestamp,
    tail: Vec<u8>,
}

impl Prepared {
    /// The account whose chain it belongs to.
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// When the edge received the request.
    pub const fn received(&self) -> Timestamp {
        self.received
    }

    /// Everything after the record's head, from the comma to the closing brace.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.tail
    }
}
