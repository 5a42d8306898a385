//! The record and its one encoding: JSON with a fixed key order and no choices.
//!
//! ```text
//! {"v":1,"account_id":"acc-...","seq_num":41,"timestamp":1767607872000,"status":200,
//!  "error":"NotFound"?,"duration_us":12000, <what the draft knows> }
//! ```
//! (without line breaks). Times are milliseconds since the epoch. What is unknown is left out.
//! A record parses only if encoding what was parsed gives the same bytes again.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use keysherd_base::{AccessId, AccountId, RequestId, Timestamp, Uid};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};

use crate::draft::{Draft, Failure, Param, Prepared, TEXT_BYTES_MAX};

#[cfg(test)]
pub(crate) mod tests;

/// The version of the encoding.
const FORMAT_VERSION: u8 = 1;

/// The HTTP status of a request that succeeded.
const STATUS_DONE: u16 = 200;

/// An audit record: a draft with its place, time and outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the account's chain, from 1.
    pub seq: u64,
    /// When it was recorded.
    pub time: Timestamp,
    /// The outcome as an HTTP status.
    pub status: u16,
    /// The machine-readable code of a failure.
    pub error: Option<Cow<'static, str>>,
    /// From receiving the request to recording it, in microseconds; resolution of the clock.
    pub duration_us: u64,
    /// What the use case knew.
    pub draft: Draft,
}

/// Bytes that are not a record in its one encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord(Box<str>);

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an audit record: {}", self.0)
    }
}

impl std::error::Error for BadRecord {}

impl Prepared {
    /// Encodes the whole record into `out`, which is emptied first.
    pub fn finish(&self, seq: u64, time: Timestamp, failure: Option<&Failure>, out: &mut Vec<u8>) {
        let millis = u64::try_from(time.millis_since(self.received())).unwrap_or(0);
        let outcome = Outcome {
            status: failure.map_or(STATUS_DONE, |failure| failure.kind.http_status()),
            error: failure.map(|failure| &*failure.code),
            duration_us: millis.saturating_mul(1000),
        };
        out.clear();
        write_prefix(self.account(), seq, out);
        write_outcome(time, &outcome, out);
        out.extend_from_slice(self.tail());
    }
}

impl Record {
    /// Encodes the record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(640);
        let outcome = Outcome {
            status: self.status,
            error: self.error.as_deref(),
            duration_us: self.duration_us,
        };
        write_prefix(self.draft.account, self.seq, &mut out);
        write_outcome(self.time, &outcome, &mut out);
        write_tail(&self.draft, &mut out);
        out
    }

    /// Parses a record strictly.
    ///
    /// # Errors
    /// [`BadRecord`] for anything that is not exactly what [`Record::encode`] gives.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadRecord> {
        let stored: Stored =
            serde_json::from_slice(bytes).map_err(|error| bad(&error.to_string()))?;
        let record = stored.into_record()?;
        if record.encode() == bytes { Ok(record) } else { Err(bad("it is not in canonical form")) }
    }
}

pub(crate) fn bad(why: &str) -> BadRecord {
    BadRecord(why.into())
}

/// The part of a record that says how the request ended.
struct Outcome<'a> {
    status: u16,
    error: Option<&'a str>,
    duration_us: u64,
}

/// What every record of `account` with number `seq` begins with, in every version so far.
pub(crate) fn write_prefix(account: AccountId, seq: u64, out: &mut Vec<u8>) {
    write_infallibly(
        out,
        format_args!("{{\"v\":{FORMAT_VERSION},\"account_id\":\"{account}\",\"seq_num\":{seq},"),
    );
}

fn write_outcome(time: Timestamp, outcome: &Outcome<'_>, out: &mut Vec<u8>) {
    let (time, status) = (time.0, outcome.status);
    write_infallibly(out, format_args!("\"timestamp\":{time},\"status\":{status},"));
    if let Some(code) = outcome.error {
        out.extend_from_slice(b"\"error\":");
        write_json(&Text(code), out);
        out.push(b',');
    }
    write_infallibly(out, format_args!("\"duration_us\":{}", outcome.duration_us));
}

/// Everything from the comma after the outcome to the closing brace.
pub(crate) fn write_tail(draft: &Draft, out: &mut Vec<u8>) {
    let start = out.len();
    write_json(&Tail::of(draft), out);
    // The draft continues an object that is already open.
    if let Some(brace) = out.get_mut(start) {
        *brace = b',';
    }
}

fn write_infallibly(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("invariant: writing to a Vec cannot fail");
}

