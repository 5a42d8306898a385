//! Searching and exporting the account's audit log.

use keysherd_audit::Filter;
use serde::{Deserialize, Serialize};

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
