//! The account and its settings.

use keysherd_audit::{Param, action};
use keysherd_base::limits::{
    CLIENT_TYPE_BYTES_MAX, DESCRIPTION_BYTES_MAX, LIST_LEN_MAX, VERSIONS_MAX,
};
use keysherd_base::{AccountId, Fault, ItemId, ItemPath};
use keysherd_domain::account::{AccountSettings, TokenTtl};
use keysherd_domain::guard_rails::GuardRails;
use keysherd_domain::item::{ItemKind, ItemState};
use keysherd_domain::policy::pattern::RulePattern;
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::accounts::{AccountEdit, AccountGet, AccountUpdate, AccountView};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Tx, accounts, items};

use crate::admission::accepts_address;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::method_shared::{check_length, check_texts};
use crate::session::Principal;

/// Longest lifetime of tokens an account may set, in minutes: 30 days.
const TOKEN_TTL_MINUTES_MAX: u32 = 30 * 24 * 60;

/// Reads the account; every bearer may.
///
/// # Errors
/// [`Fault::unauthorized`] for a token that is not good.
pub(crate) async fn get(
    control: &Control,
    caller: &Caller,
    _message: AccountGet,
) -> Result<AccountView, Fault> {
    let principal = control.principal(caller).await?;
    let draft = audit_draft(caller, &principal, action::GET_ACCOUNT_SETTINGS, "", Vec::new());
    let shown = view(control, &principal).map(|view| shown_to(control, &principal, view));
    control.recorded(draft, shown).await
}

/// What everyone may know: not where the default key lies, unless they may see it there, and how
/// to reach the owner only for administrators.
fn shown_to(control: &Control, who: &Principal, mut view: AccountView) -> AccountView {
    let settings = &mut view.account.settings;
    let visible = view
        .default_key_name
        .as_ref()
        .is_some_and(|name| who.may(RuleKind::Item, name, Capability::List, control.now()));
    if !visible {
        view.default_key_name = None;
        settings.default_key = None;
    }
    if who.require_admin().is_err() {
        let AccountSettings { email, phone, address, city, country, postal_code, .. } = settings;
        for text in [email, phone, address, city, country, postal_code] {
            text.clear();
        }
        // Paths that the caller may not see.
        settings.guard_rails.production_paths.clear();
    }
    view
}

/// Reads the account for somebody who is about to change it; records only a refusal.
///
/// # Errors
/// [`Fault::unauthorized`] for a token that is not good or not an admin's.
pub(crate) async fn edit(
    control: &Control,
    caller: &Caller,
    _message: AccountEdit,
) -> Result<AccountView, Fault> {
    let principal = control.principal(caller).await?;
    match principal.require_admin() {
        Ok(()) => view(control, &principal),
        Err(refused) => {
            let action = action::UPDATE_ACCOUNT_SETTINGS;
            let draft = audit_draft(caller, &principal, action, "", Vec::new());
            control.recorded(draft, Err(refused)).await
        }
    }
}

fn view(control: &Control, principal: &Principal) -> Result<AccountView, Fault> {
    let account = (*principal.settings).clone();
    let default_key_name = key_name(control, account.id, account.settings.default_key)?;
    Ok(AccountView { account, default_key_name })
}

fn key_name(
    control: &Control,
    account: AccountId,
    key: Option<ItemId>,
) -> Result<Option<String>, Fault> {
    let Some(key) = key else { return Ok(None) };
    let item = control.store.read(|reader| items::by_id(reader, account, key))?;
    Ok(item.map(|item| item.path.to_string()))
}

/// Changes the account, if its settings are still those the caller read.
///
/// # Errors
/// [`Fault::unauthorized`] for all but administrators, [`Fault::bad_request`] for settings out of
/// bounds, [`Fault::not_found`] for a default key that does not exist, [`Fault::conflict`] when
/// somebody else changed the settings meanwhile.
pub(crate) async fn update(
    control: &Control,
    caller: &Caller,
    message: AccountUpdate,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let params = vec![Param::public("settings", changed(&message).join(","))];
    let draft = audit_draft(caller, &principal, action::UPDATE_ACCOUNT_SETTINGS, "", params);
    let plan = check(caller, &principal, &message.settings).map(|()| {
        let account = principal.account;
        move |tx: &Tx| apply(tx, account, message)
    });
    control.change(draft, plan).await
}

fn apply(tx: &Tx, account: AccountId, message: AccountUpdate) -> Result<Done, Fault> {
    let AccountUpdate { expected, mut settings, default_key } = message;
    // The path decides, where there is one; an id from outside never does.
    settings.default_key = match default_key {
        None => expected.default_key,
        Some(None) => None,
        Some(Some(path)) => Some(usable_key(tx, account, &path)?),
    };
    if accounts::update_settings(tx, account, &expected, &settings)? {
        return Ok(Done);
    }
    Err(Fault::conflict(
        "the account's settings were changed since they were read; read them and try again",
    ))
}

