//! The settings of an account that can be changed: fields, and how they become settings.
//!
//! A setting whose part of the product is not served yet is kept and shown back, never dropped.

use keysherd_base::Fault;
use keysherd_base::limits::VERSIONS_MAX;
use keysherd_domain::account::AccountSettings;
use keysherd_domain::guard_rails::Policy;
use keysherd_wire::{Args, Field, Flag, Group, Int, List, Text};

use crate::commands::auth_methods::networks;

const COMPANY_NAME: Field<Text> = Field::text("company-name", "Name of the company.");
const PHONE: Field<Text> = Field::text("phone", "Phone number.");
const ADDRESS: Field<Text> = Field::text("address", "Street.");
const CITY: Field<Text> = Field::text("city", "City.");
const COUNTRY: Field<Text> = Field::text("country", "Country.");
const POSTAL_CODE: Field<Text> = Field::text("postal-code", "Postal code.");
const JWT_TTL_DEFAULT: Field<Int> =
    Field::int("jwt-ttl-default", "Lifetime of tokens in minutes when a method says none.");
const JWT_TTL_MIN: Field<Int> = Field::int("jwt-ttl-min", "Shortest lifetime of tokens.");
const JWT_TTL_MAX: Field<Int> = Field::int("jwt-ttl-max", "Longest lifetime of tokens.");
const DEFAULT_VERSIONING: Field<Flag> =
    Field::flag("default-versioning", "New values make new versions unless told otherwise.");
const FORCE_NEW_VERSIONS: Field<Flag> =
    Field::flag("force-new-versions", "New values always make new versions.");
const ITEM_TYPE: Field<Text> = Field::text("item-type", "The item type that max-versions is for.");
const MAX_VERSIONS: Field<Text> =
    Field::text("max-versions", "How many versions are kept of items of item-type.");
const LOCK_DEFAULT_KEY: Field<Flag> =
    Field::flag("lock-default-key", "Items may use no other key than the default one.");
const ITEMS_DELETION_PROTECTION: Field<Flag> =
    Field::flag("items-deletion-protection", "New items start with delete protection.");
const ITEM_LOCKING_ENABLED: Field<Flag> =
    Field::flag("item-locking-enabled", "Whether items can be locked.");
const BOUND_IPS: Field<List> = Field::list("bound-ips", "Client networks the account accepts.");
const GW_BOUND_IPS: Field<List> =
    Field::list("gw-bound-ips", "Gateways trusted to forward a client's address.");
const ALLOWED_CLIENT_TYPE: Field<List> =
    Field::list("allowed-client-type", "Client types the account accepts.");
const ROOT_PATH_POLICY: Field<Text> = Field::text(
    "root-path-policy",
    "What happens to items created at /: warn or refuse. Ours, not of the V2 API.",
)
.choices(&["warn", "refuse"]);
/// The default key.
pub(super) const DEFAULT_KEY_NAME: Field<Text> = Field::text(
    "default-key-name",
    "Path of the key new items use; set-original-akeyless-default-key goes back.",
);

const fn kept(name: &'static str) -> Field<Text> {
    Field::text(name, "Kept and shown back; not in force yet.").inert()
}

const KEPT: &[Field<Text>] = &[
    kept("allowed-email-domains"),
    kept("default-share-link-ttl-minutes"),
    kept("dp-enable-classic-key-protection"),
    Field::text(
        "dynamic-secret-max-ttl",
        "Longest life of temporary credentials, in minutes; for new ones, and for longer lives.",
    ),
    Field::text(
        "dynamic-secret-max-ttl-enable",
        "Whether dynamic-secret-max-ttl is in force: true or false.",
    ),
    kept("enable-item-sharing"),
    kept("enable-password-expiration"),
    kept("hide-personal-folder"),
    kept("hide-static-password"),
    kept("invalid-characters").sentinel("notReceivedInvalidCharacter"),
    kept("max-rotation-interval"),
    kept("max-rotation-interval-enable"),
    kept("password-expiration-days"),
    kept("password-expiration-notification-days"),
    kept("password-length"),
    kept("use-capital-letters"),
    kept("use-lower-letters"),
    kept("use-numbers"),
    kept("use-special-characters"),
];

/// Everything that can be set.
pub(super) const SETTINGS: Group = Group {
    title: "Settings",
    fields: &[
        COMPANY_NAME.spec(),
        PHONE.spec(),
        ADDRESS.spec(),
        CITY.spec(),
        COUNTRY.spec(),
        POSTAL_CODE.spec(),
        JWT_TTL_DEFAULT.spec(),
        JWT_TTL_MIN.spec(),
        JWT_TTL_MAX.spec(),
        DEFAULT_VERSIONING.spec(),
        FORCE_NEW_VERSIONS.spec(),
        ITEM_TYPE.spec(),
        MAX_VERSIONS.spec(),
        DEFAULT_KEY_NAME.spec(),
        LOCK_DEFAULT_KEY.spec(),
        ITEMS_DELETION_PROTECTION.spec(),
        ITEM_LOCKING_ENABLED.spec(),
        BOUND_IPS.spec(),
        GW_BOUND_IPS.spec(),
        ALLOWED_CLIENT_TYPE.spec(),
        ROOT_PATH_POLICY.spec(),
    ],
};

