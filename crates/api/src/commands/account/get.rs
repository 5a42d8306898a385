//! `get-account-settings`: the settings of the account.

use keysherd_base::{Fault, ItemId};
use keysherd_domain::account::{Account, AccountSettings};
use keysherd_plane::accounts::{AccountGet, AccountView};
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::replies::auth_method::joined;

/// Minutes an item can be locked at most: a week.
const LOCK_TTL_MINUTES_MAX: u32 = 10_080;

#[derive(Serialize)]
struct Reply<'a> {
    account_id: String,
    company_name: &'a str,
    email: &'a str,
    phone: &'a str,
    address: Address<'a>,
    general_settings: General<'a>,
    object_version_settings: Versions<'a>,
    system_access_creds_settings: TokenTtl,
}

#[derive(Serialize)]
struct Address<'a> {
    street: &'a str,
    city: &'a str,
    country: &'a str,
    postal_code: &'a str,
}

#[derive(Serialize)]
struct General<'a> {
    account_default_key_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_default_key_item_id: Option<ItemId>,
    lock_default_key: bool,
    protect_items_by_default: bool,
    hide_personal_folder: bool,
    hide_static_password: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_locking: Option<ItemLocking>,
    allowed_clients_ips: Ips,
    allowed_gateways_ips: Ips,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_client_types: Option<ClientTypes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invalid_characters: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dynamic_secret_max_ttl: Option<MaxTtl>,
}

#[derive(Serialize)]
struct MaxTtl {
    enable: bool,
    max_ttl_by_minutes: i64,
}

#[derive(Serialize)]
struct ItemLocking {
    enable: bool,
    max_lock_ttl_mins: u32,
}

#[derive(Serialize)]
struct Ips {
    cidr_whitelist: String,
    lock: bool,
}

#[derive(Serialize)]
struct ClientTypes<'a> {
    client_types: &'a [String],
    lock: bool,
}

#[derive(Serialize)]
struct Versions<'a> {
    #[serde(rename = "default-versioning")]
    default_versioning: bool,
    force_new_versions: bool,
    items: Vec<ItemVersions<'a>>,
}

#[derive(Serialize)]
struct ItemVersions<'a> {
    #[serde(rename = "item-type")]
    item_type: &'a str,
    #[serde(rename = "max-versions")]
    max_versions: String,
}

#[derive(Serialize)]
struct TokenTtl {
    jwt_ttl_default: u32,
    jwt_ttl_minimum: u32,
    jwt_ttl_maximum: u32,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "get-account-settings",
        aliases: &[],
        success: 200,
        summary: "Show the settings of the account.",
        groups: &[&SESSION],
        fields: &[],
        reply: "GetAccountSettingsCommandOutput",
        access: Access::Token,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let view = ctx.ask(AccountGet).await?;
    let Account { id, settings, .. } = &view.account;
    Answer::json(&Reply {
        account_id: id.to_string(),
        company_name: &settings.company_name,
        email: &settings.email,
        phone: &settings.phone,
        address: Address {
            street: &settings.address,
            city: &settings.city,
            country: &settings.country,
            postal_code: &settings.postal_code,
        },
        general_settings: general(&view),
        object_version_settings: versions(settings),
        system_access_creds_settings: TokenTtl {
            jwt_ttl_default: settings.token_ttl.default,
            jwt_ttl_minimum: settings.token_ttl.minimum,
            jwt_ttl_maximum: settings.token_ttl.maximum,
        },
    })
}

fn general(view: &AccountView) -> General<'_> {
    let settings = &view.account.settings;
    let kept = |name: &str| settings.stored_only.get(name).map(String::as_str);
    let on = |name: &str| kept(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let types = &settings.allowed_client_types;
    General {
        account_default_key_name: view.default_key_name.as_deref().unwrap_or_default(),
        account_default_key_item_id: settings.default_key,
        lock_default_key: settings.lock_default_key,
        protect_items_by_default: settings.protect_items_by_default,
        hide_personal_folder: on("hide-personal-folder"),
        hide_static_password: on("hide-static-password"),
        item_locking: Some(ItemLocking {
            enable: !settings.item_locking_disabled,
            max_lock_ttl_mins: LOCK_TTL_MINUTES_MAX,
        }),
        allowed_clients_ips: Ips { cidr_whitelist: joined(&settings.bound_ips), lock: false },
        allowed_gateways_ips: Ips {
            cidr_whitelist: joined(&settings.gateway_bound_ips),
            lock: false,
        },
        allowed_client_types: (!types.is_empty())
            .then_some(ClientTypes { client_types: types, lock: false }),
        invalid_characters: kept("invalid-characters"),
        dynamic_secret_max_ttl: kept("dynamic-secret-max-ttl")
            .and_then(|minutes| minutes.parse().ok())
            .map(|max_ttl_by_minutes| MaxTtl {
                enable: on("dynamic-secret-max-ttl-enable"),
                max_ttl_by_minutes,
            }),
    }
}

fn versions(settings: &AccountSettings) -> Versions<'_> {
    let items = settings.versions.max_versions.iter();
    Versions {
        default_versioning: settings.versions.default_versioning,
        force_new_versions: settings.versions.force_new_versions,
        items: items
            .map(|(item_type, max)| ItemVersions { item_type, max_versions: max.to_string() })
            .collect(),
    }
}
