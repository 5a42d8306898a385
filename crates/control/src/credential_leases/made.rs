//! What a gateway says while it makes a temporary credential: that it is about to, that it has,
//! that it has not.

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, ItemId, Timestamp};
use keysherd_domain::credential_lease::{
    Activation, CredentialLease, HANDLE_BYTES_MAX, Intent, LeaseState,
};
use keysherd_domain::engine::{TTL_SECONDS_MAX, capped_ttl};
use keysherd_domain::item::{Item, ItemKind};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::credential_leases::{LeaseAbandon, LeaseActivate, LeaseIntend, LeaseIntended};
use keysherd_plane::grants::ItemRef;
use keysherd_plane::{Caller, Done};
use keysherd_store::credential_leases::{self as stored, StoredLease};
use keysherd_store::{Query, Tx, item_targets, items};

use super::{engine_of, lease_param};
use crate::audit::audit_draft;
use crate::clusters::serves;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::items::describe::{ref_param, unknown_ref};
use crate::items::usable::{Use, check_enabled, check_unlocked};
use crate::items::{account_now, item_param};
use crate::session::Principal;

/// Credentials that one dynamic secret has at most. Whoever needs more has a leak.
const PER_ITEM_MAX: usize = 100_000;

/// Keeps that a credential is about to be made: from here on it is removed if nobody says that it
/// was made.
///
/// # Errors
/// [`Fault::unauthorized`] without `read` on the dynamic secret, [`Fault::not_found`];
/// [`Fault::forbidden`] by state or lock, for a gateway of another cluster, and for too many;
/// [`Fault::conflict`] when its target is another one by now; [`Fault::bad_request`] for what
/// cannot be.
pub(crate) async fn intend(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: LeaseIntend,
) -> Result<LeaseIntended, Fault> {
    let who = control.principal(caller).await?;
    let now = control.now();
    let asked = Asked { who: who.clone(), gateway: *gateway, now };
    let found = check(&message).and_then(|()| {
        control.store.read(|reader| {
            let item = asked.producing(reader, message.item)?;
            // Counted here, where nobody waits for it: some more do no harm.
            check_room(reader, &item)?;
            Ok(item)
        })
    });
    let mut params = match &found {
        Ok(item) => vec![item_param(&item.path)],
        Err(_) => vec![ref_param(&ItemRef::Id(message.item))],
    };
    params.push(lease_param(message.lease));
    let item_type = ItemKind::DynamicSecret.type_name();
    let mut draft = audit_draft(caller, &who, action::GET_DYNAMIC_SECRET_VALUE, item_type, params);
    if found.is_ok() {
        draft.params.push(Param::public("user", message.handle.clone()));
    }
    let plan = found.map(|_| move |tx: &Tx| asked.keep(tx, message));
    control.change(draft, plan).await
}

fn check(message: &LeaseIntend) -> Result<(), Fault> {
    // What a target names itself is known only when it is made.
    if !message.handle.is_empty() {
        check_handle(&message.handle)?;
    }
    match capped_ttl(message.ttl_seconds, TTL_SECONDS_MAX, None) {
        Some(_) => Ok(()),
        None => Err(bad_ttl(message.ttl_seconds)),
    }
}

/// The refusal of a life that cannot be.
pub(super) fn bad_ttl(seconds: i64) -> Fault {
    Fault::bad_request(format!(
        "invalid time to live: {seconds} seconds; 1 to {TTL_SECONDS_MAX} are possible"
    ))
}

fn check_handle(handle: &str) -> Result<(), Fault> {
    let is_one = !handle.is_empty()
        && handle.len() <= HANDLE_BYTES_MAX
        && !handle.chars().any(char::is_control);
    if is_one {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "invalid name of a temporary user: {} bytes; it has 1 to {HANDLE_BYTES_MAX}, and no \
         control characters",
        handle.len()
    )))
}

fn check_room(q: &dyn Query, item: &Item) -> Result<(), Fault> {
    if stored::count(q, item.id, PER_ITEM_MAX)? < PER_ITEM_MAX {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "{} has {PER_ITEM_MAX} temporary credentials, which is the most; revoke those that nobody \
         needs, or give it a shorter user-ttl",
        item.called()
    ))
    .with_code("TooManyCredentials"))
}

/// Who asks for a credential, and where.
struct Asked {
    who: Principal,
    gateway: GatewayIdentity,
    now: Timestamp,
}

