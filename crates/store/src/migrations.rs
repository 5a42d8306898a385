//! The schema and its history: an embedded list of migrations, each applied once and in order.

use keysherd_base::{Fault, FaultKind};

use crate::engine::NotCommitted;
use crate::meta;
use crate::query::Tx;

/// Number and text of each migration. Numbers only grow; a published text never changes.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../migrations/0001_initial.sql")),
    (2, include_str!("../migrations/0002_key_rotations.sql")),
    (4, include_str!("../migrations/0004_owner.sql")),
    (5, include_str!("../migrations/0005_uid.sql")),
    (6, include_str!("../migrations/0006_roles.sql")),
    (12, include_str!("../migrations/0012_clusters.sql")),
    (13, include_str!("../migrations/0013_changes.sql")),
    (14, include_str!("../migrations/0014_leases.sql")),
    (15, include_str!("../migrations/0015_gateway_journals.sql")),
    (16, include_str!("../migrations/0016_used_proofs.sql")),
    (17, include_str!("../migrations/0017_gateway_access.sql")),
    (18, include_str!("../migrations/0018_journal_gaps.sql")),
];

/// Name of the schema's version in [`meta`].
const VERSION: &str = "schema_version";

/// Brings the schema up to date, all in one transaction.
///
/// # Errors
/// [`FaultKind::Unavailable`] when a newer program wrote the store.
pub(crate) fn apply(tx: &Tx) -> Result<(), Fault> {
    if is_up_to_date(tx)? {
        return Ok(());
    }
    tx.raw().begin_definitions()?;
    let outcome = apply_missing(tx);
    if outcome.is_err() {
        // The fault that made it necessary is the one to report.
        let _ = tx.raw().roll_back();
    }
    outcome
}

fn is_up_to_date(tx: &Tx) -> Result<bool, Fault> {
    let newest = MIGRATIONS.last().map_or(0, |(number, _)| *number);
    let current = current(tx)?;
    if current > newest {
        return Err(Fault::new(
            FaultKind::Unavailable,
            format!(
                "the store has schema version {current} and this program knows versions up to \
                 {newest}; use the newer program"
            ),
        ));
    }
    Ok(current == newest)
}

/// Within the transaction: another node may have been faster.
fn apply_missing(tx: &Tx) -> Result<(), Fault> {
    let current = current(tx)?;
    for (number, text) in MIGRATIONS.iter().filter(|(number, _)| *number > current) {
        tx.raw().define(text)?;
        meta::put(tx, VERSION, &number.to_string())?;
    }
    tx.raw().commit().map_err(NotCommitted::into_fault)
}

fn current(tx: &Tx) -> Result<i64, Fault> {
    if !tx.raw().has_table("meta")? {
        return Ok(0);
    }
    let text = meta::get(tx, VERSION)?.unwrap_or_default();
    text.parse().map_err(|_| Fault::internal("the store's schema version is not a number"))
}
