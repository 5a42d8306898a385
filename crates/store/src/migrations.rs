//! The schema and its history: an embedded list of migrations, each applied once and in order.
//!
//! Several releases may work on one database at the same time: a node of the release before goes on
//! while a newer one brings the schema up to date. So a migration adds ([`Step::Expand`]), and what
//! nobody uses any more goes a release later ([`Step::Contract`]), when no program that needs it
//! runs on the database.

use keysherd_base::{Fault, FaultKind};

use crate::engine::NotCommitted;
use crate::meta;
use crate::query::{Query, Tx};

#[cfg(test)]
pub(crate) mod tests;

/// One migration. A published one never changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    /// Numbers only grow.
    pub(crate) number: i64,
    pub(crate) text: &'static str,
    pub(crate) step: Step,
}

/// What a migration means to programs that do not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It only adds tables, indexes, and columns with a default: they go on.
    Expand,
    /// Programs that know no more than what is before `since` do not work with it.
    #[cfg_attr(not(test), expect(dead_code, reason = "nothing had to go so far"))]
    Contract { since: i64 },
}

const fn expand(number: i64, text: &'static str) -> Migration {
    Migration { number, text, step: Step::Expand }
}

/// All of them.
const MIGRATIONS: &[Migration] = &[
    expand(1, include_str!("../migrations/0001_initial.sql")),
    expand(2, include_str!("../migrations/0002_key_rotations.sql")),
    expand(4, include_str!("../migrations/0004_owner.sql")),
    expand(5, include_str!("../migrations/0005_uid.sql")),
    expand(6, include_str!("../migrations/0006_roles.sql")),
    expand(12, include_str!("../migrations/0012_clusters.sql")),
    expand(13, include_str!("../migrations/0013_changes.sql")),
    expand(14, include_str!("../migrations/0014_leases.sql")),
    expand(15, include_str!("../migrations/0015_gateway_journals.sql")),
    expand(16, include_str!("../migrations/0016_used_proofs.sql")),
    expand(17, include_str!("../migrations/0017_gateway_access.sql")),
    expand(18, include_str!("../migrations/0018_journal_gaps.sql")),
    expand(19, include_str!("../migrations/0019_credential_leases.sql")),
    expand(20, include_str!("../migrations/0020_credential_rotations.sql")),
    expand(23, include_str!("../migrations/0023_credential_leases_by_secret.sql")),
    expand(24, include_str!("../migrations/0024_target_assocs.sql")),
];

/// The newest migration before the rule: programs that know less go on with no newer schema.
const BASE: i64 = 18;

/// Name of the schema's version in [`meta`].
const VERSION: &str = "schema_version";
/// Name of the version that a program must know at least, in [`meta`].
const OLDEST: &str = "schema_oldest";

/// What schema a database has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The number of its newest migration; 0: there are no tables yet.
    pub version: i64,
    /// The newest one that this program knows.
    pub known: i64,
    /// Programs that know this one, or a newer one, work with it.
    pub oldest: i64,
}

impl Schema {
    /// Whether this program works with the schema as it is.
    pub const fn is_usable(&self) -> bool {
        self.version > 0 && self.oldest <= self.known && self.known <= self.version
    }
}

/// The number of the newest migration.
pub(crate) fn newest() -> i64 {
    newest_of(MIGRATIONS)
}

fn newest_of(migrations: &[Migration]) -> i64 {
    migrations.last().map_or(0, |migration| migration.number)
}

/// Brings the schema up to date, all in one transaction; gives what it was before.
///
/// # Errors
/// [`FaultKind::Unavailable`] when a newer program wrote the store and does not allow for this one,
/// or when others work on it and must not while this takes place.
pub(crate) fn apply(tx: &Tx) -> Result<Schema, Fault> {
    apply_all(tx, MIGRATIONS)
}

/// As [`apply`], of a program that knows these migrations.
pub(crate) fn apply_all(tx: &Tx, migrations: &[Migration]) -> Result<Schema, Fault> {
    let before = schema_for(tx, newest_of(migrations))?;
    if is_done(&before)? {
        return Ok(before);
    }
    tx.raw().begin_definitions()?;
    let outcome = apply_missing(tx, migrations);
    if outcome.is_err() {
        // The fault that made it necessary is the one to report.
        let _ = tx.raw().roll_back();
    }
    outcome.map(|()| before)
}

/// Whether there is nothing to do.
fn is_done(schema: &Schema) -> Result<bool, Fault> {
    let Schema { version, known, oldest } = *schema;
    if version < known {
        return Ok(false);
    }
    if schema.is_usable() {
        if version > known {
            tracing::info!(
                version,
                known,
                "the schema is of a newer release, which allows for this"
            );
        }
        return Ok(true);
    }
    Err(Fault::new(
        FaultKind::Unavailable,
        format!(
            "the store has schema version {version}, which programs that know version {oldest} or \
             newer work with, and this program knows versions up to {known}; use the newer program"
        ),
    ))
}

/// Within the transaction: another node may have been faster.
fn apply_missing(tx: &Tx, migrations: &[Migration]) -> Result<(), Fault> {
    let before = schema_for(tx, newest_of(migrations))?;
    if is_done(&before)? {
        return tx.raw().roll_back();
    }
    let mut oldest = before.oldest.max(BASE);
    for migration in migrations.iter().filter(|migration| migration.number > before.version) {
        if let Step::Contract { since } = migration.step {
            // Nobody who still needs what goes may be at work. A new database has nobody.
            if before.version > 0 {
                tx.raw().be_alone()?;
            }
            oldest = oldest.max(since);
        }
        tx.raw().define(migration.text)?;
        meta::put(tx, VERSION, &migration.number.to_string())?;
    }
    meta::put(tx, OLDEST, &oldest.to_string())?;
    tx.raw().commit().map_err(NotCommitted::into_fault)
}

/// The schema as this program sees it.
pub(crate) fn schema(q: &dyn Query) -> Result<Schema, Fault> {
    schema_for(q, newest())
}

fn schema_for(q: &dyn Query, known: i64) -> Result<Schema, Fault> {
    if !q.connection().has_table("meta")? {
        return Ok(Schema { version: 0, known, oldest: 0 });
    }
    let number = |text: &str| {
        text.parse().map_err(|_| Fault::internal("the store's schema version is not a number"))
    };
    let version = number(&meta::get(q, VERSION)?.unwrap_or_default())?;
    let oldest = match meta::get(q, OLDEST)? {
        Some(text) => number(&text)?,
        // Made before there was a rule.
        None => version,
    };
    Ok(Schema { version, known, oldest })
}