fn usable_key(tx: &Tx, account: AccountId, path: &str) -> Result<ItemId, Fault> {
    let path = ItemPath::parse(path)?;
    let key = items::by_path(tx, account, &path)?;
    let key = key.ok_or_else(|| Fault::not_found(format!("key {path} does not exist")))?;
    match key.kind {
        ItemKind::Key(algorithm) if algorithm.protects_items() => {}
        other => {
            return Err(Fault::bad_request(format!(
                "{path} is of type {} and cannot protect items; name an AES-GCM or AES-SIV key",
                other.type_name()
            )));
        }
    }
    if key.state != ItemState::Enabled {
        return Err(Fault::forbidden(format!("key {path} is {}; enable it", key.state.name())));
    }
    Ok(key.id)
}

fn check(caller: &Caller, principal: &Principal, settings: &AccountSettings) -> Result<(), Fault> {
    principal.require_admin()?;
    check_contact(settings)?;
    check_token_ttl(settings.token_ttl)?;
    check_length("max-versions", settings.versions.max_versions.len())?;
    let (least, most) = (1, VERSIONS_MAX);
    for (item_type, count) in &settings.versions.max_versions {
        if !(least..=most).contains(count) {
            return Err(Fault::bad_request(format!(
                "{count} versions of {item_type} items; {least} to {most} are allowed"
            )));
        }
    }
    check_production(&settings.guard_rails)?;
    check_length("bound-ips", settings.bound_ips.len())?;
    check_length("gw-bound-ips", settings.gateway_bound_ips.len())?;
    let kinds = &settings.allowed_client_types;
    check_texts("allowed-client-type", kinds, CLIENT_TYPE_BYTES_MAX)?;
    if !accepts_address(&settings.bound_ips, caller.client.address) {
        return Err(Fault::bad_request(format!(
            "bound-ips without your own address {} would lock you out; add a network it is in",
            caller.client.address.to_canonical()
        )));
    }
    if !kinds.is_empty() && !kinds.iter().any(|k| k.eq_ignore_ascii_case(&caller.client.kind)) {
        return Err(Fault::bad_request(format!(
            "allowed-client-type without your own type '{}' would lock you out; add it",
            caller.client.kind
        )));
    }
    Ok(())
}

fn check_production(rails: &GuardRails) -> Result<(), Fault> {
    check_length("production-path", rails.production_paths.len())?;
    for path in &rails.production_paths {
        if RulePattern::parse(path)?.claims().next().is_some() {
            return Err(Fault::bad_request(format!(
                "invalid production-path {path}: whose claims would stand in it?"
            )));
        }
    }
    Ok(())
}

fn check_contact(settings: &AccountSettings) -> Result<(), Fault> {
    let texts = [
        &settings.company_name,
        &settings.email,
        &settings.phone,
        &settings.address,
        &settings.city,
        &settings.country,
        &settings.postal_code,
    ];
    let others = settings.stored_only.iter().flat_map(|(name, value)| [name, value]);
    if settings.stored_only.len() > LIST_LEN_MAX {
        return Err(Fault::bad_request(format!("more than {LIST_LEN_MAX} settings")));
    }
    match texts.into_iter().chain(others).find(|text| text.len() > DESCRIPTION_BYTES_MAX) {
        None => Ok(()),
        Some(text) => Err(Fault::bad_request(format!(
            "a setting is {} bytes long; at most {DESCRIPTION_BYTES_MAX} are allowed",
            text.len()
        ))),
    }
}

fn check_token_ttl(ttl: TokenTtl) -> Result<(), Fault> {
    let TokenTtl { minimum, default, maximum } = ttl;
    let ordered = 1 <= minimum && minimum <= default && default <= maximum;
    if ordered && maximum <= TOKEN_TTL_MINUTES_MAX {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "token lifetimes of {minimum} (minimum), {default} (default) and {maximum} (maximum) \
         minutes; they must rise in this order from 1 to {TOKEN_TTL_MINUTES_MAX}"
    )))
}

/// The names of the settings that differ, for the audit record.
fn changed(message: &AccountUpdate) -> Vec<&'static str> {
    let (old, new) = (&message.expected, &message.settings);
    let differing = [
        ("company-name", old.company_name != new.company_name),
        ("email", old.email != new.email),
        ("phone", old.phone != new.phone),
        ("address", old.address != new.address),
        ("city", old.city != new.city),
        ("country", old.country != new.country),
        ("postal-code", old.postal_code != new.postal_code),
        ("token-ttl", old.token_ttl != new.token_ttl),
        ("versions", old.versions != new.versions),
        ("default-key", message.default_key.is_some()),
        ("lock-default-key", old.lock_default_key != new.lock_default_key),
        ("root-path", old.root_path != new.root_path),
        ("guard-rails", old.guard_rails != new.guard_rails),
        ("protect-by-default", old.protect_items_by_default != new.protect_items_by_default),
        ("item-locking", old.item_locking_disabled != new.item_locking_disabled),
        ("bound-ips", old.bound_ips != new.bound_ips),
        ("gw-bound-ips", old.gateway_bound_ips != new.gateway_bound_ips),
        ("allowed-client-type", old.allowed_client_types != new.allowed_client_types),
        ("other", old.stored_only != new.stored_only),
    ];
    differing.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
