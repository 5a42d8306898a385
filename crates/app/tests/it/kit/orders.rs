//! Orders of the owner of a one-machine installation, signed with the key in its data directory.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Clock as _, Secret, SystemClock, Uid};
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::Bundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding as _;
use keysherd_fragments::order::{OrderAction, OwnerOrder};

use super::poll::random;

/// The owner's signing key in a data directory.
pub(crate) fn owner_key(data: &Path) -> SigningKey {
    let seed: [u8; 32] = std::fs::read(data.join("owner/owner.key")).unwrap().try_into().unwrap();
    SigningKey::from_seed(&Secret::new(seed))
}

/// An order for the installation in a data directory, in base64, issued `later` seconds from now.
pub(crate) fn order(data: &Path, later: i64, action: OrderAction, signer: &SigningKey) -> String {
    let bundle = std::fs::read(data.join("owner/trust-bundle")).unwrap();
    let bundle = SignedBundle::from_bytes(&bundle).unwrap();
    let issued_at = SystemClock.now().plus_seconds(later);
    let order = OwnerOrder {
        deployment: Bundle::from_bytes(&bundle.body).unwrap().deployment,
        order_id: Uid((u128::from(random()) + 1).to_be_bytes()),
        issued_at,
        expires_at: issued_at.plus_seconds(3_600),
        action,
    };
    STANDARD.encode(order.seal(signer).to_bytes())
}
