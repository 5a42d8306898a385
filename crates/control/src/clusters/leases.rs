//! Leases of a cluster and the places under them: which instance does what only one may do, and how
//! far it came. Nothing of it is in memory, so every node of control decides alike.

use keysherd_base::{Fault, Timestamp};
use keysherd_domain::cluster::is_name;
use keysherd_domain::lease::{self, Asked, Holder};
use keysherd_plane::clusters::{
    LeaseHeld, LeaseRelease, LeaseWish, PlaceList, PlaceListReply, PlacePut,
};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Query, Tx, clusters, leases as stored};

use super::own;
use crate::control::Control;
use crate::gateways::GatewayIdentity;

/// Most leases that one instance asks for.
const WISHES_MAX: usize = 8;
/// Most places under one lease.
const PLACES_MAX: usize = 256;
/// Longest place, in bytes.
const PLACE_BYTES_MAX: usize = 32 * 1024;
/// Longest name of a place, in bytes.
const PLACE_NAME_BYTES_MAX: usize = 256;

impl Control {
    /// Which of the wanted leases of `cluster` the instance has now. The caller has seen that it
    /// is in the cluster.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for malformed names and too many of them.
    pub(super) async fn leases(
        &self,
        cluster: i64,
        holder: Holder,
        mut wishes: Vec<LeaseWish>,
    ) -> Result<Vec<LeaseHeld>, Fault> {
        check(&wishes)?;
        // What a gateway of a later release wants to do alone is nobody's yet.
        wishes.retain(|wish| lease::is_known(&wish.name));
        if wishes.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.now();
        let look = |q: &dyn Query| decide(q, cluster, &holder, &wishes, now);
        let asked = self.store.read(|reader| look(reader))?;
        if asked.iter().all(|asked| !matches!(asked, Asked::Given(_))) {
            return Ok(held(&wishes, &asked, now));
        }
        let job = move |tx: &Tx| {
            if clusters::by_id(tx, cluster)?.is_none() {
                return Ok(Vec::new());
            }
            // Others may have been faster.
            let asked = decide(tx, cluster, &holder, &wishes, now)?;
            for (wish, asked) in wishes.iter().zip(&asked) {
                if let Asked::Given(lease) = asked {
                    stored::put(tx, cluster, &wish.name, lease)?;
                }
            }
            Ok(held(&wishes, &asked, now))
        };
        self.store.commit(Vec::new(), job).await
    }
}

fn check(wishes: &[LeaseWish]) -> Result<(), Fault> {
    if wishes.len() > WISHES_MAX {
        return Err(Fault::bad_request(format!("more than {WISHES_MAX} leases at once")));
    }
    wishes.iter().try_for_each(|wish| check_lease(&wish.name))
}

fn check_lease(name: &str) -> Result<(), Fault> {
    if is_name(name) {
        return Ok(());
    }
    Err(Fault::bad_request("the name of a lease has 1 to 128 letters, digits, '-', '_' and '.'"))
}

fn decide(
    q: &dyn Query,
    cluster: i64,
    holder: &Holder,
    wishes: &[LeaseWish],
    now: Timestamp,
) -> Result<Vec<Asked>, Fault> {
    let decide = |wish: &LeaseWish| {
        let current = stored::get(q, cluster, &wish.name)?;
        Ok(lease::ask(current.as_ref(), holder, wish.fence, now))
    };
    wishes.iter().map(decide).collect()
}

fn held(wishes: &[LeaseWish], asked: &[Asked], now: Timestamp) -> Vec<LeaseHeld> {
    let held = |(wish, asked): (&LeaseWish, &Asked)| {
        let (Asked::Given(lease) | Asked::Held(lease)) = asked else { return None };
        let left = lease.ends.millis_since(now).clamp(0, lease::LIFE_MILLIS);
        let millis = u32::try_from(left).unwrap_or_default();
        Some(LeaseHeld { name: wish.name.clone(), fence: lease.fence, millis })
    };
    wishes.iter().zip(asked).filter_map(held).collect()
}

/// Ends a lease, for its holder; for anybody else, nothing changes.
///
/// # Errors
/// [`Fault::not_found`] for all but the cluster's own access id, [`Fault::forbidden`] for a gateway
/// that is not in it.
pub(crate) async fn release(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: LeaseRelease,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let spki_sha256 = gateway.spki_sha256;
    let job = move |tx: &Tx| {
        let LeaseRelease { cluster, process, lease, fence } = message;
        own(tx, &who, cluster)?;
        member(tx, cluster, &spki_sha256)?;
        let holder = Holder { spki_sha256, process };
        if let Some(kept) = stored::get(tx, cluster, &lease)?
            && kept.covers(&holder, fence)
        {
            stored::put(tx, cluster, &lease, &kept.ended())?;
        }
        Ok(Done)
    };
    control.store.commit(Vec::new(), job).await
}

/// Keeps a place for the holder of its lease.
///
/// # Errors
/// [`Fault::conflict`] for all but the newest holder, [`Fault::bad_request`] when it is too long or
/// there are too many; else as [`release`].
pub(crate) async fn put_place(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: PlacePut,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    check_lease(&message.lease)?;
    if message.name.len() > PLACE_NAME_BYTES_MAX {
        return Err(Fault::bad_request(format!(
            "the name of a place is longer than {PLACE_NAME_BYTES_MAX} bytes"
        )));
    }
    if message.body.as_ref().is_some_and(|body| body.len() > PLACE_BYTES_MAX) {
        return Err(Fault::bad_request(format!("a place is longer than {PLACE_BYTES_MAX} bytes")));
    }
    let spki_sha256 = gateway.spki_sha256;
    let job = move |tx: &Tx| {
        let PlacePut { cluster, process, lease, fence, name, body } = message;
        own(tx, &who, cluster)?;
        member(tx, cluster, &spki_sha256)?;
        let holder = Holder { spki_sha256, process };
        if !stored::get(tx, cluster, &lease)?.is_some_and(|kept| kept.covers(&holder, fence)) {
            return Err(Fault::conflict(format!(
                "this gateway does not have the lease '{lease}' under number {fence} any more"
            )));
        }
        let Some(body) = body else {
            stored::delete_place(tx, cluster, &lease, &name)?;
            return Ok(Done);
        };
        stored::put_place(tx, cluster, &lease, &name, &body)?;
        let most = i64::try_from(PLACES_MAX).unwrap_or(i64::MAX);
        if stored::count_places(tx, cluster, &lease)? > most {
            return Err(Fault::bad_request(format!("more than {PLACES_MAX} places under a lease")));
        }
        Ok(Done)
    };
    control.store.commit(Vec::new(), job).await
}

/// The places under a lease.
///
/// # Errors
/// As [`release`].
pub(crate) async fn places(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: PlaceList,
) -> Result<PlaceListReply, Fault> {
    let who = control.principal(caller).await?;
    control.store.read(|reader| {
        own(reader, &who, message.cluster)?;
        member(reader, message.cluster, &gateway.spki_sha256)?;
        let places = stored::places(reader, message.cluster, &message.lease, PLACES_MAX)?;
        Ok(PlaceListReply { places })
    })
}

/// Demands that the gateway with this key is in the cluster.
///
/// # Errors
/// [`Fault::forbidden`].
pub(super) fn member(q: &dyn Query, cluster: i64, spki_sha256: &[u8; 32]) -> Result<(), Fault> {
    let member = clusters::instance(q, spki_sha256)?.map(|(instance, _)| instance.cluster);
    if member == Some(cluster) {
        return Ok(());
    }
    Err(Fault::forbidden("this gateway is not in the cluster that it would speak for"))
}