impl Asked {
    /// The dynamic secret with this number, if a credential of it may be made here.
    fn producing(&self, q: &dyn Query, id: ItemId) -> Result<Item, Fault> {
        let (who, now) = (&self.who, self.now);
        let may =
            |item: &Item, capability| who.may(RuleKind::Item, item.path.as_str(), capability, now);
        let known = |item: &Item| may(item, Capability::Read) || may(item, Capability::List);
        let item = items::by_id(q, who.account, id)?.filter(known);
        let item = item.ok_or_else(|| unknown_ref(&ItemRef::Id(id)))?;
        who.require(RuleKind::Item, item.path.as_str(), Capability::Read, now)?;
        engine_of(&item)?;
        check_enabled(&item)?;
        check_unlocked(&item, who, Use::Read, now)?;
        serves(q, &self.gateway, &item)?;
        Ok(item)
    }

    fn keep(&self, tx: &Tx, message: LeaseIntend) -> Result<LeaseIntended, Fault> {
        let (who, now) = (&self.who, self.now);
        let item = self.producing(tx, message.item)?;
        if item_targets::of_item(tx, item.id)? != message.target {
            return Err(Fault::conflict(format!(
                "{} got another target at the same time; ask again",
                item.called()
            )));
        }
        let facts = engine_of(&item)?;
        let account_max = account_now(tx, who.account)?.settings.credential_ttl_seconds_max();
        let ttl_seconds = capped_ttl(message.ttl_seconds, facts.user_ttl_seconds, account_max)
            .ok_or_else(|| bad_ttl(message.ttl_seconds))?;
        let intent = Intent {
            handle: message.handle,
            target: message.target,
            ttl_seconds,
            access_id: who.access_id().clone(),
            sub_claims: (*who.audited_claims).clone(),
            gateway: self.gateway.spki_sha256,
        };
        let lease = CredentialLease::intend(intent, now);
        let ends = lease.ends;
        let cluster = self.owner(tx, facts.cluster)?;
        let (id, account) = (message.lease, who.account);
        stored::insert(tx, &StoredLease { id, account, item: item.id, cluster, lease })?;
        Ok(LeaseIntended { ends, ttl_seconds })
    }

    /// The cluster that removes it: the one that owns the dynamic secret, as long as there is one.
    fn owner(&self, q: &dyn Query, cluster: i64) -> Result<i64, Fault> {
        Ok(keysherd_store::clusters::by_id(q, cluster)?.map_or(0, |cluster| cluster.id))
    }
}

/// Keeps that a credential was made, for the gateway that intended it.
///
/// # Errors
/// [`Fault::not_found`] for another gateway's, and for one that is gone; [`Fault::conflict`] when
/// it is being removed: then nobody may get it, and who made it removes it. [`Fault::bad_request`]
/// for what cannot be.
pub(crate) async fn activate(
    control: &Control,
    gateway: &GatewayIdentity,
    message: LeaseActivate,
) -> Result<Done, Fault> {
    let LeaseActivate { lease: id, handle, ends } = message;
    handle.as_deref().map_or(Ok(()), check_handle)?;
    let now = control.now();
    let last = now.plus_seconds(TTL_SECONDS_MAX);
    if ends.is_some_and(|ends| ends <= now || last < ends) {
        return Err(Fault::bad_request("a temporary credential cannot end at that time"));
    }
    let gateway = gateway.spki_sha256;
    let job = move |tx: &Tx| {
        let found = stored::get(tx, id)?.filter(|found| found.lease.gateway == gateway);
        let mut lease = found.ok_or_else(|| no_such_lease(id))?.lease;
        match lease.activate(&gateway, handle, ends) {
            Activation::Done => {
                stored::update(tx, id, &lease)?;
                Ok(Done)
            }
            Activation::Already => Ok(Done),
            Activation::Refused => Err(Fault::conflict(
                "making the temporary credential took too long, or it was revoked meanwhile; ask \
                 for another one",
            )),
        }
    };
    control.store.commit(Vec::new(), job).await
}

/// Keeps that nobody got a credential. Says nothing of whether there was one.
///
/// # Errors
/// Those of the store.
pub(crate) async fn abandon(
    control: &Control,
    gateway: &GatewayIdentity,
    message: LeaseAbandon,
) -> Result<Done, Fault> {
    let (gateway, now) = (gateway.spki_sha256, control.now());
    let job = move |tx: &Tx| {
        let Some(mut found) = stored::get(tx, message.lease)? else { return Ok(Done) };
        let was_made = message.touched || message.late || found.lease.state != LeaseState::Intended;
        if found.lease.abandon(&gateway, message.late, now) {
            match was_made {
                true => stored::update(tx, found.id, &found.lease)?,
                false => stored::delete(tx, found.id)?,
            };
        }
        Ok(Done)
    };
    control.store.commit(Vec::new(), job).await
}

/// The fault of a credential that is not there.
pub(super) fn no_such_lease(id: keysherd_base::Uid) -> Fault {
    Fault::not_found(format!(
        "there is no temporary credential {id}; dynamic-secret-tmp-creds-get lists them"
    ))
}
