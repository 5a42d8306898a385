//! Limits on what callers say about items.

use std::collections::BTreeMap;

use keysherd_base::limits::{
    CUSTOM_FIELD_BYTES_MAX, CUSTOM_FIELDS_MAX, DESCRIPTION_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX,
    VERSIONS_DEFAULT, VERSIONS_MAX, WEBSITE_BYTES_MAX, WEBSITES_MAX,
};
use keysherd_base::{Fault, ItemPath};
use keysherd_domain::account::Account;
use keysherd_domain::item::Item;

use crate::rails::Rails;

/// A description within its limit.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn description(text: &str) -> Result<(), Fault> {
    within("description", text.len(), DESCRIPTION_BYTES_MAX, "bytes")
}

/// Adds and removes tags: each once, in the order they came.
///
/// # Errors
/// [`Fault::bad_request`] for a bad tag or too many.
pub(crate) fn tags(have: &mut Vec<String>, add: &[String], remove: &[String]) -> Result<(), Fault> {
    have.retain(|tag| !remove.contains(tag));
    for tag in add {
        if tag.is_empty() {
            return Err(Fault::bad_request("invalid tag: it is empty; leave it out"));
        }
        within("tag", tag.len(), TAG_BYTES_MAX, "bytes")?;
        if !have.contains(tag) {
            have.push(tag.clone());
        }
        within("list of tags", have.len(), TAGS_MAX, "tags")?;
    }
    Ok(())
}

/// Sites within their limits.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn websites(sites: &[String]) -> Result<(), Fault> {
    within("list of sites", sites.len(), WEBSITES_MAX, "sites")?;
    sites.iter().try_for_each(|site| within("site", site.len(), WEBSITE_BYTES_MAX, "bytes"))
}

/// Sets fields; an empty value removes one.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn custom_fields(
    have: &mut BTreeMap<String, String>,
    set: BTreeMap<String, String>,
) -> Result<(), Fault> {
    for (name, value) in set {
        if name.is_empty() {
            return Err(Fault::bad_request("invalid custom field: its name is empty"));
        }
        within("name of a custom field", name.len(), CUSTOM_FIELD_BYTES_MAX, "bytes")?;
        within("custom field", value.len(), CUSTOM_FIELD_BYTES_MAX, "bytes")?;
        if value.is_empty() {
            have.remove(&name);
        } else {
            have.insert(name, value);
        }
        within("list of custom fields", have.len(), CUSTOM_FIELDS_MAX, "fields")?;
    }
    Ok(())
}

/// A number of versions to keep within its range.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn max_versions(wanted: Option<u32>) -> Result<(), Fault> {
    match wanted {
        Some(number) if !(1..=VERSIONS_MAX).contains(&number) => Err(Fault::bad_request(format!(
            "invalid max-versions {number}: it must be 1 to {VERSIONS_MAX}"
        ))),
        _ => Ok(()),
    }
}

/// Versions kept of an item: its own number, the account's for its type, or the default.
pub(crate) fn versions_kept(item: &Item, account: &Account) -> u32 {
    let by_type = &account.settings.versions.max_versions;
    // The account's table may name a type in either of the two vocabularies of the V2 API.
    let names = [item.kind.type_name(), item.kind.filter_name()];
    let of_type = names.iter().find_map(|name| by_type.get(*name).copied());
    item.max_versions.or(of_type).unwrap_or(VERSIONS_DEFAULT).clamp(1, VERSIONS_MAX)
}

/// Refuses a path at `/` where the account does not want any; otherwise the warning for one.
///
/// # Errors
/// [`Fault::forbidden`].
pub(crate) fn root_path(path: &ItemPath, account: &Account) -> Result<Vec<String>, Fault> {
    let mut guard = Rails::new(account.id, account.settings.clone());
    guard.item(path)?;
    Ok(guard.warned().warnings)
}

fn within(what: &str, size: usize, most: usize, unit: &str) -> Result<(), Fault> {
    if size <= most {
        return Ok(());
    }
    Err(Fault::bad_request(format!("the {what} is too long: {size} {unit}; at most {most}")))
}
