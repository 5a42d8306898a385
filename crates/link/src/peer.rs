//! Who is at the other end of a connection.

use std::fmt;
use std::net::IpAddr;

/// The other end of a connection, authenticated by its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// SHA-256 of the `SubjectPublicKeyInfo` of the certificate that it showed on this very
    /// connection, and whose private key it proved to have.
    pub spki_sha256: [u8; 32],
    /// The address it came from. Through a relay it is the relay's.
    pub address: IpAddr,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({} at {})", ShownKey(&self.spki_sha256), self.address)
    }
}

/// The beginning of a key's hash, enough to find it in a listing.
pub(crate) struct ShownKey<'a>(pub(crate) &'a [u8; 32]);

impl fmt::Display for ShownKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..8] {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
