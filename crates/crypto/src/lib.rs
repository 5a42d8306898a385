//! The only crate besides `fragments` that names a cryptographic library.
//!
//! Everything here works on values that are handed in: randomness is a [`keysherd_base::Rng`], time
//! a [`keysherd_base::Timestamp`]. Failures of cryptography are opaque on purpose: a caller learns
//! that something did not open or verify, never why.
//!
//! Every function that takes bytes from outside returns an error or `None` for bytes it cannot
//! read; none of them panics.

use std::fmt;

pub mod access_key;
pub mod aead;
pub mod carried;
pub mod cbc;
pub mod envelope;
pub mod fingerprint;
pub mod hash;
pub mod hpke;
pub mod jwt;
pub mod kerberos;
pub mod labels;
pub mod memory;
pub mod note;
pub mod passphrase;
pub mod password;
pub mod permit;
pub mod pkcs11;
pub mod pki;
pub mod random;
pub mod rsa;
pub mod shamir;
pub mod sign;
pub mod siv;
pub mod token;
pub mod totp;
pub mod vault;
pub mod xmldsig;

/// A ciphertext did not open: wrong key, wrong context, or changed bytes. Which one is never said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFailed;

impl fmt::Display for OpenFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ciphertext does not open with this key and context")
    }
}

impl std::error::Error for OpenFailed {}
