//! Who may configure a gateway cluster besides the account's administrators.

use keysherd_base::{AccessId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::claims::SubClaims;
use crate::policy::sub_claims;

/// Bearers of one auth method, and what of a cluster they may configure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayAccess {
    /// Its number; never used again.
    pub id: i64,
    /// The cluster's number.
    pub cluster: i64,
    /// Its name, unique in the cluster.
    pub name: String,
    /// The auth method's public name.
    pub access_id: AccessId,
    /// Free text.
    pub description: String,
    /// What a bearer's claims must satisfy; empty: everyone who signs in by the method.
    pub sub_claims: SubClaims,
    /// Whether letter case of claim values counts.
    pub case_sensitive: bool,
    /// What they may configure.
    pub permissions: Vec<GatewayPermission>,
    /// Whether the cluster's gateways brought it: only they change it.
    #[serde(default)]
    pub provided: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
}

impl GatewayAccess {
    /// Whether the bearer of `claims` by the method `access_id` has `permission` by this.
    pub fn grants(
        &self,
        access_id: &AccessId,
        claims: &SubClaims,
        permission: GatewayPermission,
    ) -> bool {
        use GatewayPermission::{Admin, Defaults, General};
        let enough = match permission {
            // The V2 API gives the two together.
            Defaults | General => [Defaults, General, Admin],
            other => [other, other, Admin],
        };
        self.access_id == *access_id
            && self.permissions.iter().any(|granted| enough.contains(granted))
            && sub_claims::matches(&self.sub_claims, self.case_sensitive, claims)
    }
}

/// A part of a cluster's configuration, as the V2 API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of the V2 API; parts that are not served grant nothing")]
pub enum GatewayPermission {
    Admin,
    Defaults,
    General,
    Targets,
    ClassicKeys,
    AutomaticMigration,
    DynamicSecret,
    RotatedSecret,
    RotateSecretValue,
    LogForwarding,
    ZeroKnowledgeEncryption,
    Caching,
    EventForwarding,
    LdapAuth,
    K8sAuth,
    KerberosAuth,
    Kmip,
    Acme,
    Hsm,
    Sdr,
    SraConfig,
}

