//! Searching and exporting the account's audit log.

use std::collections::BTreeMap;

use keysherd_audit::{Filter, HeadFields, Link};
use keysherd_base::{AccountId, ItemPath, Timestamp};
use keysherd_domain::role::Capability;
use serde::{Deserialize, Serialize};

use crate::items::ItemView;

/// Searches the audit log, as far as the caller's scope reaches.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditSearch {
    /// What is looked for.
    pub filter: Filter,
    /// Whether the oldest record comes first.
    pub oldest_first: bool,
    /// The token of this page, as the page before gave it.
    pub page: Option<String>,
    /// At most this many records.
    pub limit: usize,
}

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditSearchReply {
    /// The records in their one encoding ([`keysherd_audit::Record`]).
    pub records: Vec<String>,
    /// The token of the next page, for the same caller and the same search only. A page may be
    /// short, even empty, and have a next one.
    pub next: Option<String>,
    /// The number of the newest record: the search considered all records up to it.
    pub newest: u64,
}

/// Exports records, oldest first, page by page, as far as the caller's scope reaches.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditExport {
    /// Which records.
    pub filter: Filter,
    /// Only records after this number.
    pub after: u64,
    /// The token of this page, as the page before gave it.
    pub page: Option<String>,
}

/// A part of an export.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditExportReply {
    /// Whole lines ([`keysherd_audit::ExportReader`] reads them), without line breaks.
    pub lines: Vec<String>,
    /// How many records were exported so far.
    pub records: u64,
    /// The token of the next page; `None` after the line with the seal.
    pub next: Option<String>,
}

/// Asks for what follows a record, to forward it. Recorded only when the page has something else
/// than earlier readings of this kind.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AuditFollow {
    /// Only records after this number.
    pub after: u64,
}

/// What follows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditFollowReply {
    /// Whose log.
    pub account: AccountId,
    /// The link of the record asked after; `None` when there is no such record.
    pub previous: Option<Link>,
    /// The next records in order, without gaps; not all there are.
    pub records: Vec<FollowedRecord>,
    /// The number of the newest record.
    pub newest: u64,
    /// Whether the bearer may do anything beside reading the log.
    pub more_rights: bool,
}

/// A record with its place in the chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FollowedRecord {
    /// Its number.
    pub seq: u64,
    /// Its link.
    pub link: Link,
    /// Its one encoding ([`keysherd_audit::Record`]).
    pub record: String,
}

/// Asks for the signed head of the account's chain.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AuditCheckpoint;

/// A signed head.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditCheckpointReply {
    /// The head.
    pub head: HeadFields,
    /// The public key it is signed with, in hex.
    pub key: String,
}

/// Asks for sums over the audit log, and for what the account has.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AnalyticsGet;

/// Sums over the last days.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Analytics {
    /// Up to when.
    pub time: Timestamp,
    /// The account.
    pub account: AccountId,
    /// Requests by day, bearer, action and outcome, as far as the caller's scope reaches.
    pub days: Vec<DaySum>,
    /// What the account has; only with usage-reports-access.
    pub usage: Option<Usage>,
}

/// Requests of one kind on one day.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaySum {
    /// Days since the epoch, UTC.
    pub day: i64,
    /// The auth method's access id; empty: unknown.
    pub access_id: String,
    /// Who it was within the method; empty: unknown.
    pub unique_id: String,
    /// The kind of the auth method; empty: unknown.
    pub access_type: String,
    /// The action.
    pub action: String,
    /// The outcome as an HTTP status.
    pub status: u16,
    /// How many requests.
    pub requests: u64,
    /// Microseconds of all of them together.
    pub micros: u64,
}

/// What an account has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Usage {
    /// Items by `item_type`.
    pub items: BTreeMap<String, u64>,
    /// Those who used the account in the last days.
    pub clients: Vec<UsageClient>,
}

/// One who used the account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UsageClient {
    /// The auth method's access id.
    pub access_id: String,
    /// The name of the auth method; empty when it was deleted.
    pub method: String,
    /// The kind of the auth method.
    pub access_type: String,
    /// Who it was within the method.
    pub unique_id: String,
}

/// Asks for items whose values nobody used for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnusedItems {
    /// Not since this time.
    pub since: Timestamp,
    /// Only paths after this one.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// Items nobody used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnusedItemsReply {
    /// The items.
    pub items: Vec<ItemView>,
    /// The path after which to go on; `None` when there are no more.
    pub next: Option<String>,
}

/// Asks for rules of roles that nobody made use of for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnusedRights {
    /// Not since this time.
    pub since: Timestamp,
    /// The role's path and the number of its rule to begin with.
    pub after: Option<(String, u32)>,
}

/// Rules that nobody made use of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnusedRightsReply {
    /// The rules.
    pub rules: Vec<UnusedRule>,
    /// Where to go on; `None` when there are no more.
    pub next: Option<(String, u32)>,
}

/// A rule that grants what nobody made use of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnusedRule {
    /// The role's path.
    pub role: ItemPath,
    /// The rule's path.
    pub rule: String,
    /// The capabilities that were not used.
    pub unused: Vec<Capability>,
    /// How many associations the role has.
    pub methods: usize,
}