fn write_json(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("invariant: strings and numbers always serialize");
}

/// What a draft knows, in the order of the encoding.
#[derive(Serialize)]
struct Tail<'a> {
    received: i64,
    request_id: Hex,
    command: Text<'a>,
    component: Text<'a>,
    action: Text<'a>,
    product: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Text::is_empty")]
    access_type: Text<'a>,
    #[serde(skip_serializing_if = "Text::is_empty")]
    unique_id: Text<'a>,
    #[serde(skip_serializing_if = "Claims::is_empty")]
    client_sub_claims: Claims<'a>,
    #[serde(skip_serializing_if = "Text::is_empty")]
    item_type: Text<'a>,
    request_parameters: Params<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_addr: Option<IpAddr>,
    #[serde(skip_serializing_if = "Text::is_empty")]
    client_type: Text<'a>,
}

impl<'a> Tail<'a> {
    fn of(draft: &'a Draft) -> Self {
        Self {
            received: draft.received.0,
            request_id: Hex(draft.request),
            command: Text(&draft.command),
            component: Text(&draft.component),
            action: Text(&draft.action),
            product: Text(&draft.product),
            access_id: draft.access_id.as_ref().map(AccessId::as_str),
            access_type: Text(&draft.access_type),
            unique_id: Text(&draft.unique_id),
            client_sub_claims: Claims(&draft.sub_claims),
            item_type: Text(&draft.item_type),
            request_parameters: Params(&draft.params),
            remote_addr: draft.client_address,
            client_type: Text(&draft.client_type),
        }
    }
}

/// A text, cut to [`TEXT_BYTES_MAX`].
struct Text<'a>(&'a str);

impl Text<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        const MARK: &str = "…";
        if self.0.len() <= TEXT_BYTES_MAX {
            return to.serialize_str(self.0);
        }
        let end = self.0.floor_char_boundary(TEXT_BYTES_MAX - MARK.len());
        to.collect_str(&format_args!("{}{MARK}", &self.0[..end]))
    }
}

struct Hex(Uid);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

struct Claims<'a>(&'a BTreeMap<String, Vec<String>>);

impl Claims<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Claims<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, values) in self.0 {
            map.serialize_entry(&Text(name), &Values(values))?;
        }
        map.end()
    }
}

struct Values<'a>(&'a [String]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for value in self.0 {
            list.serialize_element(&Text(value))?;
        }
        list.end()
    }
}

struct Params<'a>(&'a [Param]);

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for param in self.0 {
            list.serialize_element(&(Text(param.name()), param.value().map(Text)))?;
        }
        list.end()
    }
}

/// A record as it is read back, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u8,
    account_id: String,
    seq_num: u64,
    timestamp: i64,
    status: u16,
    error: Option<String>,
    duration_us: u64,
    received: i64,
    request_id: String,
    command: String,
    component: String,
    action: String,
    product: String,
    access_id: Option<String>,
    #[serde(default)]
    access_type: String,
    #[serde(default)]
    unique_id: String,
    #[serde(default)]
    client_sub_claims: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    item_type: String,
    request_parameters: Vec<(String, Option<String>)>,
    remote_addr: Option<IpAddr>,
    #[serde(default)]
    client_type: String,
}

impl Stored {
    fn into_record(self) -> Result<Record, BadRecord> {
        if self.v != FORMAT_VERSION {
            return Err(bad("this version of the encoding is not known"));
        }
        let access_id = self.access_id.as_deref().map(AccessId::parse).transpose();
        let draft = Draft {
            account: AccountId::parse(&self.account_id).map_err(|_| bad("account_id"))?,
            request: RequestId::parse(&self.request_id).map_err(|_| bad("request_id"))?,
            command: self.command.into(),
            action: self.action.into(),
            component: self.component.into(),
            access_id: access_id.map_err(|_| bad("access_id"))?,
            unique_id: self.unique_id.into(),
            access_type: self.access_type.into(),
            sub_claims: Arc::new(self.client_sub_claims),
            item_type: self.item_type.into(),
            params: self.request_parameters.into_iter().map(Param::from_stored).collect(),
            client_address: self.remote_addr,
            client_type: self.client_type.into(),
            product: self.product.into(),
            received: Timestamp(self.received),
        };
        Ok(Record {
            seq: self.seq_num,
            time: Timestamp(self.timestamp),
            status: self.status,
            error: self.error.map(Cow::Owned),
            duration_us: self.duration_us,
            draft,
        })
    }
}
