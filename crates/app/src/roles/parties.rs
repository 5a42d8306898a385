//! Who may be at the other end of a connection, by the trust bundle in force.

use std::net::IpAddr;
use std::sync::Arc;

use keysherd_base::ClockHandle;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_link::TrustHandle;

/// Where a process finds the bundle in force; `None` before the first.
pub(crate) type BundleSource = Arc<dyn Fn() -> Option<Arc<PinnedBundle>> + Send + Sync>;

/// Control's machines.
///
/// Before there is a bundle nobody knows them, and any key will do: all that is asked then is for
/// the bundle, which the owner's signature proves.
pub(crate) fn controls(source: BundleSource) -> TrustHandle {
    Arc::new(move |spki: &[u8; 32]| match source() {
        None => true,
        Some(bundle) => is_control(&bundle, spki),
    })
}

/// Gateways and fragment managers: whoever may call a manager, or control.
pub(crate) fn gateways_and_managers(source: BundleSource, clock: ClockHandle) -> TrustHandle {
    Arc::new(move |spki: &[u8; 32]| {
        source().is_some_and(|bundle| {
            is_gateway(&bundle, spki, &clock) || bundle.bundle().manager_by_tls(spki).is_some()
        })
    })
}

/// Whether the bundle lists this control machine.
pub(crate) fn is_control(bundle: &PinnedBundle, spki: &[u8; 32]) -> bool {
    bundle.bundle().controls.iter().any(|control| control.tls_spki_sha256 == *spki)
}

/// Whether the bundle lists this gateway.
pub(crate) fn is_gateway(bundle: &PinnedBundle, spki: &[u8; 32], clock: &ClockHandle) -> bool {
    bundle.cluster_of(spki, None, clock.now()).is_ok()
}

/// The address that control sees of this machine, or would without translation on the way.
pub(crate) async fn own_address(controls: &[String]) -> IpAddr {
    for control in controls {
        if let Some(own) = keysherd_link::own_address(control).await {
            return own;
        }
    }
    IpAddr::from([127, 0, 0, 1])
}
