//! A dynamic secret as `dynamic-secret-get` shows it.

use keysherd_base::Fault;
use keysherd_domain::item::ItemState;
use keysherd_plane::items::ItemView;
use serde_json::{Map, Value, json};

use crate::engines::OpenedSecret;
use crate::replies::target::TargetAssocReply;

/// The model `DSProducerDetails`: what was set, as it was given; no secret of it.
pub(super) fn details(view: &ItemView, secret: &OpenedSecret) -> Result<Map<String, Value>, Fault> {
    let item = &view.item;
    let kind = secret.engine.kind();
    let mut details = keysherd_engines::details(kind, &secret.settings);
    let targets = TargetAssocReply::all(view);
    for (name, value) in [
        ("active", json!(item.state == ItemState::Enabled)),
        ("dynamic_secret_id", json!(item.id)),
        ("dynamic_secret_name", json!(item.path.as_str())),
        ("dynamic_secret_key", json!(view.protection_key_name.as_deref().unwrap_or_default())),
        ("tags", json!(item.tags)),
        ("delete_protection", json!(item.delete_protection)),
        ("metadata", json!(item.description)),
        ("item_targets_assoc", json!(targets)),
    ] {
        details.insert(name.to_owned(), value);
    }
    Ok(details)
}
