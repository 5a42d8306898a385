//! The derivation context: what one derived key is bound to (design 5.1).

use keysherd_base::{AccountId, KeyId, Uid};

/// A permit names it, so it is defined beside the permit.
pub use keysherd_crypto::permit::Class;

/// Length of a context in bytes.
pub const CONTEXT_BYTES: usize = 100;

const MAGIC: &[u8; 4] = b"KSF1";
/// The suite this crate implements.
pub const SUITE: u16 = 1;

/// The fields of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextFields {
    /// What the key is for.
    pub class: Class,
    /// The account.
    pub account: AccountId,
    /// The protection key.
    pub key_id: KeyId,
    /// Its version.
    pub key_version: u32,
    /// The item, by its random id (not the integer that V2 shows).
    pub item_id: Uid,
    /// The item's version.
    pub item_version: u64,
    /// Drawn by the gateway when it writes, so that a repeated version number repeats no key.
    pub salt: [u8; 32],
}

/// A context as it enters the legs. It can only be built from fields: nobody sends one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Context([u8; CONTEXT_BYTES]);

impl Context {
    /// Lays the fields out: magic 4, suite 2, class 1, zero 1, account 16, key 16, key version 4,
    /// item 16, item version 8, salt 32; integers big-endian.
    pub fn new(fields: &ContextFields) -> Self {
        let mut bytes = [0; CONTEXT_BYTES];
        let parts: [&[u8]; 9] = [
            MAGIC,
            &SUITE.to_be_bytes(),
            &[fields.class.number(), 0],
            fields.account.0.as_bytes(),
            fields.key_id.as_bytes(),
            &fields.key_version.to_be_bytes(),
            fields.item_id.as_bytes(),
            &fields.item_version.to_be_bytes(),
            &fields.salt,
        ];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            let (here, after) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = after;
        }
        debug_assert!(rest.is_empty(), "the parts have 100 bytes together");
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; CONTEXT_BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}
