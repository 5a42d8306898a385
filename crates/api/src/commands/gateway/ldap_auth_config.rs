//! A gateway's configuration of a directory: its fields, and what is shown of it.

use keysherd_authn::fields::{
    BIND_DN, BIND_DN_PASSWORD, GROUP_ATTR, GROUP_DN, GROUP_FILTER, LDAP_CA_CERT, LDAP_URL,
    USER_ATTRIBUTE, USER_DN,
};
use keysherd_authn::{Directory, LDAP_CONFIG, LdapConfig, signing_key};
use keysherd_base::{AccessId, AccountId, Fault, SecretString};
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Args, Field, Flag, Group, Text};
use serde::Serialize;

use crate::configs::Config;
use crate::ctx::Ctx;

const ACCESS_ID: Field<Text> = Field::text("access-id", "Access id of the LDAP auth method.");
const LDAP_ENABLE: Field<Flag> =
    Field::flag("ldap-enable", "Whether logins are checked.").default("true");
const SIGNING_KEY_DATA: Field<Text> = Field::text(
    "signing-key-data",
    "The private key that was shown when the auth method was made: PEM, or that in base64.",
)
.secret();

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
    let signs_for = method.map(|id| (id.clone(), Some(LDAP_CONFIG.to_owned())));
    Ok(ctx.ask(GatewayConfigure { signs_for }).await?.account)
}

/// The configuration there is.
pub(super) fn known(
    ctx: &Ctx,
    account: AccountId,
) -> Result<Option<(AccessId, LdapConfig)>, Fault> {
    parsed(read(ctx, account)?.as_ref())
}

/// The same as it is kept.
pub(super) fn read(
    ctx: &Ctx,
    account: AccountId,
) -> Result<Option<(AccessId, SecretString)>, Fault> {
    ctx.services().configs.get(account, LDAP_CONFIG, "")
}

/// What is kept, in the form that commands work with.
pub(super) fn parsed(
    kept: Option<&(AccessId, SecretString)>,
) -> Result<Option<(AccessId, LdapConfig)>, Fault> {
    kept.map(|(id, body)| Ok((id.clone(), LdapConfig::from_json(body)?))).transpose()
}

/// The configuration that the arguments make of the one there is: what is not given stays. The
/// signing key stays only while nothing changes of who people are: whoever may configure the
/// gateway, and does not have the key, must not choose what it signs.
pub(super) fn changed(
    args: &Args,
    old: Option<(AccessId, LdapConfig)>,
    account: AccountId,
) -> Result<Config, Fault> {
    let given = args.get(&ACCESS_ID)?.map(|id| AccessId::parse(&id)).transpose();
    let given =
        given.map_err(|bad| Fault::bad_request(format!("invalid value of 'access-id': {bad}")))?;
    let (old_id, old) = old.unzip();
    let access_id = given.or(old_id.clone()).ok_or_else(|| missing(&ACCESS_ID))?;
    let directory = Directory::read(args, old.as_ref().map(|old| &old.directory))?;
    let key = args.secret(&SIGNING_KEY_DATA)?;
    let key = key.map(|key| signing_key(SIGNING_KEY_DATA.name(), &key)).transpose()?;
    let key = key.map(|key| key.expose().clone());
    let enabled = args.get_or(&LDAP_ENABLE, old.as_ref().is_none_or(|old| old.enabled))?;
    let signing_key = match (key, old) {
        (Some(key), _) => key,
        (None, None) => return Err(missing(&SIGNING_KEY_DATA)),
        (None, Some(old)) if old_id == Some(access_id.clone()) => {
            if !directory.answers_as(&old.directory) {
                return Err(key_is_needed());
            }
            old.signing_key.clone()
        }
        (None, Some(_)) => return Err(key_is_needed()),
    };
    let config = LdapConfig { enabled, directory, signing_key };
    let body = config.to_json()?;
    Ok(Config { account, kind: LDAP_CONFIG, name: String::new(), access_id, body })
}

fn key_is_needed() -> Fault {
    Fault::bad_request(format!(
        "another auth method, or another place for people or groups, needs '{}' again: the key \
         signs what the directory says of them",
        SIGNING_KEY_DATA.name()
    ))
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
    let directory = &config.directory;
    Shown {
        ldap_access_id: access_id.as_str(),
        ldap_anonymous_search: directory.bind_dn.is_none(),
        ldap_bind_dn: directory.bind_dn.as_deref(),
        ldap_cert: directory.ca.as_deref(),
        ldap_enable: config.enabled,
        ldap_group_attr: directory.group_attribute.as_deref(),
        ldap_group_dn: directory.group_dn.as_deref(),
        ldap_group_filter: directory.group_filter.as_deref(),
        ldap_url: &directory.url,
        ldap_user_attr: &directory.user_attribute,
        ldap_user_dn: &directory.user_dn,
    }
}
