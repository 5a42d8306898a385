//! The environment of V2 gateways: which of its names mean something here, and which do not.
//!
//! Whoever brings such an environment along is told what of it has no effect, by name; values are
//! never shown.

/// Names that have an effect.
const UNDERSTOOD: &[&str] = &[
    "ADMIN_ACCESS_ID",
    "ADMIN_ACCESS_KEY",
    "ADMIN_CERTIFICATE_KEY",
    "ADMIN_UID_TOKEN",
    "ALLOWED_ACCESS_PERMISSIONS",
    "AZURE_OBJ_ID",
    "BLOCKLIST_ACCESS_IDS",
    "CACHE_ENABLE",
    "CACHE_ENCRYPTION_KEY",
    "CACHE_MAX_ITEMS",
    "CACHE_TTL",
    "CLUSTER_NAME",
    "CLUSTER_URL",
    "CONFIG_PROTECTION_KEY_NAME",
    "CUSTOMER_FRAGMENTS",
    "DEFAULT_CERTIFICATE_ACCESS_ID",
    "DEFAULT_ENCRYPTION_KEY",
    "DEFAULT_OIDC_ACCESS_ID",
    "DEFAULT_SAML_ACCESS_ID",
    "DEFAULT_SECRET_LOCATION",
    "GATEWAY_ACCESS_ID",
    "GATEWAY_ACCESS_KEY",
    "GATEWAY_ACCESS_TYPE",
    "GATEWAY_CERTIFICATE",
    "GATEWAY_CERTIFICATE_KEY",
    "GATEWAY_UID_TOKEN",
    "GCP_AUDIENCE",
    "GW_RATE_LIMIT",
    "INITIAL_DISPLAY_NAME",
    "MIN_TLS_VERSION",
    "NEW_PROACTIVE_CACHE_ENABLE",
    "POD_NAME",
    "PROACTIVE_CACHE_ENABLE",
    "PROACTIVE_CACHE_MINIMUM_FETCHING_TIME",
    "PROACTIVE_CACHE_WORKERS",
    "PRO_ACTIVE_CACHE_ENABLE",
    "RESTRICT_SERVICE_TO_ACCESS_IDS",
    "UID_CREATE_CHILD_TOKEN_PER_POD",
    "UID_ROTATE_INTERVAL",
];

/// Names with a meaning for V2 gateways and none here, with what to do instead.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("ADMIN_CERTIFICATE", "use GATEWAY_CERTIFICATE"),
    ("ADMIN_PASSWORD", "gateways sign in with an access key or a certificate"),
    ("AKEYLESS_OIDC_GW_AUTH", "browsers come back to the gateway always"),
    ("AKEYLESS_URL", "use --control"),
    ("ALLOWED_ACCESS_IDS", "use ALLOWED_ACCESS_PERMISSIONS"),
    ("ARTIFACTS_REPO", "nothing is downloaded at the start"),
    ("AZURE_OBJECT_ID", "use AZURE_OBJ_ID"),
    ("CACHE_ENCRYPTION_KEY_SECRET_NAME", "use CACHE_ENCRYPTION_KEY or --cache-key-file"),
    ("CACHE_REDIS_CA_PATH", "there is no cache outside of the process"),
    ("CACHE_REDIS_CERT_PATH", "there is no cache outside of the process"),
    ("CACHE_REDIS_KEY_PATH", "there is no cache outside of the process"),
    ("ENABLE_CACHE_TLS", "there is no cache outside of the process"),
    ("ENABLE_GRPC", "there is no gRPC"),
    ("ENABLE_METRICS", "use --metrics-listen"),
    ("ENABLE_SNI_PROXY", "there is no SNI proxy"),
    ("ENABLE_TLS", "there is always TLS"),
    ("ENABLE_TLS_CONFIGURE", "there is always TLS"),
    ("ENABLE_TLS_CURL", "there is always TLS"),
    ("ENABLE_TLS_HVP", "there is always TLS"),
    ("EXCLUDE_CIPHER_SUITES", "TLS 1.2 and 1.3 with modern suites only"),
    ("GATEWAY_AUTHORIZED_ACCESS_ID", "use RESTRICT_SERVICE_TO_ACCESS_IDS"),
    ("GATEWAY_CLUSTER_CACHE", "there is no cache outside of the process"),
    ("GW_METRICS_NET_IFACE", "all interfaces are counted"),
    ("HSM_PIN", "see docs/customer-fragments.md"),
    ("HSM_SLOT", "see docs/customer-fragments.md"),
    ("HSM_TOKEN_LABEL", "see docs/customer-fragments.md"),
    ("HSM_TOKEN_SERIAL", "see docs/customer-fragments.md"),
    ("HSM_USE_RAND", "see docs/customer-fragments.md"),
    ("IGNORE_REDIS_HEALTH", "there is no cache outside of the process"),
    ("MEM_LIMIT", "limit the memory of the unit or the container"),
    ("PKCS11_LIB_PATH", "see docs/customer-fragments.md"),
    ("PREFER_CLUSTER_CACHE_FIRST", "there is no cache outside of the process"),
    ("PROACTIVE_CACHE_DUMP_INTERVAL", "there is no cache outside of the process"),
    ("REDIS_ADDR", "there is no cache outside of the process"),
    ("REDIS_PASS", "there is no cache outside of the process"),
    ("REDIS_SENTINEL_ADDR", "there is no cache outside of the process"),
    ("REDIS_SENTINEL_MASTER_NAME", "there is no cache outside of the process"),
    ("RESTRICT_ACCESS_TO_ADMIN_ACCOUNT", "use RESTRICT_SERVICE_TO_ACCESS_IDS"),
    ("SQS_NO_PROXY", "there is one outgoing connection to control"),
    ("STORE_CACHE_ENCRYPTION_KEY_TO_K8S_SECRETS", "use CACHE_ENCRYPTION_KEY or --cache-key-file"),
    ("UNIFIED_GATEWAY", "there is one listener for all"),
    ("USE_CLUSTER_CACHE", "there is no cache outside of the process"),
    ("akeyless_server_dns", "use --control"),
    ("akeyless_url", "use --control"),
];

/// What to tell about an environment with these names, in their order.
pub(crate) fn remarks(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut remarks: Vec<String> = names.filter_map(|name| remark(&name)).collect();
    remarks.sort_unstable();
    remarks
}

fn remark(name: &str) -> Option<String> {
    if UNDERSTOOD.contains(&name) {
        return None;
    }
    if let Some((_, instead)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == name) {
        return Some(format!("{name} has no effect here: {instead}"));
    }
    let ours = name.starts_with("GATEWAY_");
    ours.then(|| format!("{name} is not known; check its spelling"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_effect_is_told_by_name_and_nothing_else_is() {
        let names = ["PATH", "HOME", "GATEWAY_ACCESS_ID", "REDIS_PASS", "GATEWAY_ACESS_KEY"];
        let told = remarks(names.iter().map(|name| (*name).to_owned()));
        let wanted = [
            "GATEWAY_ACESS_KEY is not known; check its spelling",
            "REDIS_PASS has no effect here: there is no cache outside of the process",
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn no_name_is_listed_twice() {
        for name in UNDERSTOOD {
            assert!(WITHOUT_EFFECT.iter().all(|(other, _)| other != name), "{name}");
        }
        assert!(WITHOUT_EFFECT.is_sorted_by(|a, b| a.0 < b.0) && UNDERSTOOD.is_sorted());
    }
}
