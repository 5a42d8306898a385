//! Who may configure a gateway cluster: administrators, and those whom an allowed access names.
//!
//! Which cluster is meant follows from the connection of the gateway that asks, never from words.

use std::sync::Arc;

use keysherd_audit::{Param, action};
use keysherd_base::limits::{DESCRIPTION_BYTES_MAX, GATEWAY_ACCESS_MAX, TAG_BYTES_MAX};
use keysherd_base::{AccessId, Fault, ItemId};
use keysherd_domain::cluster::Cluster;
use keysherd_domain::gateway_access::{GatewayAccess, GatewayPermission};
use keysherd_plane::gateway_access::{
    Allowed, GatewayAccessCreate, GatewayAccessDelete, GatewayAccessGet, GatewayAccessUpdate,
    GatewayAccessView,
};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Query, Tx, clusters, gateway_access as stored};

use crate::assocs::checked_claims;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::directory::AccountDirectory;
use crate::gateways::GatewayIdentity;
use crate::session::Principal;

impl Control {
    /// Demands `permission` over the configuration of the gateway that asks. A gateway in no
    /// cluster of the caller's account is for administrators only.
    ///
    /// # Errors
    /// [`Fault::unauthorized`].
    pub(crate) fn may_configure(
        &self,
        gateway: &GatewayIdentity,
        who: &Principal,
        permission: GatewayPermission,
    ) -> Result<(), Fault> {
        let granted = who.is_admin()
            || self.store.read(|reader| match cluster_of(reader, gateway, who)? {
                Some(cluster) => grants(reader, cluster.id, who, permission),
                None => Ok(false),
            })?;
        if granted {
            return Ok(());
        }
        Err(Fault::unauthorized(format!(
            "unauthorized access for access id {}: '{}' on this gateway's configuration is not \
             granted; ask an administrator, or for an allowed access with it",
            who.access_id(),
            permission.name()
        )))
    }
}

/// What `who` may configure of the gateway that asks.
pub(super) fn permissions(
    q: &dyn Query,
    cluster: Option<&Cluster>,
    who: &Principal,
) -> Result<Vec<GatewayPermission>, Fault> {
    let all = match cluster {
        Some(cluster) if !who.is_admin() => stored::of_cluster(q, cluster.id, GATEWAY_ACCESS_MAX)?,
        _ => Vec::new(),
    };
    let granted = |permission| {
        who.is_admin()
            || all.iter().any(|access| access.grants(who.access_id(), &who.claims, permission))
    };
    let known = GatewayPermission::ALL.iter().map(|(_, permission)| *permission);
    Ok(known.filter(|permission| granted(*permission)).collect())
}

/// All allowed accesses of a cluster, each with the kind of its auth method.
pub(super) fn all(
    q: &dyn Query,
    cluster: i64,
    directory: &AccountDirectory,
) -> Result<Vec<GatewayAccessView>, Fault> {
    let all = stored::of_cluster(q, cluster, GATEWAY_ACCESS_MAX)?;
    let view = |access: GatewayAccess| {
        let access_type = kind_of(directory, &access.access_id).ok();
        GatewayAccessView { access, access_type }
    };
    Ok(all.into_iter().map(view).collect())
}

/// The default key that a gateway names for its cluster, if that is a cluster of the caller's
/// account: the defaults of others' clusters are not theirs.
///
/// # Errors
/// Only when the store is broken.
pub(crate) fn cluster_key(
    q: &dyn Query,
    gateway: &GatewayIdentity,
    who: &Principal,
    named: Option<ItemId>,
) -> Result<Option<ItemId>, Fault> {
    match named {
        Some(id) => Ok(cluster_of(q, gateway, who)?.map(|_| id)),
        None => Ok(None),
    }
}

/// Whether `who` has `permission` over a cluster by one of its allowed accesses.
pub(super) fn grants(
    q: &dyn Query,
    cluster: i64,
    who: &Principal,
    permission: GatewayPermission,
) -> Result<bool, Fault> {
    let all = stored::of_cluster(q, cluster, GATEWAY_ACCESS_MAX)?;
    Ok(all.iter().any(|access| access.grants(who.access_id(), &who.claims, permission)))
}

