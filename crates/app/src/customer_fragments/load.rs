//! Loading fragments into a gateway, at its start and on SIGHUP.

use std::sync::Arc;

use keysherd_fragments::fragment_file::{FragmentFile, fingerprint_text, id_text};
use keysherd_gateway::{CustomerFragments, FragmentModule};

use super::module::ModuleSource;
use super::source::FragmentSource;

/// The fragments of `source`, those in hardware made by `module`. What cannot be read or used is
/// logged and fails the items that need it, never the start: everything else has to go on.
pub(crate) async fn open(
    source: &FragmentSource,
    module: Option<ModuleSource>,
) -> Arc<CustomerFragments> {
    let module = module.map(|module| module.module() as Arc<dyn FragmentModule>);
    let fragments = Arc::new(CustomerFragments::new(module));
    if *source == FragmentSource::Environment {
        tracing::warn!(
            "customer fragments come from the environment, which other programs may see; prefer a \
             file, a systemd credential or a descriptor"
        );
    }
    match source.read() {
        Ok(file) => take(&fragments, file).await,
        Err(why) => {
            tracing::error!(
                %why,
                "customer fragments cannot be read; what is bound to them is refused"
            );
            fragments.unreadable(why);
        }
    }
    fragments
}

/// Reads `source` again. What cannot be read changes nothing.
///
/// # Errors
/// Why the fragments in use stay.
pub(crate) async fn reload(
    source: &FragmentSource,
    fragments: &CustomerFragments,
) -> Result<(), String> {
    let file = source.read()?;
    take(fragments, file).await;
    Ok(())
}

async fn take(fragments: &CustomerFragments, file: FragmentFile) {
    for problem in &file.problems {
        tracing::error!(%problem, "a customer fragment cannot be used");
    }
    for entry in &file.entries {
        let fingerprint = entry.fragment().map(|made| fingerprint_text(&made.check_value()));
        let fingerprint = fingerprint.unwrap_or_else(|_| "kept in hardware".to_owned());
        let (id, name) = (id_text(&entry.id), &entry.name);
        tracing::info!(id, name, fingerprint, kind = entry.kind.name(), "customer fragment");
        if entry.backup_verified_at.is_none() {
            tracing::warn!(
                id,
                name,
                "no recovery shares of this customer fragment were ever verified: losing it loses \
                 everything that is bound to it"
            );
        }
    }
    fragments.replace(file);
    for fault in fragments.warm().await {
        tracing::error!(%fault, "a customer fragment is not available yet");
    }
}
