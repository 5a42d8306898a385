//! A role as `get-role` and `list-roles` show it.

use std::collections::BTreeMap;

use keysherd_domain::auth_method::AuthMethod;
use keysherd_domain::policy::sub_claims::uses_operators;
use keysherd_domain::role::{Assoc, Capability, Role, Rule, RuleKind};
use keysherd_plane::roles::RoleView;
use serde::Serialize;

use super::LastUsed;

/// The model `Role`.
#[derive(Serialize)]
pub(crate) struct RoleReply<'a> {
    role_name: &'a str,
    role_id: i64,
    comment: &'a str,
    rules: RulesReply<'a>,
    role_auth_methods_assoc: Vec<MethodAssocReply<'a>>,
    client_permissions: Vec<&'static str>,
    delete_protection: bool,
    creation_date: String,
    modification_date: String,
    #[serde(flatten)]
    last_used: LastUsed,
}

/// The model `Rules`.
#[derive(Serialize)]
pub(crate) struct RulesReply<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    admin: bool,
    path_rules: Option<Vec<RuleReply<'a>>>,
}

#[derive(Serialize)]
struct RuleReply<'a> {
    path: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    capabilities: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
}

#[derive(Serialize)]
struct MethodAssocReply<'a> {
    assoc_id: &'a str,
    auth_method_access_id: &'a str,
    auth_method_id: i64,
    auth_method_name: &'a str,
    auth_method_sub_claims: &'a BTreeMap<String, Vec<String>>,
    is_subclaims_with_operator: bool,
    sub_claims_case_sensitive: bool,
}

impl<'a> RulesReply<'a> {
    /// Shows the rules of `role`.
    pub(crate) fn new(role: &'a Role) -> Self {
        let rules: Vec<_> = role.rules.iter().map(rule_reply).collect();
        Self { admin: role.admin, path_rules: (!rules.is_empty()).then_some(rules) }
    }
}

fn rule_reply(rule: &Rule) -> RuleReply<'_> {
    RuleReply {
        path: &rule.path,
        kind: rule.kind.name(),
        capabilities: rule.capabilities.iter().map(|cap| shown(rule.kind, cap)).collect(),
        ttl: rule.expires.map(|at| at.seconds()),
    }
}

/// Capabilities of remote access read back under other names than they are set with.
fn shown(kind: RuleKind, capability: Capability) -> &'static str {
    if kind != RuleKind::Sra {
        return capability.name();
    }
    match capability {
        Capability::AllowAccess => "sra_transparently_connect",
        Capability::RequestAccess => "sra_request_for_access",
        Capability::JustifyAccessOnly => "sra_require_justification",
        Capability::ApprovalAuthority => "sra_approval_authority",
        Capability::UploadFiles => "sra_upload_files",
        Capability::DownloadFiles => "sra_download_files",
        other => other.name(),
    }
}

impl<'a> RoleReply<'a> {
    /// Shows `view`.
    pub(crate) fn new(view: &'a RoleView) -> Self {
        let role = &view.role;
        Self {
            role_name: role.path.bare(),
            role_id: role.id,
            comment: &role.comment,
            rules: RulesReply::new(role),
            role_auth_methods_assoc: view
                .methods
                .iter()
                .map(|(assoc, method)| method_assoc(assoc, method))
                .collect(),
            client_permissions: view.permissions.iter().map(|cap| cap.name()).collect(),
            delete_protection: role.delete_protection,
            creation_date: role.created.rfc3339(),
            modification_date: role.modified.rfc3339(),
            last_used: LastUsed::at(view.last_used),
        }
    }
}

fn method_assoc<'a>(assoc: &'a Assoc, method: &'a AuthMethod) -> MethodAssocReply<'a> {
    MethodAssocReply {
        assoc_id: &assoc.id.0,
        auth_method_access_id: method.access_id.as_str(),
        auth_method_id: method.id,
        auth_method_name: method.path.bare(),
        auth_method_sub_claims: &assoc.sub_claims.0,
        is_subclaims_with_operator: uses_operators(&assoc.sub_claims),
        sub_claims_case_sensitive: assoc.case_sensitive,
    }
}
