//! What became of credentials that gateways took to remove them.

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::credential_lease::Removal;
use keysherd_plane::Done;
use keysherd_plane::credential_leases::{LEASE_BATCH_MAX, LeaseReport, LeaseResult};
use keysherd_store::Tx;
use keysherd_store::credential_leases::{self as stored, StoredLease};

use super::work::draft_of_one;
use crate::control::Control;
use crate::gateways::GatewayIdentity;

/// Keeps what a gateway reports. What was taken by somebody else since, or is gone, stays as it is.
///
/// # Errors
/// [`Fault::bad_request`] for too many; those of the store.
pub(crate) async fn report(
    control: &Control,
    gateway: &GatewayIdentity,
    message: LeaseReport,
) -> Result<Done, Fault> {
    if message.results.len() > LEASE_BATCH_MAX {
        return Err(Fault::bad_request(format!(
            "{} results at once; at most {LEASE_BATCH_MAX}",
            message.results.len()
        )));
    }
    let (this, gateway, now) = (control.clone(), *gateway, control.now());
    let job = move |tx: &Tx| {
        for result in &message.results {
            keep(tx, &this, &gateway, result, now)?;
        }
        Ok(Done)
    };
    control.store.commit(Vec::new(), job).await
}

fn keep(
    tx: &Tx,
    control: &Control,
    gateway: &GatewayIdentity,
    result: &LeaseResult,
    now: Timestamp,
) -> Result<(), Fault> {
    let found = stored::get(tx, result.lease)?
        .filter(|found| found.lease.is_attempt_of(&gateway.spki_sha256, result.attempt));
    let Some(mut found) = found else { return Ok(()) };
    if let (true, Some(why)) = (result.untried, &result.failed) {
        found.lease.hand_back(why, now);
        stored::update(tx, found.id, &found.lease)?;
        return Ok(());
    }
    // Where nothing can be recorded, it is tried again: twice does no harm.
    if !tx.can_record(found.account)? {
        return Ok(());
    }
    let removal = match &result.failed {
        None => found.lease.removed(now),
        Some(error) => found.lease.failed(error, now),
    };
    let mut draft = draft_of_one(tx, control, &found, action::REMOVE_CREDENTIAL, now)?;
    draft.params.push(Param::public("attempt", result.attempt.to_string()));
    if result.failed.is_some() {
        draft.params.push(Param::public("error", found.lease.last_error.clone()));
    }
    tx.record_if_done(&draft);
    match removal {
        Removal::Gone => {
            stored::delete(tx, found.id)?;
        }
        Removal::Again | Removal::Later => {
            stored::update(tx, found.id, &found.lease)?;
        }
        Removal::GivenUp => {
            stored::update(tx, found.id, &found.lease)?;
            given_up(tx, control, &found, now)?;
        }
    }
    Ok(())
}

/// Raises the event of a credential that is left to people.
///
/// # Errors
/// Those of the store.
pub(super) fn given_up(
    tx: &Tx,
    control: &Control,
    found: &StoredLease,
    now: Timestamp,
) -> Result<(), Fault> {
    tracing::warn!(
        lease = %found.id,
        error = found.lease.last_error,
        "a temporary credential could not be removed; revoke it once its target is in order, or \
         remove it by hand and have it forgotten with --soft-delete"
    );
    let mut draft = draft_of_one(tx, control, found, action::DYNAMIC_SECRET_FAILURE, now)?;
    draft.params.push(Param::public("error", found.lease.last_error.clone()));
    tx.record_if_done(&draft);
    Ok(())
}