/// The cluster of the caller's account that a gateway is in.
pub(crate) fn cluster_of(
    q: &dyn Query,
    gateway: &GatewayIdentity,
    who: &Principal,
) -> Result<Option<Cluster>, Fault> {
    let Some((instance, _)) = clusters::instance(q, &gateway.spki_sha256)? else { return Ok(None) };
    let cluster = clusters::by_id(q, instance.cluster)?;
    Ok(cluster.filter(|cluster| cluster.account == who.account))
}

pub(super) fn own_cluster(
    q: &dyn Query,
    gateway: &GatewayIdentity,
    who: &Principal,
) -> Result<Cluster, Fault> {
    cluster_of(q, gateway, who)?.ok_or_else(|| {
        Fault::conflict(
            "this gateway is in no cluster of the account; start it with --gateway-access-id, or \
             ask one that is",
        )
    })
}

/// Creates one.
///
/// # Errors
/// [`Fault::unauthorized`] for all but those who may configure everything, [`Fault::bad_request`]
/// for malformed parts, [`Fault::conflict`] when the name is taken.
pub(crate) async fn create(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: GatewayAccessCreate,
) -> Result<GatewayAccessView, Fault> {
    let who = control.principal(caller).await?;
    let params = params(&message.name, Some(&message.allowed));
    let draft = audit_draft(caller, &who, action::CREATE_GATEWAY_ACCESS, "", params);
    let (at, now) = (*gateway, control.now());
    let plan = admitted(control, gateway, &who).map(|directory| {
        move |tx: &Tx| {
            let cluster = own_cluster(tx, &at, &who)?;
            let Allowed { access_id, description, sub_claims, case_sensitive, permissions } =
                message.allowed;
            let access = checked(GatewayAccess {
                id: 0,
                cluster: cluster.id,
                name: message.name,
                access_id,
                description,
                sub_claims,
                case_sensitive,
                permissions,
                provided: false,
                created: now,
                modified: now,
            })?;
            let access_type = Some(kind_of(&directory, &access.access_id)?);
            if stored::of_cluster(tx, cluster.id, GATEWAY_ACCESS_MAX)?.len() >= GATEWAY_ACCESS_MAX {
                return Err(Fault::bad_request(format!(
                    "the cluster has {GATEWAY_ACCESS_MAX} allowed accesses, which is the most"
                )));
            }
            let id = stored::insert(tx, &access)?;
            Ok(GatewayAccessView { access: GatewayAccess { id, ..access }, access_type })
        }
    });
    control.change(draft, plan).await
}

/// Replaces what one of them allows.
///
/// # Errors
/// As [`create`]; [`Fault::not_found`].
pub(crate) async fn update(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: GatewayAccessUpdate,
) -> Result<GatewayAccessView, Fault> {
    let who = control.principal(caller).await?;
    let params = params(&message.name, Some(&message.allowed));
    let draft = audit_draft(caller, &who, action::UPDATE_GATEWAY_ACCESS, "", params);
    let (at, now) = (*gateway, control.now());
    let plan = admitted(control, gateway, &who).map(|directory| {
        move |tx: &Tx| {
            let cluster = own_cluster(tx, &at, &who)?;
            let old = stored::by_name(tx, cluster.id, known(&message.name))?;
            let old = old.ok_or_else(|| absent(&message.name))?;
            demand_ours(&old)?;
            let Allowed { access_id, description, sub_claims, case_sensitive, permissions } =
                message.allowed;
            let access = checked(GatewayAccess {
                name: message.new_name.unwrap_or(message.name),
                access_id,
                description,
                sub_claims,
                case_sensitive,
                permissions,
                modified: now,
                ..old
            })?;
            let access_type = Some(kind_of(&directory, &access.access_id)?);
            stored::update(tx, &access)?;
            Ok(GatewayAccessView { access, access_type })
        }
    });
    control.change(draft, plan).await
}

