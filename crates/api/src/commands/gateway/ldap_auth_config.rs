//! A gateway's configuration of a directory: its fields, and what is shown of it.

use keysherd_authn::{LDAP_CONFIG, LdapConfig, pem_text, signing_key};
use keysherd_base::{AccessId, AccountId, Fault};
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Args, Field, Flag, Group, Text};
use serde::Serialize;

use crate::configs::Config;
use crate::ctx::Ctx;

const ACCESS_ID: Field<Text> = Field::text("access-id", "Access id of the LDAP auth method.");
const BIND_DN: Field<Text> =
    Field::text("bind-dn", "Who searches the directory; none: nobody, anonymously.");
const BIND_DN_PASSWORD: Field<Text> =
    Field::text("bind-dn-password", "The searcher's password.").secret();
const GROUP_ATTR: Field<Text> = Field::text(
    "group-attr",
    "A group's name below group-dn (cn), or without that the user's groups (memberOf).",
);
const GROUP_DN: Field<Text> =
    Field::text("group-dn", "Where groups are; none: an attribute of the user tells them.");
const GROUP_FILTER: Field<Text> = Field::text(
    "group-filter",
    "Which groups are a user's, with {{.Username}} and {{.UserDN}}; the usual kinds without it.",
);
const LDAP_CA_CERT: Field<Text> =
    Field::text("ldap-ca-cert", "The directory's CA certificate: PEM, or that in base64.");
const LDAP_ENABLE: Field<Flag> =
    Field::flag("ldap-enable", "Whether logins are checked.").default("true");
const LDAP_URL: Field<Text> = Field::text(
    "ldap-url",
    "Address of the directory: ldaps://host:port, or ldap://host:port with StartTLS.",
);
const SIGNING_KEY_DATA: Field<Text> = Field::text(
    "signing-key-data",
    "The private key that was shown when the auth method was made: PEM, or that in base64.",
)
.secret();
const USER_ATTRIBUTE: Field<Text> =
    Field::text("user-attribute", "The attribute that has the user's name.").default("uid");
const USER_DN: Field<Text> = Field::text(
    "user-dn",
    "Where users are searched, or with {{.Username}} in it, a user's very name.",
);

/// All of them.
pub(super) static CONFIG: Group = Group {
    title: "Directory",
    fields: &[
        ACCESS_ID.spec(),
        SIGNING_KEY_DATA.spec(),
        LDAP_URL.spec(),
        LDAP_CA_CERT.spec(),
        LDAP_ENABLE.spec(),
        BIND_DN.spec(),
        BIND_DN_PASSWORD.spec(),
        USER_DN.spec(),
        USER_ATTRIBUTE.spec(),
        GROUP_DN.spec(),
        GROUP_ATTR.spec(),
        GROUP_FILTER.spec(),
    ],
};

/// The caller's account, if they may configure this gateway, for that method if one is named.
pub(super) async fn admitted(ctx: &Ctx, method: Option<&AccessId>) -> Result<AccountId, Fault> {
    let signs_for = method.map(|id| (id.clone(), LDAP_CONFIG.to_owned()));
    Ok(ctx.ask(GatewayConfigure { signs_for }).await?.account)
}

/// The configuration there is.
pub(super) fn known(
    ctx: &Ctx,
    account: AccountId,
) -> Result<Option<(AccessId, LdapConfig)>, Fault> {
    let found = ctx.services().configs.get(account, LDAP_CONFIG, "")?;
    found.map(|(id, body)| Ok((id, LdapConfig::from_json(&body)?))).transpose()
}

