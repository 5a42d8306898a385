//! What people do about the temporary credentials of a dynamic secret: look, prolong, end.

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, Uid};
use keysherd_domain::engine::capped_ttl;
use keysherd_domain::item::Item;
use keysherd_domain::role::Capability;
use keysherd_plane::credential_leases::{
    LEASE_PAGE_MAX, LeaseChoice, LeaseExtend, LeaseList, LeaseListReply, LeaseRevoke,
    LeaseRevokeReply, LeaseView,
};
use keysherd_plane::{Caller, Done};
use keysherd_store::credential_leases::{self as stored, StoredLease};
use keysherd_store::{Query, Reader, Tx, items};

use super::made::{bad_ttl, no_such_lease};
use super::{engine_of, lease_param};
use crate::audit::audit_draft;
use crate::control::Control;
use crate::items::usable::{Use, check_enabled, check_unlocked};
use crate::items::{Changing, ItemChange, account_now, item_param, permitted};

/// Lists the credentials of a dynamic secret.
///
/// # Errors
/// [`Fault::unauthorized`] without `read` on it, [`Fault::not_found`]; [`Fault::bad_request`] for
/// an item that is none.
pub(crate) async fn list(
    control: &Control,
    caller: &Caller,
    message: LeaseList,
) -> Result<LeaseListReply, Fault> {
    let who = control.principal(caller).await?;
    let now = control.now();
    let (asker, path) = (who.clone(), message.item.clone());
    let read = move |reader: &Reader| {
        let item = permitted(&asker, &message.item, Capability::Read, now, || {
            items::by_path(reader, asker.account, &message.item)
        })?;
        page(reader, &item, &message)
    };
    let outcome = control.store.read_blocking(read).await;
    let params = vec![item_param(&path)];
    let draft = audit_draft(caller, &who, action::LIST_CREDENTIALS, "", params);
    control.recorded(draft, outcome).await
}

fn page(q: &dyn Query, item: &Item, message: &LeaseList) -> Result<LeaseListReply, Fault> {
    let engine = engine_of(item)?.engine.clone();
    let limit = message.limit.clamp(1, LEASE_PAGE_MAX);
    let mut found = stored::page(q, item.id, message.after, limit + 1)?;
    let more = found.len() > limit;
    found.truncate(limit);
    Ok(LeaseListReply { leases: found.into_iter().map(view).collect(), more, engine })
}

fn view(stored: StoredLease) -> LeaseView {
    let StoredLease { id, lease, .. } = stored;
    LeaseView {
        id,
        state: lease.state,
        handle: lease.handle,
        access_id: lease.access_id,
        sub_claims: lease.sub_claims,
        created: lease.made,
        ends: lease.ends,
        ttl_seconds: lease.ttl_seconds,
        settled: lease.settled,
        attempts: lease.attempts,
        last_error: lease.last_error,
    }
}

/// Has a credential that lives end at another time.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the dynamic secret, [`Fault::not_found`] for a
/// credential that is not one of it, [`Fault::conflict`] for one that does not live,
/// [`Fault::forbidden`] by state or lock, [`Fault::bad_request`] for a time that cannot be.
pub(crate) async fn extend(
    control: &Control,
    caller: &Caller,
    message: LeaseExtend,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let changing = Changing {
        path: message.item.clone(),
        capability: Capability::Update,
        action: action::EXTEND_CREDENTIAL,
        params: vec![
            lease_param(message.lease),
            Param::public("ttl_seconds", message.ttl_seconds.to_string()),
        ],
    };
    let edit = move |tx: &Tx, change: &ItemChange, item| prolong(tx, change, &item, &message);
    control.change_item(caller, who, changing, edit).await
}

fn prolong(
    tx: &Tx,
    change: &ItemChange,
    item: &Item,
    message: &LeaseExtend,
) -> Result<Done, Fault> {
    let facts = engine_of(item)?;
    check_enabled(item)?;
    check_unlocked(item, &change.who, Use::Update, change.now)?;
    let account_max = account_now(tx, item.account)?.settings.credential_ttl_seconds_max();
    let ttl = capped_ttl(message.ttl_seconds, facts.user_ttl_seconds, account_max)
        .ok_or_else(|| bad_ttl(message.ttl_seconds))?;
    let mut lease = one_of(tx, item, message.lease)?.lease;
    if !lease.extend(ttl, change.now) {
        return Err(Fault::conflict(format!(
            "the temporary credential {} is {}, so it cannot live longer; ask for another one",
            message.lease,
            lease.state.name()
        )));
    }
    stored::update(tx, message.lease, &lease)?;
    Ok(Done)
}

/// Has credentials removed as soon as can be, or forgotten.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the dynamic secret, [`Fault::not_found`] for a
/// credential that is not one of it, [`Fault::forbidden`] by lock, [`Fault::bad_request`] for an
/// item that is no dynamic secret.
pub(crate) async fn revoke(
    control: &Control,
    caller: &Caller,
    message: LeaseRevoke,
) -> Result<LeaseRevokeReply, Fault> {
    let who = control.principal(caller).await?;
    let which = match message.which {
        LeaseChoice::One(lease) => lease_param(lease),
        LeaseChoice::All => Param::public("tmp_creds_id", "all"),
    };
    let changing = Changing {
        path: message.item.clone(),
        capability: Capability::Update,
        action: action::REVOKE_CREDENTIALS,
        params: vec![which, Param::public("soft_delete", message.soft.to_string())],
    };
    let edit = move |tx: &Tx, change: &ItemChange, item| end(tx, change, &item, &message);
    control.change_item(caller, who, changing, edit).await
}

fn end(
    tx: &Tx,
    change: &ItemChange,
    item: &Item,
    message: &LeaseRevoke,
) -> Result<LeaseRevokeReply, Fault> {
    engine_of(item)?;
    check_unlocked(item, &change.who, Use::Update, change.now)?;
    let leases = match (message.which, message.soft) {
        (LeaseChoice::All, true) => {
            let forgotten = stored::delete_all(tx, item.id)?;
            // What may become a user yet is not forgotten before it is certain that it will not.
            forgotten + stored::revoke_all(tx, item.id, change.now)?
        }
        (LeaseChoice::All, false) => stored::revoke_all(tx, item.id, change.now)?,
        (LeaseChoice::One(id), soft) => {
            let mut found = one_of(tx, item, id)?;
            if soft && found.lease.is_forgettable() {
                usize::from(stored::delete(tx, id)?)
            } else {
                found.lease.revoke(change.now);
                usize::from(stored::update(tx, id, &found.lease)?)
            }
        }
    };
    Ok(LeaseRevokeReply { leases: leases as u64 })
}

/// The credential with this id, if it is one of this dynamic secret.
fn one_of(q: &dyn Query, item: &Item, id: Uid) -> Result<StoredLease, Fault> {
    let found = stored::get(q, id)?.filter(|found| found.item == item.id);
    found.ok_or_else(|| no_such_lease(id))
}
