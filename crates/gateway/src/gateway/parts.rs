//! Small things that a gateway is told.

use keysherd_base::{AccountId, KeyId};
use keysherd_plane::grants::SignedPermit;

/// What a gateway refuses although it could do it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strictness {
    /// Writing while a manager is missing.
    pub writes: bool,
    /// Values whose path no gateway attested.
    pub names: bool,
}

/// A key made before its account exists: the account's original protection key.
pub struct OriginalKey {
    /// The account.
    pub account: AccountId,
    /// The key.
    pub key_id: KeyId,
    /// Its group.
    pub group: String,
    /// Number of managers.
    pub managers: u8,
    /// A permit for its generation.
    pub permit: SignedPermit,
    /// The salt of its self-test.
    pub self_test_salt: [u8; 32],
}
