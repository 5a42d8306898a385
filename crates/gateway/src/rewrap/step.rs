//! Which steps from one key version to another a gateway takes part in.

use keysherd_base::Fault;
use keysherd_fragments::manifest::Manifest;

/// Refuses to move values from `from` to `to` when that would weaken their protection: to another
/// key, back to an older version, into another key group, off a customer fragment, or to where
/// fewer managers are enough. Both manifests were verified against the trust bundle.
///
/// # Errors
/// [`Fault::forbidden`] that says what was refused.
pub(super) fn check_step(from: &Manifest, to: &Manifest) -> Result<(), Fault> {
    let refused = |what: &str| {
        Err(Fault::forbidden(format!(
            "re-wrapping from version {} to version {} of key {} was refused: {what}; the control \
             plane must be looked at",
            from.key.version, to.key.version, to.key.id
        ))
        .with_code("RewrapRefused"))
    };
    if from.key.account != to.key.account || from.key.id != to.key.id {
        return refused("it is another key");
    }
    if to.key.version <= from.key.version {
        return refused("it is not a newer version");
    }
    if to.group != from.group {
        return refused("it is in another key group");
    }
    if from.fragment().is_some() && to.fragment().is_none() {
        return refused("it is not bound to a customer fragment");
    }
    if to.threshold.t() < from.threshold.t() {
        return refused("fewer fragment managers are enough for it");
    }
    Ok(())
}
