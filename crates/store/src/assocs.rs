//! Associations of roles with auth methods.

use keysherd_base::{AccountId, AssocId, Fault, Timestamp};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::Assoc;
use serde::{Deserialize, Serialize};

use crate::changes::{self, Touched};
use crate::query::{Query, Row, Tx, all, first, from_json, run, to_json};

const INSERT: &str = "INSERT INTO assocs (id, account, role, method, condition, created) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const UPDATE: &str = "UPDATE assocs SET condition = ?2 WHERE id = ?1";
const OWNER: &str = "SELECT account FROM assocs WHERE id = ?1";
const DELETE: &str = "DELETE FROM assocs WHERE account = ?1 AND id = ?2";
const BY_ID: &str = "SELECT id, role, method, condition, created FROM assocs \
                     WHERE account = ?1 AND id = ?2";
const ALL: &str = "SELECT id, role, method, condition, created FROM assocs \
                   WHERE account = ?1 ORDER BY created, id";
const OF_ROLE: &str = "SELECT id, role, method, condition, created FROM assocs \
                       WHERE role = ?1 ORDER BY created, id";
const OF_METHOD: &str = "SELECT id, role, method, condition, created FROM assocs \
                         WHERE method = ?1 ORDER BY created, id";

/// Adds an association.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when the same role is already associated with the same
/// method under the same condition.
pub fn insert(tx: &Tx, account: AccountId, assoc: &Assoc) -> Result<(), Fault> {
    changes::note(tx, account, Touched::Identities);
    let condition = to_json(&Condition::of(assoc))?;
    let args = [
        (&*assoc.id.0).into(),
        (&account).into(),
        assoc.role.into(),
        assoc.method.into(),
        (&condition).into(),
        assoc.created.0.into(),
    ];
    run(tx, INSERT, &args).map_err(|refused| refused.or_taken(taken))?;
    Ok(())
}

/// Replaces the condition of the association with this id; `false` when there is none.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when another association is now the same.
pub fn update(tx: &Tx, assoc: &Assoc) -> Result<bool, Fault> {
    changes::note_owner(tx, OWNER, (&*assoc.id.0).into(), Touched::Identities)?;
    let condition = to_json(&Condition::of(assoc))?;
    let changed = run(tx, UPDATE, &[(&*assoc.id.0).into(), (&condition).into()])
        .map_err(|refused| refused.or_taken(taken))?;
    Ok(changed == 1)
}

/// Deletes an association; `false` when there is none.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, account: AccountId, id: &AssocId) -> Result<bool, Fault> {
    changes::note(tx, account, Touched::Identities);
    Ok(run(tx, DELETE, &[(&account).into(), (&*id.0).into()])? == 1)
}

/// The association with this id.
///
/// # Errors
/// Only when the store is broken.
pub fn by_id(q: &dyn Query, account: AccountId, id: &AssocId) -> Result<Option<Assoc>, Fault> {
    first(q, BY_ID, &[(&account).into(), (&*id.0).into()], assoc_of)
}

/// All associations of an account, oldest first.
///
/// # Errors
/// Only when the store is broken.
pub fn all_of(q: &dyn Query, account: AccountId) -> Result<Vec<Assoc>, Fault> {
    all(q, ALL, &[(&account).into()], assoc_of)
}

/// The associations of a role, oldest first.
///
/// # Errors
/// Only when the store is broken.
pub fn of_role(q: &dyn Query, role: i64) -> Result<Vec<Assoc>, Fault> {
    all(q, OF_ROLE, &[role.into()], assoc_of)
}

/// The associations of an auth method, oldest first.
///
/// # Errors
/// Only when the store is broken.
pub fn of_method(q: &dyn Query, method: i64) -> Result<Vec<Assoc>, Fault> {
    all(q, OF_METHOD, &[method.into()], assoc_of)
}

/// What makes two associations of one role with one method different. Its text is compared, so
/// its fields never change their order.
#[derive(Serialize, Deserialize)]
struct Condition {
    case_sensitive: bool,
    sub_claims: SubClaims,
}

impl Condition {
    fn of(assoc: &Assoc) -> Self {
        Self { case_sensitive: assoc.case_sensitive, sub_claims: assoc.sub_claims.clone() }
    }
}

fn taken() -> String {
    "this association of the role with the auth method already exists".to_owned()
}

fn assoc_of(row: &Row<'_>) -> Result<Assoc, Fault> {
    let condition: Condition = from_json(row.text(3)?)?;
    Ok(Assoc {
        id: AssocId(row.text(0)?.into()),
        role: row.int(1)?,
        method: row.int(2)?,
        sub_claims: condition.sub_claims,
        case_sensitive: condition.case_sensitive,
        created: Timestamp(row.int(4)?),
    })
}