/// The configuration that the arguments make of the one there is: what is not given stays.
pub(super) fn changed(
    args: &Args,
    old: Option<(AccessId, LdapConfig)>,
    account: AccountId,
) -> Result<Config, Fault> {
    let given = args.get(&ACCESS_ID)?.map(|id| AccessId::parse(&id)).transpose();
    let given =
        given.map_err(|bad| Fault::bad_request(format!("invalid value of 'access-id': {bad}")))?;
    let (old_id, old) = old.unzip();
    let access_id = given.or(old_id).ok_or_else(|| missing(&ACCESS_ID))?;
    let key = args.secret(&SIGNING_KEY_DATA)?;
    let key = key.map(|key| signing_key(SIGNING_KEY_DATA.name(), &key)).transpose()?;
    let key = key.map(|key| key.expose().clone());
    let kept = |pick: fn(&LdapConfig) -> Option<String>| old.as_ref().and_then(pick);
    let text =
        |field: &Field<Text>, kept: Option<String>| Ok::<_, Fault>(args.get(field)?.or(kept));
    let config = LdapConfig {
        enabled: args.get_or(&LDAP_ENABLE, old.as_ref().is_none_or(|old| old.enabled))?,
        url: text(&LDAP_URL, kept(|old| Some(old.url.clone())))?
            .ok_or_else(|| missing(&LDAP_URL))?,
        bind_dn: text(&BIND_DN, kept(|old| old.bind_dn.clone()))?,
        bind_password: text(&BIND_DN_PASSWORD, kept(|old| old.bind_password.clone()))?,
        user_dn: text(&USER_DN, kept(|old| Some(old.user_dn.clone())))?
            .ok_or_else(|| missing(&USER_DN))?,
        user_attribute: text(&USER_ATTRIBUTE, kept(|old| Some(old.user_attribute.clone())))?
            .unwrap_or_else(|| "uid".to_owned()),
        group_dn: text(&GROUP_DN, kept(|old| old.group_dn.clone()))?,
        group_attribute: text(&GROUP_ATTR, kept(|old| old.group_attribute.clone()))?,
        group_filter: text(&GROUP_FILTER, kept(|old| old.group_filter.clone()))?,
        ca: certificate(args)?.or_else(|| kept(|old| old.ca.clone())),
        signing_key: key
            .or_else(|| kept(|old| Some(old.signing_key.clone())))
            .ok_or_else(|| missing(&SIGNING_KEY_DATA))?,
    };
    config.check()?;
    let body = config.to_json()?;
    Ok(Config { account, kind: LDAP_CONFIG, name: String::new(), access_id, body })
}

fn certificate(args: &Args) -> Result<Option<String>, Fault> {
    let Some(given) = args.get(&LDAP_CA_CERT)? else { return Ok(None) };
    pem_text(&given).map(Some).ok_or_else(|| {
        Fault::bad_request("invalid value of 'ldap-ca-cert': it must be PEM, or PEM in base64")
    })
}

fn missing(field: &Field<Text>) -> Fault {
    Fault::bad_request(format!("missing required field '{}'", field.name()))
}

/// The model `GatewayGetLdapAuthConfigOutput` without its secrets.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    ldap_access_id: &'a str,
    ldap_anonymous_search: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_bind_dn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_cert: Option<&'a str>,
    ldap_enable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_group_attr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_group_dn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_group_filter: Option<&'a str>,
    ldap_url: &'a str,
    ldap_user_attr: &'a str,
    ldap_user_dn: &'a str,
}

/// What is shown of a configuration.
pub(super) fn shown<'a>(access_id: &'a AccessId, config: &'a LdapConfig) -> Shown<'a> {
    Shown {
        ldap_access_id: access_id.as_str(),
        ldap_anonymous_search: config.bind_dn.is_none(),
        ldap_bind_dn: config.bind_dn.as_deref(),
        ldap_cert: config.ca.as_deref(),
        ldap_enable: config.enabled,
        ldap_group_attr: config.group_attribute.as_deref(),
        ldap_group_dn: config.group_dn.as_deref(),
        ldap_group_filter: config.group_filter.as_deref(),
        ldap_url: &config.url,
        ldap_user_attr: &config.user_attribute,
        ldap_user_dn: &config.user_dn,
    }
}