impl GatewayPermission {
    /// Each with its name.
    pub const ALL: &[(&str, Self)] = &[
        ("admin", Self::Admin),
        ("defaults", Self::Defaults),
        ("general", Self::General),
        ("targets", Self::Targets),
        ("classic_keys", Self::ClassicKeys),
        ("automatic_migration", Self::AutomaticMigration),
        ("dynamic_secret", Self::DynamicSecret),
        ("rotated_secret", Self::RotatedSecret),
        ("rotate_secret_value", Self::RotateSecretValue),
        ("log_forwarding", Self::LogForwarding),
        ("zero_knowledge_encryption", Self::ZeroKnowledgeEncryption),
        ("caching", Self::Caching),
        ("event_forwarding", Self::EventForwarding),
        ("ldap_auth", Self::LdapAuth),
        ("k8s_auth", Self::K8sAuth),
        ("kerberos_auth", Self::KerberosAuth),
        ("kmip", Self::Kmip),
        ("acme", Self::Acme),
        ("hsm", Self::Hsm),
        ("sdr", Self::Sdr),
        ("sra_config", Self::SraConfig),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, permission)| *permission == self);
        named.map_or("", |(name, _)| name)
    }

    /// The one with this name; `sra` is short for `sra_config`.
    pub fn from_name(name: &str) -> Option<Self> {
        let wanted = if name == "sra" { "sra_config" } else { name };
        let found = Self::ALL.iter().find(|(known, _)| *known == wanted);
        found.map(|(_, permission)| *permission)
    }

    /// What a public command about a gateway's configuration needs; without a rule of its own, all.
    pub fn for_command(command: &str) -> Self {
        let parts = [
            ("k8s-auth-config", Self::K8sAuth),
            ("ldap-auth-config", Self::LdapAuth),
            ("log-forwarding", Self::LogForwarding),
            ("log-reader", Self::LogForwarding),
            ("tls-cert", Self::General),
            ("cache", Self::Caching),
            ("offline-policy", Self::Caching),
            ("defaults", Self::Defaults),
            ("get-config", Self::General),
        ];
        let Some(about) = command.strip_prefix("gateway-") else {
            // What it keeps for auth methods comes with the commands about those.
            let kerberos = command.contains("auth-method-") && command.ends_with("-kerberos");
            return if kerberos { Self::KerberosAuth } else { Self::Admin };
        };
        let found = parts.iter().find(|(part, _)| about.contains(part));
        found.map_or(Self::Admin, |(_, permission)| *permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_permissions_and_back() {
        for (name, permission) in GatewayPermission::ALL {
            assert_eq!(GatewayPermission::from_name(name), Some(*permission));
            assert_eq!(permission.name(), *name);
        }
        assert_eq!(GatewayPermission::ALL.len(), 21);
        assert_eq!(GatewayPermission::from_name("sra"), Some(GatewayPermission::SraConfig));
        for unknown in ["", "Admin", "everything"] {
            assert_eq!(GatewayPermission::from_name(unknown), None);
        }
    }

    #[test]
    fn a_command_without_a_part_of_its_own_needs_all() {
        let needs = GatewayPermission::for_command;
        assert_eq!(needs("gateway-update-ldap-auth-config"), GatewayPermission::LdapAuth);
        assert_eq!(needs("gateway-create-k8s-auth-config"), GatewayPermission::K8sAuth);
        assert_eq!(needs("gateway-update-log-forwarding-splunk"), GatewayPermission::LogForwarding);
        assert_eq!(needs("gateway-update-log-reader"), GatewayPermission::LogForwarding);
        assert_eq!(needs("gateway-update-tls-cert"), GatewayPermission::General);
        assert_eq!(needs("gateway-get-config"), GatewayPermission::General);
        assert_eq!(needs("gateway-update-defaults"), GatewayPermission::Defaults);
        assert_eq!(needs("auth-method-update-kerberos"), GatewayPermission::KerberosAuth);
        let others = [
            "gateway-create-allowed-access",
            "gateway-rekey-config",
            "update-k8s-auth-config",
            "auth-method",
            "",
        ];
        for other in others {
            assert_eq!(needs(other), GatewayPermission::Admin, "{other}");
        }
    }

    #[test]
    fn access_is_by_method_claims_and_permission_together() {
        let [people, robots] =
            ["p-0123456789ab", "p-0123456789cd"].map(|id| AccessId::parse(id).unwrap());
        let claims = |team: &str| {
            let mut claims = SubClaims::default();
            claims.set("team", team);
            claims
        };
        let access = |permissions: &[GatewayPermission]| GatewayAccess {
            id: 1,
            cluster: 1,
            name: "ops".to_owned(),
            access_id: people.clone(),
            description: String::new(),
            sub_claims: claims("ops"),
            case_sensitive: true,
            permissions: permissions.to_vec(),
            provided: false,
            created: Timestamp(0),
            modified: Timestamp(0),
        };
        use GatewayPermission::{Admin, K8sAuth, LdapAuth};
        let k8s = access(&[K8sAuth]);
        assert!(k8s.grants(&people, &claims("ops"), K8sAuth));
        assert!(!k8s.grants(&people, &claims("ops"), LdapAuth));
        assert!(!k8s.grants(&people, &claims("ops"), Admin));
        assert!(!k8s.grants(&people, &claims("OPS"), K8sAuth));
        assert!(!k8s.grants(&people, &SubClaims::default(), K8sAuth));
        assert!(!k8s.grants(&robots, &claims("ops"), K8sAuth));
        assert!(access(&[Admin]).grants(&people, &claims("ops"), LdapAuth));
        let general = access(&[GatewayPermission::General]);
        assert!(general.grants(&people, &claims("ops"), GatewayPermission::Defaults));
        assert!(!general.grants(&people, &claims("ops"), K8sAuth));
        // No permission is none, not all.
        assert!(!access(&[]).grants(&people, &claims("ops"), K8sAuth));
    }
}
