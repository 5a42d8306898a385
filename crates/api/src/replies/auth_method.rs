//! An auth method as `auth-method-get` and `auth-method-list` show it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_domain::auth_method::{IpNetwork, MethodDetail, SecondFactor};
use keysherd_domain::policy::sub_claims::uses_operators;
use keysherd_domain::role::{Assoc, Role};
use keysherd_plane::auth_methods::MethodView;
use serde::Serialize;

use super::LastUsed;
use crate::replies::role::RulesReply;

/// The model `AuthMethod`.
#[derive(Serialize)]
pub(crate) struct AuthMethodReply<'a> {
    auth_method_name: &'a str,
    auth_method_access_id: &'a str,
    auth_method_id: i64,
    account_id: String,
    access_info: AccessInfo<'a>,
    auth_method_roles_assoc: Vec<RoleAssocReply<'a>>,
    client_permissions: Vec<&'static str>,
    creation_date: String,
    modification_date: String,
    #[serde(flatten)]
    last_used: LastUsed,
    delete_protection: bool,
    description: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    expiration_events: Vec<ExpirationEvent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uid_expiration_events: Vec<UidExpirationEvent>,
}

#[derive(Serialize)]
struct ExpirationEvent {
    seconds_before: u64,
}

#[derive(Clone, Serialize)]
struct UidExpirationEvent {
    percent_passed: u32,
}

/// The model `AuthMethodAccessInfo`.
#[derive(Serialize)]
struct AccessInfo<'a> {
    rules_type: &'a str,
    access_expires: i64,
    cidr_whitelist: String,
    gw_cidr_whitelist: String,
    jwt_ttl: u32,
    force_sub_claims: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    audit_logs_claims: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    allowed_client_type: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    product_types: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_access_rules: Option<ApiKeyRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_pass_access_rules: Option<EmailRules<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    sub_claims_delimiters: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uid_expiration_events: Vec<UidExpirationEvent>,
    /// The rules of a family member, under the name that its kind has.
    #[serde(flatten)]
    member: BTreeMap<&'static str, serde_json::Value>,
}

#[derive(Serialize)]
struct ApiKeyRules {
    alg: &'static str,
    key: String,
    modification_date: String,
}

#[derive(Serialize)]
struct EmailRules<'a> {
    alg: &'static str,
    email: &'a str,
    last_reset_password: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_type: Option<&'static str>,
}

/// The model `AuthMethodRoleAssociation`.
#[derive(Serialize)]
pub(crate) struct RoleAssocReply<'a> {
    assoc_id: &'a str,
    role_name: &'a str,
    role_id: i64,
    auth_method_sub_claims: &'a BTreeMap<String, Vec<String>>,
    is_sub_claims_case_sensitive: bool,
    is_subclaims_with_operator: bool,
    allowed_ops: Vec<&'static str>,
    rules: RulesReply<'a>,
}

impl<'a> RoleAssocReply<'a> {
    /// Shows an association from the auth method's side.
    pub(crate) fn new(assoc: &'a Assoc, role: &'a Role) -> Self {
        Self {
            assoc_id: &assoc.id.0,
            role_name: role.path.bare(),
            role_id: role.id,
            auth_method_sub_claims: &assoc.sub_claims.0,
            is_sub_claims_case_sensitive: assoc.case_sensitive,
            is_subclaims_with_operator: uses_operators(&assoc.sub_claims),
            allowed_ops: Vec::new(),
            rules: RulesReply::new(role),
        }
    }

    /// The same with the operations the role allows on the path that was asked about.
    pub(crate) fn with_allowed_ops(mut self, ops: Vec<&'static str>) -> Self {
        self.allowed_ops = ops;
        self
    }
}

impl<'a> AuthMethodReply<'a> {
    /// Shows `view`.
    pub(crate) fn new(view: &'a MethodView) -> Self {
        let method = &view.method;
        let shared = &method.shared;
        let uid_expiration_events = uid_expiration_events(&method.detail);
        Self {
            auth_method_name: method.path.bare(),
            auth_method_access_id: method.access_id.as_str(),
            auth_method_id: method.id,
            account_id: method.account.to_string(),
            access_info: access_info(view, uid_expiration_events.clone()),
            auth_method_roles_assoc: view
                .roles
                .iter()
                .map(|(assoc, role)| RoleAssocReply::new(assoc, role))
                .collect(),
            client_permissions: view.permissions.iter().map(|cap| cap.name()).collect(),
            creation_date: method.created.rfc3339(),
            modification_date: method.modified.rfc3339(),
            last_used: LastUsed::at(view.last_used),
            delete_protection: shared.delete_protection,
            description: &shared.description,
            expiration_events: shared
                .expiration_event_days
                .iter()
                .map(|days| ExpirationEvent { seconds_before: u64::from(*days) * 86_400 })
                .collect(),
            uid_expiration_events,
        }
    }
}

/// When events are raised about the tokens of a universal identity. V2 shows it in two places.
fn uid_expiration_events(detail: &MethodDetail) -> Vec<UidExpirationEvent> {
    let percents = match detail {
        MethodDetail::Member { kind, settings } if kind == "universal_identity" => {
            keysherd_authn::uid_settings(settings).map(|of| of.expiration_event_percents)
        }
        _ => return Vec::new(),
    };
    // Settings that no member of this release can read are shown as none.
    let percents = percents.unwrap_or_default().into_iter();
    percents.map(|percent_passed| UidExpirationEvent { percent_passed }).collect()
}

fn access_info(view: &MethodView, uid_events: Vec<UidExpirationEvent>) -> AccessInfo<'_> {
    let shared = &view.method.shared;
    let mut member = BTreeMap::new();
    let (api_key, email) = match &view.method.detail {
        MethodDetail::ApiKey { public_key, key_created } => {
            let key = STANDARD.encode(public_key);
            let rules =
                ApiKeyRules { alg: "Ed25519", key, modification_date: key_created.rfc3339() };
            (Some(rules), None)
        }
        MethodDetail::Email { email, password_set, second_factor, .. } => {
            let last_reset_password = password_set.rfc3339();
            let mfa_type = (*second_factor != SecondFactor::None).then_some("auth-app");
            let alg = "Argon2id-Ed25519";
            (None, Some(EmailRules { alg, email, last_reset_password, mfa_type }))
        }
        MethodDetail::Member { kind, settings } => {
            // Settings that no member of this release can read are shown as none.
            let known = keysherd_authn::by_kind(kind).and_then(|known| known.show(settings).ok());
            member.extend(known.map(|rules| (rules.field, rules.content)));
            (None, None)
        }
    };
    AccessInfo {
        rules_type: view.method.detail.kind_name(),
        access_expires: shared.access_expires.map_or(0, |at| at.seconds()),
        cidr_whitelist: joined(&shared.bound_ips),
        gw_cidr_whitelist: joined(&shared.gateway_bound_ips),
        jwt_ttl: view.token_ttl_minutes,
        force_sub_claims: shared.force_sub_claims,
        audit_logs_claims: &shared.audit_claims,
        allowed_client_type: &shared.allowed_client_types,
        product_types: &shared.product_types,
        api_key_access_rules: api_key,
        email_pass_access_rules: email,
        sub_claims_delimiters: &shared.sub_claim_delimiters,
        uid_expiration_events: uid_events,
        member,
    }
}

/// Networks as clients read them back: one text with commas.
pub(crate) fn joined(networks: &[IpNetwork]) -> String {
    networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
