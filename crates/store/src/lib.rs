//! All SQL of the control plane; one file per noun.
//!
//! [`Store`] is the handle. Reads run on a small pool of read connections; every change runs as a
//! job on one writer thread, which commits all jobs that are waiting, with their audit records, in
//! one durable transaction (group commit). Use cases see [`Reader`] and [`Tx`] only, both of which
//! are a [`Query`], and the functions of the noun modules.
//!
//! Faults: a missing row is `None` or `false`, a taken name is [`FaultKind::Conflict`], a full disk
//! is [`FaultKind::StorageFull`]; everything else is a defect or a broken disk.
//!
//! [`FaultKind::Conflict`]: keysherd_base::FaultKind::Conflict
//! [`FaultKind::StorageFull`]: keysherd_base::FaultKind::StorageFull

pub mod accounts;
pub mod assocs;
pub mod audit;
pub mod auth_methods;
pub mod changes;
pub mod clusters;
pub mod credential_leases;
pub mod credential_rotations;
pub mod export_file;
pub mod folders;
pub mod gateway_access;
pub mod gateway_journals;
pub mod groups;
pub mod item_targets;
pub mod item_versions;
pub mod items;
pub mod key_rotations;
pub mod key_wraps;
pub mod keys;
pub mod leases;
pub mod login_guards;
pub mod meta;
pub mod revoked_tokens;
pub mod roles;
pub mod second_factors;
pub mod target_assocs;
pub mod uid_tokens;
pub mod used_proofs;

mod audit_index;
mod audit_reader;
mod ballast;
mod batch;
mod chains;
mod config;
mod engine;
mod feed;
mod job;
mod lock;
mod migrations;
mod moves;
mod pool;
mod postgres;
mod query;
mod sqlite;
mod store;
mod tables;
mod upkeep;
mod writer;

#[cfg(test)]
mod tests;

pub use audit_index::{
    AuditOrder, AuditPage, AuditSearch, DayRow, DaySums, LastUse, days_since, last_uses_of_items,
    last_uses_of_methods,
};
pub use audit_reader::AuditReader;
pub use config::{HeadSigner, StoreConfig};
pub use migrations::Schema;
pub use postgres::PostgresSettings;
pub use query::{Query, Reader, Tx};
pub use store::{Store, StoreStats, patiently};
pub use tables::{Kind, TABLES, Table};
pub use upkeep::{ChainState, Checked, Inspection, StorePlace};
