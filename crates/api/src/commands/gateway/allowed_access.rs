//! Who may configure this gateway's cluster: the fields, and how one is shown.

use std::collections::BTreeMap;

use keysherd_base::{AccessId, Fault};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::gateway_access::GatewayPermission;
use keysherd_domain::policy::sub_claims::parse_sub_claims;
use keysherd_plane::gateway_access::{Allowed, GatewayAccessView};
use keysherd_wire::{Args, Field, Flag, Group, Map, Text};
use serde::Serialize;

use crate::fields::DESCRIPTION;

/// Its name.
pub(super) const NAME: Field<Text> =
    Field::text("name", "Name of the allowed access, unique in the cluster.").required();
const ACCESS_ID: Field<Text> =
    Field::text("access-id", "The auth method whose bearers are allowed.").required();
const SUB_CLAIMS: Field<Map> =
    Field::map("sub-claims", "Claims the bearer must have, values separated by commas.");
const CASE_SENSITIVE: Field<Flag> =
    Field::flag("case-sensitive", "Whether letter case of claim values counts.").default("true");
const PERMISSIONS: Field<Text> = Field::text(
    "permissions",
    "What they may configure, separated by commas: admin, k8s_auth, ldap_auth and so on.",
);
const CASE_INSENSITIVE: Field<Flag> =
    Field::flag("SubClaimsCaseInsensitive", "The opposite of case-sensitive.");

/// Everything but names.
pub(super) static ALLOWED: Group = Group {
    title: "Who and what",
    fields: &[
        ACCESS_ID.spec(),
        SUB_CLAIMS.spec(),
        CASE_SENSITIVE.spec(),
        PERMISSIONS.spec(),
        DESCRIPTION.spec(),
        CASE_INSENSITIVE.spec(),
    ],
};

/// Who is allowed what, as the arguments say.
pub(super) fn allowed(args: &Args) -> Result<Allowed, Fault> {
    let access_id = AccessId::parse(&args.need(&ACCESS_ID)?)
        .map_err(|bad| Fault::bad_request(format!("invalid value of 'access-id': {bad}")))?;
    let sub_claims = match args.get(&SUB_CLAIMS)? {
        Some(map) => {
            parse_sub_claims(map.iter().map(|(name, list)| (name.as_str(), list.as_str())))?
        }
        None => SubClaims::default(),
    };
    let insensitive = args.get_or(&CASE_INSENSITIVE, false)?;
    Ok(Allowed {
        access_id,
        description: args.get(&DESCRIPTION)?.unwrap_or_default(),
        sub_claims,
        case_sensitive: args.get_or(&CASE_SENSITIVE, true)? && !insensitive,
        permissions: permissions(&args.get(&PERMISSIONS)?.unwrap_or_default())?,
    })
}

fn permissions(text: &str) -> Result<Vec<GatewayPermission>, Fault> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let permissions = names.map(|name| {
        GatewayPermission::from_name(name).ok_or_else(|| {
            let known: Vec<_> = GatewayPermission::ALL.iter().map(|(name, _)| *name).collect();
            Fault::bad_request(format!(
                "invalid value of 'permissions': '{}' is none; there are {}",
                name.escape_default(),
                known.join(", ")
            ))
        })
    });
    permissions.collect()
}

/// The model `AllowedAccess`.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    id: i64,
    cluster_id: i64,
    name: &'a str,
    access_id: &'a str,
    access_type: &'a str,
    description: &'a str,
    sub_claims: &'a BTreeMap<String, Vec<String>>,
    sub_claims_case_insensitive: bool,
    permissions: Vec<&'static str>,
    editable: bool,
    is_valid: bool,
    error: &'static str,
    created_at: String,
    updated_at: String,
}

/// What is shown of one.
pub(super) fn shown(view: &GatewayAccessView) -> Shown<'_> {
    let GatewayAccessView { access, access_type } = view;
    Shown {
        id: access.id,
        cluster_id: access.cluster,
        name: &access.name,
        access_id: access.access_id.as_str(),
        access_type: access_type.as_deref().unwrap_or_default(),
        description: &access.description,
        sub_claims: &access.sub_claims.0,
        sub_claims_case_insensitive: !access.case_sensitive,
        permissions: access.permissions.iter().map(|permission| permission.name()).collect(),
        editable: !access.provided,
        is_valid: access_type.is_some(),
        error: if access_type.is_some() { "" } else { "the auth method does not exist" },
        created_at: access.created.rfc3339(),
        updated_at: access.modified.rfc3339(),
    }
}
