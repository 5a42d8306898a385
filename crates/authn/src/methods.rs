//! The members, each in its own file.

mod alicloud;
mod aws_iam;
mod azure_ad;
pub(crate) mod cert;
mod gcp;
mod huawei;
pub(crate) mod k8s;
pub(crate) mod kerberos;
pub(crate) mod ldap;
mod oauth2;
mod oci;
mod oidc;
mod saml;
mod universal_identity;

use crate::Method;

pub use universal_identity::uid_settings;

static METHODS: &[&dyn Method] = &[
    &alicloud::AliCloud,
    &aws_iam::AwsIam,
    &azure_ad::AzureAd,
    &cert::Cert,
    &gcp::Gcp,
    &huawei::Huawei,
    &k8s::K8s,
    &kerberos::Kerberos,
    &ldap::Ldap,
    &oauth2::OAuth2,
    &oidc::Oidc,
    &oci::Oci,
    &saml::Saml,
    &universal_identity::UniversalIdentity,
];

/// Every member.
pub fn all() -> &'static [&'static dyn Method] {
    METHODS
}

/// The member with this `rules_type`.
pub fn by_kind(name: &str) -> Option<&'static dyn Method> {
    METHODS.iter().copied().find(|method| method.kind().name == name)
}

/// The member that an `access-type` of `auth` means, in any letter case.
pub fn by_access_type(name: &str) -> Option<&'static dyn Method> {
    let called = |method: &&dyn Method| {
        method.kind().access_types.iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    METHODS.iter().copied().find(called)
}
