//! Whether a listener answers and shows the key that it should, without calling anything.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use crate::dial::Route;
use crate::identity::Identity;
use crate::trust::TrustHandle;

/// Shakes hands with the listener at `address` as `identity`, whom it need not know: its own half
/// of the handshake comes first, and shows that it serves with a key that `trust` allows.
///
/// # Errors
/// Why it does not seem to serve within `limit`, in words.
pub async fn probe(
    address: SocketAddr,
    identity: &Identity,
    trust: TrustHandle,
    limit: Duration,
) -> Result<(), String> {
    let route = Route::direct(address.to_string());
    let connected = timeout(limit, route.connect(identity, &trust, limit)).await;
    let connected = connected.map_err(|_| "no answer in time".to_owned())?;
    connected.map(drop).map_err(|failed| failed.why)
}
