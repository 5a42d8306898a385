//! Values that were written while a fragment manager was missing, and alerts about managers.
//!
//! A gateway confirms by itself, without a client. So it reaches values only that are marked
//! unconfirmed, and can change nothing of them but the wrap. What it derives is recorded before the
//! permit is given.

use std::sync::Arc;

use keysherd_audit::{Draft, Param, action};
use keysherd_base::{AccountId, Fault, Timestamp, Uid};
use keysherd_crypto::envelope::{Envelope, same_but_wraps};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::permit::{Class, Op, Subject};
use keysherd_domain::item::{Item, ItemVersion};
use keysherd_plane::alerts::ManagerAlert;
use keysherd_plane::confirm::{ConfirmBegin, ConfirmBeginReply, ConfirmDone, ConfirmWork};
use keysherd_plane::{Audited, Caller, Done};
use keysherd_store::{Query, Tx, item_versions, keys};

use crate::audit::audit_draft;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::grants::entry_of;
use crate::items::cache::key_of;
use crate::items::display::by_uid;
use crate::items::item_param;
use crate::items::sealed::{self, Sealing};
use crate::permits::PermitBatch;

#[cfg(test)]
mod tests;

/// Stands for the command in audit records: no client asked for this.
const COMMAND: &str = "confirm-value";

/// Permits the gateway to derive again what an unconfirmed value was written with.
///
/// # Errors
/// Those of the store.
pub(crate) async fn begin(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: ConfirmBegin,
) -> Result<ConfirmBeginReply, Fault> {
    let ConfirmBegin { account, uid, version } = message;
    let found = control.store.read(|reader| find(reader, AccountId(account), uid, version))?;
    let Some((item, stored)) = found else { return Ok(ConfirmBeginReply::Gone) };
    if !stored.unconfirmed {
        return Ok(ConfirmBeginReply::Settled { ciphertext: stored.ciphertext });
    }
    let (key, number) = (stored.key_id, stored.key_version);
    let manifest = control.store.read(|reader| keys::manifest(reader, key, number))?;
    let manifest = manifest.ok_or_else(|| Fault::internal(format!("key {key}: no manifest")))?;
    let mut permits = PermitBatch::default();
    let entry = entry_of(&item, &stored, Class::SecretItem, Subject::default())?;
    let permit_slot = permits.add(item.account, Op::Write, entry, Some(0))?;
    let draft = draft(&item, caller, version, "derive", control.now());
    let mut records = vec![(draft, None)];
    permits.explain(control, &mut records)?;
    let seqs = control.store.record(records).await?;
    let mut permits = permits.sign(control, gateway, &seqs)?;
    let permit = permits.pop().ok_or_else(|| Fault::internal("a permit that was not signed"))?;
    let work = ConfirmWork { ciphertext: stored.ciphertext, manifest, permit, permit_slot };
    Ok(ConfirmBeginReply::Waiting { work })
}

/// Records that all managers agree about a value.
///
/// # Errors
/// [`Fault::conflict`] when something else is stored by now, or nothing is to be confirmed;
/// [`Fault::bad_request`] for a new wrap that is not as it must be.
pub(crate) async fn done(
    control: &Control,
    caller: &Caller,
    message: ConfirmDone,
) -> Result<Done, Fault> {
    let (account, uid, version) = (AccountId(message.account), message.uid, message.version);
    let found = control.store.read(|reader| find(reader, account, uid, version))?;
    let (item, _) = found.ok_or_else(changed)?;
    let draft = draft(&item, caller, version, outcome(&message), control.now());
    let job = move |tx: &Tx| {
        let (item, mut stored) = find(tx, account, uid, version)?.ok_or_else(changed)?;
        if !stored.unconfirmed || sha256(&[&stored.ciphertext]) != message.stored_sha256 {
            return Err(changed());
        }
        if let Some(rewrapped) = message.rewrapped {
            check_rewrapped(&item, &stored, &rewrapped)?;
            stored.ciphertext = rewrapped;
        }
        stored.unconfirmed = false;
        item_versions::put(tx, item.id, &stored)?;
        Ok(Done)
    };
    control.change(draft, Ok(job)).await
}

/// Records what a gateway found out about fragment managers, in the account of the request that
/// found it; logs it otherwise.
///
/// # Errors
/// Those of the store.
pub(crate) async fn alert(
    control: &Control,
    caller: &Caller,
    message: ManagerAlert,
) -> Result<Audited, Fault> {
    let managers = message.managers.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
    let kind = message.kind.text();
    tracing::error!(kind, managers, "a gateway reports fragment managers");
    if let Ok(who) = control.authenticate(caller).await {
        let params =
            vec![Param::public("kind", kind), Param::public("fragment_managers", managers)];
        let draft = audit_draft(caller, &who, action::ALERT_MANAGERS, "", params);
        control.store.record(vec![(draft, None)]).await?;
    }
    Ok(Audited)
}

fn find(
    q: &dyn Query,
    account: AccountId,
    uid: Uid,
    version: u32,
) -> Result<Option<(Item, ItemVersion)>, Fault> {
    let Some(item) = by_uid(q, account, uid)? else { return Ok(None) };
    let stored = item_versions::get_any(q, item.id, version)?;
    Ok(stored.map(|stored| (item, stored)))
}

/// Refuses what is not the same value under the same key.
fn check_rewrapped(item: &Item, stored: &ItemVersion, rewrapped: &Arc<[u8]>) -> Result<(), Fault> {
    let sealing = Sealing {
        account: item.account,
        uid: item.uid,
        version: stored.version,
        class: Class::SecretItem,
        key: key_of(stored),
    };
    sealed::check(rewrapped, &sealing)?;
    let damaged = || Fault::bad_request("the value was not confirmed: it is not an envelope");
    let old = Envelope::parse(&stored.ciphertext).map_err(|_| damaged())?;
    let new = Envelope::parse(rewrapped).map_err(|_| damaged())?;
    if same_but_wraps(&old, &new) {
        return Ok(());
    }
    Err(Fault::bad_request("the value was not confirmed: a new wrap cannot come with a new value"))
}

fn draft(item: &Item, caller: &Caller, version: u32, step: &'static str, now: Timestamp) -> Draft {
    let mut draft =
        Draft::new(item.account, caller.request, COMMAND.into(), action::CONFIRM_VALUE, now);
    draft.item_type = item.kind.type_name().into();
    draft.params = vec![
        item_param(&item.path),
        Param::public("version", version.to_string()),
        Param::public("step", step),
    ];
    draft
}

fn outcome(message: &ConfirmDone) -> &'static str {
    if message.rewrapped.is_some() { "rescued" } else { "confirmed" }
}

fn changed() -> Fault {
    Fault::conflict("the value was not confirmed: it changed in the meantime")
}
