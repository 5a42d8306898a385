//! Commands about the gateway that answers.

mod allowed_access;
mod apply_owner_order;
mod cache;
mod create_allowed_access;
mod create_k8s_auth_config;
mod defaults;
mod delete_allowed_access;
mod delete_gateway_cluster;
mod delete_k8s_auth_config;
mod demote;
mod describe_key_fragments;
mod download_customer_fragments;
mod get_allowed_access;
mod get_cache;
mod get_config;
mod get_defaults;
mod get_k8s_auth_config;
mod get_ldap_auth_config;
mod get_offline_policy;
mod k8s_auth_config;
mod ldap_auth_config;
mod list_customer_fragments;
mod list_gateways;
mod log_forwarding;
mod promote;
mod rekey_config;
mod standing;
mod update_allowed_access;
mod update_cache;
mod update_defaults;
mod update_k8s_auth_config;
mod update_ldap_auth_config;
mod update_offline_policy;
mod update_tls_cert;

use crate::commands::ApiCommand;

/// The commands.
pub(super) fn commands() -> Vec<&'static ApiCommand> {
    COMMANDS.iter().copied().chain(log_forwarding::commands()).collect()
}

/// Whether a command of this name is about forwarding the audit log.
pub(super) fn forwards_logs(name: &str) -> bool {
    log_forwarding::is_one(name)
}

static COMMANDS: &[&ApiCommand] = &[
    &list_gateways::COMMAND,
    &delete_gateway_cluster::COMMAND,
    &promote::COMMAND,
    &demote::COMMAND,
    &create_allowed_access::COMMAND,
    &get_allowed_access::COMMAND,
    &update_allowed_access::COMMAND,
    &delete_allowed_access::COMMAND,
    &get_config::COMMAND,
    &get_defaults::COMMAND,
    &update_defaults::COMMAND,
    &rekey_config::COMMAND,
    &list_customer_fragments::COMMAND,
    &download_customer_fragments::COMMAND,
    &apply_owner_order::COMMAND,
    &describe_key_fragments::COMMAND,
    &create_k8s_auth_config::COMMAND,
    &get_k8s_auth_config::COMMAND,
    &update_k8s_auth_config::COMMAND,
    &delete_k8s_auth_config::COMMAND,
    &get_ldap_auth_config::COMMAND,
    &update_ldap_auth_config::COMMAND,
    &update_tls_cert::COMMAND,
    &update_cache::COMMAND,
    &get_cache::COMMAND,
    &update_offline_policy::COMMAND,
    &get_offline_policy::COMMAND,
];