/// Reads one.
///
/// # Errors
/// As [`update`].
pub(crate) async fn get(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: GatewayAccessGet,
) -> Result<GatewayAccessView, Fault> {
    let who = control.principal(caller).await?;
    let params = params(&message.name, None);
    let draft = audit_draft(caller, &who, action::GET_GATEWAY_ACCESS, "", params);
    let found = admitted(control, gateway, &who).and_then(|directory| {
        control.store.read(|reader| {
            let cluster = own_cluster(reader, gateway, &who)?;
            let found = stored::by_name(reader, cluster.id, known(&message.name))?;
            let access = found.ok_or_else(|| absent(&message.name))?;
            let access_type = kind_of(&directory, &access.access_id).ok();
            Ok(GatewayAccessView { access, access_type })
        })
    });
    control.recorded(draft, found).await
}

/// Deletes one.
///
/// # Errors
/// As [`update`].
pub(crate) async fn delete(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: GatewayAccessDelete,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let params = params(&message.name, None);
    let draft = audit_draft(caller, &who, action::DELETE_GATEWAY_ACCESS, "", params);
    let at = *gateway;
    let plan = admitted(control, gateway, &who).map(|_| {
        move |tx: &Tx| {
            let cluster = own_cluster(tx, &at, &who)?;
            if let Some(old) = stored::by_name(tx, cluster.id, known(&message.name))? {
                demand_ours(&old)?;
            }
            match stored::delete(tx, cluster.id, known(&message.name))? {
                true => Ok(Done),
                false => Err(absent(&message.name)),
            }
        }
    });
    control.change(draft, plan).await
}

/// Demands one that was made by a command.
fn demand_ours(access: &GatewayAccess) -> Result<(), Fault> {
    if !access.provided {
        return Ok(());
    }
    Err(Fault::conflict(format!(
        "allowed access '{}' is what the gateways are started with (--allowed-access-file, \
         ALLOWED_ACCESS_PERMISSIONS); change it there, and start them again",
        access.name.escape_default()
    )))
}

/// Only those who may configure everything decide who else may configure something.
fn admitted(
    control: &Control,
    gateway: &GatewayIdentity,
    who: &Principal,
) -> Result<Arc<AccountDirectory>, Fault> {
    control.may_configure(gateway, who, GatewayPermission::Admin)?;
    Ok(control.directory_of(who))
}

pub(super) fn kind_of(directory: &AccountDirectory, access_id: &AccessId) -> Result<String, Fault> {
    let mut methods = directory.methods_after(None);
    let method = methods.find(|method| method.access_id == *access_id).ok_or_else(|| {
        Fault::bad_request(format!(
            "no auth method has access id {access_id}; see them with auth-method-list"
        ))
    })?;
    Ok(method.detail.kind_name().to_owned())
}

/// The name as it is kept: some clients write it as a path.
fn known(name: &str) -> &str {
    name.trim().trim_matches('/')
}

/// The access in its stored form, if it is well formed.
pub(super) fn checked(access: GatewayAccess) -> Result<GatewayAccess, Fault> {
    let name = known(&access.name).to_owned();
    if name.is_empty() || name.len() > TAG_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Fault::bad_request(format!(
            "invalid name: 1 to {TAG_BYTES_MAX} bytes without control characters"
        )));
    }
    if access.description.len() > DESCRIPTION_BYTES_MAX {
        return Err(Fault::bad_request(format!(
            "the description is {} bytes long; at most {DESCRIPTION_BYTES_MAX} are allowed",
            access.description.len()
        )));
    }
    if access.permissions.is_empty() {
        return Err(Fault::bad_request(
            "invalid value of 'permissions': name at least one; 'admin' is all of them",
        ));
    }
    let mut permissions = access.permissions;
    permissions.sort_unstable();
    permissions.dedup();
    let sub_claims = checked_claims(&access.sub_claims)?;
    Ok(GatewayAccess { name, permissions, sub_claims, ..access })
}

fn params(name: &str, allowed: Option<&Allowed>) -> Vec<Param> {
    let mut params = vec![Param::public("name", name.to_owned())];
    if let Some(allowed) = allowed {
        params.push(Param::public("access-id", allowed.access_id.as_str().to_owned()));
        let names: Vec<_> = allowed.permissions.iter().map(|one| one.name()).collect();
        params.push(Param::public("permissions", names.join(",")));
    }
    params
}

fn absent(name: &str) -> Fault {
    Fault::not_found(format!("the cluster has no allowed access named '{}'", name.escape_default()))
}
