//! Fields that several members share, each written once.

use keysherd_base::Fault;
use keysherd_wire::{Args, Field, List, Text};

/// The claim that distinguishes the bearers of a method.
pub const UNIQUE_IDENTIFIER: Field<Text> =
    Field::text("unique-identifier", "The claim that tells the bearers of the method apart.");
/// The same where a kind has a usual one.
pub const OPTIONAL_UNIQUE_IDENTIFIER: Field<Text> =
    UNIQUE_IDENTIFIER.default("the id that the issuer gave");
/// Delimiters beside the comma.
pub const SUBCLAIMS_DELIMITERS: Field<List> = Field::list(
    "subclaims-delimiters",
    "Characters at which claim values are split, beside the comma.",
);
/// The public name of an auth method.
pub const ACCESS_ID: Field<Text> = Field::text("access-id", "Access id of the auth method.");
/// What a cloud says about a workload.
pub const CLOUD_ID: Field<Text> =
    Field::text("cloud-id", "The cloud identity, as get-cloud-identity prints it.").secret();
/// A token that somebody else issued.
pub const JWT: Field<Text> = Field::text("jwt", "The JSON Web Token, for jwt and oidc.").secret();
/// Inert: the gateway is the one that is called.
pub const GATEWAY_URL: Field<Text> =
    Field::text("gateway-url", "The gateway is the one called.").inert();
/// Provisioning by the identity provider: nothing but "no" is taken.
pub(crate) const SCIM_ENABLED: Field<Text> =
    Field::text("scim-enabled", "Provisioning is not served: only false is taken.");
/// Without effect while provisioning is off, as it always is.
pub(crate) const SCIM_ENDPOINT: Field<Text> = without_scim("scim-endpoint");
/// As [`SCIM_ENDPOINT`].
pub(crate) const SCIM_GATEWAY_URL: Field<Text> = without_scim("scim-gateway-url");
/// As [`SCIM_ENDPOINT`].
pub(crate) const SCIM_BEARER_ACCESS_ID: Field<Text> = without_scim("scim-bearer-access-id");

const fn without_scim(name: &'static str) -> Field<Text> {
    Field::text(name, "Provisioning is not served.").inert()
}

/// Refuses to turn provisioning on: whoever relies on it would believe that people whom the
/// provider removed are removed here.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn refuse_scim(given: &Args) -> Result<(), Fault> {
    let wanted = given.get(&SCIM_ENABLED)?.unwrap_or_default();
    if wanted.is_empty() || wanted.eq_ignore_ascii_case("false") {
        return Ok(());
    }
    Err(Fault::bad_request(
        "invalid value of 'scim-enabled': provisioning by the identity provider is not served; \
         leave it out, and let sub-claims say who may do what",
    ))
}

/// Who searches a directory.
pub const BIND_DN: Field<Text> =
    Field::text("bind-dn", "Who searches the directory; none: nobody, anonymously.");
/// Their password.
pub const BIND_DN_PASSWORD: Field<Text> =
    Field::text("bind-dn-password", "The searcher's password.").secret();
/// What a group is called, or what has the user's groups.
pub const GROUP_ATTR: Field<Text> = Field::text(
    "group-attr",
    "A group's name below group-dn (cn), or without that the user's groups (memberOf).",
);
/// Where groups are.
pub const GROUP_DN: Field<Text> =
    Field::text("group-dn", "Where groups are; none: an attribute of the user tells them.");
/// Which groups are a user's.
pub const GROUP_FILTER: Field<Text> = Field::text(
    "group-filter",
    "Which groups are a user's, with {{.Username}} and {{.UserDN}}; the usual kinds without it.",
);
/// Whose certificate a directory has.
pub const LDAP_CA_CERT: Field<Text> =
    Field::text("ldap-ca-cert", "The directory's CA certificate: PEM, or that in base64.");
/// Where a directory is.
pub const LDAP_URL: Field<Text> = Field::text(
    "ldap-url",
    "Address of the directory: ldaps://host:port, or ldap://host:port with StartTLS.",
);
/// What a user is called.
pub const USER_ATTRIBUTE: Field<Text> =
    Field::text("user-attribute", "The attribute that has the user's name.").default("uid");
/// Where users are.
pub const USER_DN: Field<Text> = Field::text(
    "user-dn",
    "Where users are searched, or with {{.Username}} in it, a user's very name.",
);