/// Settings that are kept without being in force.
pub(super) const KEPT_SETTINGS: Group = Group {
    title: "Kept settings",
    fields: &[
        KEPT[0].spec(),
        KEPT[1].spec(),
        KEPT[2].spec(),
        KEPT[3].spec(),
        KEPT[4].spec(),
        KEPT[5].spec(),
        KEPT[6].spec(),
        KEPT[7].spec(),
        KEPT[8].spec(),
        KEPT[9].spec(),
        KEPT[10].spec(),
        KEPT[11].spec(),
        KEPT[12].spec(),
        KEPT[13].spec(),
        KEPT[14].spec(),
        KEPT[15].spec(),
        KEPT[16].spec(),
        KEPT[17].spec(),
        KEPT[18].spec(),
    ],
};

/// `settings` with the given arguments applied.
///
/// # Errors
/// A bad request that names the argument.
pub(super) fn apply(args: &Args, mut settings: AccountSettings) -> Result<AccountSettings, Fault> {
    let texts = [
        (COMPANY_NAME, &mut settings.company_name),
        (PHONE, &mut settings.phone),
        (ADDRESS, &mut settings.address),
        (CITY, &mut settings.city),
        (COUNTRY, &mut settings.country),
        (POSTAL_CODE, &mut settings.postal_code),
    ];
    for (field, place) in texts {
        set(place, args.get(&field)?);
    }
    apply_token_ttl(args, &mut settings)?;
    apply_versions(args, &mut settings)?;
    set(&mut settings.lock_default_key, args.get(&LOCK_DEFAULT_KEY)?);
    set(&mut settings.protect_items_by_default, args.get(&ITEMS_DELETION_PROTECTION)?);
    let locking_off = args.get(&ITEM_LOCKING_ENABLED)?.map(|enabled| !enabled);
    set(&mut settings.item_locking_disabled, locking_off);
    if let Some(networks_given) = args.get(&BOUND_IPS)? {
        settings.bound_ips = networks("bound-ips", Some(networks_given))?;
    }
    if let Some(networks_given) = args.get(&GW_BOUND_IPS)? {
        settings.gateway_bound_ips = networks("gw-bound-ips", Some(networks_given))?;
    }
    set(&mut settings.allowed_client_types, args.get(&ALLOWED_CLIENT_TYPE)?);
    let policy = args.get(&ROOT_PATH_POLICY)?;
    let policy = policy.and_then(|policy| Policy::from_name(&policy.to_ascii_lowercase()));
    set(&mut settings.root_path, policy);
    for field in KEPT {
        if let Some(text) = args.get(field)? {
            check_kept(field.name(), &text)?;
            settings.stored_only.insert(field.name().to_owned(), text);
        }
    }
    Ok(settings)
}

/// Refuses a setting that is in force and would not be what it says.
fn check_kept(name: &str, text: &str) -> Result<(), Fault> {
    let (is_one, what) = match name {
        "dynamic-secret-max-ttl" => {
            (text.parse::<i64>().is_ok_and(|minutes| minutes >= 0), "a number of minutes")
        }
        "dynamic-secret-max-ttl-enable" => {
            (["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word)), "true or false")
        }
        _ => return Ok(()),
    };
    if is_one || text.is_empty() {
        return Ok(());
    }
    Err(Fault::bad_request(format!("invalid {name} '{}': give {what}", text.escape_default())))
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn apply_token_ttl(args: &Args, settings: &mut AccountSettings) -> Result<(), Fault> {
    let ttl = &mut settings.token_ttl;
    for (field, place) in [
        (JWT_TTL_MIN, &mut ttl.minimum),
        (JWT_TTL_DEFAULT, &mut ttl.default),
        (JWT_TTL_MAX, &mut ttl.maximum),
    ] {
        // 0 stands for "not given": clients send it for every optional number.
        if let Some(minutes) = args.get(&field)?.filter(|minutes| *minutes != 0) {
            *place = u32::try_from(minutes).map_err(|_| {
                Fault::bad_request(format!(
                    "invalid value of '{}': it must be 1 or more",
                    field.name()
                ))
            })?;
        }
    }
    let ordered = 1 <= ttl.minimum && ttl.minimum <= ttl.default && ttl.default <= ttl.maximum;
    if ordered {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "invalid token lifetimes: minimum {}, default {}, maximum {} minutes are not in this order",
        ttl.minimum, ttl.default, ttl.maximum
    )))
}

fn apply_versions(args: &Args, settings: &mut AccountSettings) -> Result<(), Fault> {
    let versions = &mut settings.versions;
    set(&mut versions.default_versioning, args.get(&DEFAULT_VERSIONING)?);
    set(&mut versions.force_new_versions, args.get(&FORCE_NEW_VERSIONS)?);
    let (kind, max) = (args.get(&ITEM_TYPE)?, args.get(&MAX_VERSIONS)?);
    match (kind, max) {
        (None, None) => Ok(()),
        (Some(kind), Some(max)) => {
            let parsed = max.trim().parse().ok().filter(|n| (1..=VERSIONS_MAX).contains(n));
            let max = parsed.ok_or_else(|| {
                Fault::bad_request(format!(
                    "invalid value of 'max-versions': it must be 1 to {VERSIONS_MAX}"
                ))
            })?;
            versions.max_versions.insert(kind, max);
            Ok(())
        }
        _ => Err(Fault::bad_request("'item-type' and 'max-versions' are given together")),
    }
}
