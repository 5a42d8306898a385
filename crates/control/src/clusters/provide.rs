//! Who may configure a cluster, as its gateways were started with: they have what opens and
//! changes the cluster's configuration anyway.

use keysherd_audit::{Param, action};
use keysherd_base::Fault;
use keysherd_base::limits::GATEWAY_ACCESS_MAX;
use keysherd_domain::gateway_access::GatewayAccess;
use keysherd_plane::gateway_access::{Allowed, GatewayAccessProvide};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Query, Tx, gateway_access as stored};

use super::access::{checked, kind_of};
use super::leases::member;
use super::own;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::session::Principal;

/// Puts these in the place of all that the gateways of the cluster brought before. Recorded when
/// that changes something, and when it is refused.
///
/// # Errors
/// [`Fault::not_found`] for all but the cluster's own access id, [`Fault::forbidden`] for a gateway
/// that is not in it, [`Fault::bad_request`] for malformed parts, [`Fault::conflict`] when somebody
/// has made one of the same name.
pub(crate) async fn provide(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: GatewayAccessProvide,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let names: Vec<&str> = message.all.iter().map(|(name, _)| name.as_str()).collect();
    let params = vec![
        Param::public("gateway_cluster", message.cluster.to_string()),
        Param::public("names", names.join(",")),
    ];
    let draft = audit_draft(caller, &who, action::UPDATE_GATEWAY_ACCESS, "", params);
    let known = control.store.read(|reader| {
        own(reader, &who, message.cluster)?;
        provided(reader, message.cluster)
    });
    let planned = known.and_then(|known| Ok((known, wanted(control, &who, message)?)));
    let plan = match planned {
        Ok((known, (_, all))) if same(&known, &all) => return Ok(Done),
        Ok((_, (cluster, all))) => {
            let spki = gateway.spki_sha256;
            Ok(move |tx: &Tx| {
                member(tx, cluster, &spki)?;
                own(tx, &who, cluster)?;
                replace(tx, cluster, all)
            })
        }
        Err(refused) => Err(refused),
    };
    control.change(draft, plan).await
}

fn provided(q: &dyn Query, cluster: i64) -> Result<Vec<GatewayAccess>, Fault> {
    let mut all = stored::of_cluster(q, cluster, GATEWAY_ACCESS_MAX)?;
    all.retain(|access| access.provided);
    Ok(all)
}

fn wanted(
    control: &Control,
    who: &Principal,
    message: GatewayAccessProvide,
) -> Result<(i64, Vec<GatewayAccess>), Fault> {
    let (cluster, now) = (message.cluster, control.now());
    let directory = control.directory_of(who);
    let access = |(name, allowed): (String, Allowed)| {
        let Allowed { access_id, description, sub_claims, case_sensitive, permissions } = allowed;
        kind_of(&directory, &access_id)?;
        checked(GatewayAccess {
            id: 0,
            cluster,
            name,
            access_id,
            description,
            sub_claims,
            case_sensitive,
            permissions,
            provided: true,
            created: now,
            modified: now,
        })
    };
    let all: Vec<GatewayAccess> = message.all.into_iter().map(access).collect::<Result<_, _>>()?;
    if all.len() > GATEWAY_ACCESS_MAX {
        return Err(Fault::bad_request(format!(
            "a gateway brings at most {GATEWAY_ACCESS_MAX} allowed accesses"
        )));
    }
    Ok((cluster, all))
}

/// Whether nothing would change.
fn same(known: &[GatewayAccess], wanted: &[GatewayAccess]) -> bool {
    let plain = |access: &GatewayAccess| GatewayAccess {
        id: 0,
        created: Default::default(),
        modified: Default::default(),
        ..access.clone()
    };
    let sorted = |all: &[GatewayAccess]| {
        let mut all: Vec<GatewayAccess> = all.iter().map(plain).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    };
    sorted(known) == sorted(wanted)
}

fn replace(tx: &Tx, cluster: i64, wanted: Vec<GatewayAccess>) -> Result<Done, Fault> {
    let known = provided(tx, cluster)?;
    for gone in known.iter().filter(|known| wanted.iter().all(|new| new.name != known.name)) {
        stored::delete(tx, cluster, &gone.name)?;
    }
    for new in wanted {
        match known.iter().find(|known| known.name == new.name) {
            Some(old) => {
                stored::update(tx, &GatewayAccess { id: old.id, created: old.created, ..new })?;
            }
            // One that somebody made by command has the name, and keeps it.
            None => drop(stored::insert(tx, &new)?),
        }
    }
    if stored::of_cluster(tx, cluster, GATEWAY_ACCESS_MAX + 1)?.len() > GATEWAY_ACCESS_MAX {
        return Err(Fault::bad_request(format!(
            "the cluster would have more than {GATEWAY_ACCESS_MAX} allowed accesses"
        )));
    }
    Ok(Done)
}
