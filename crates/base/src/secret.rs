//! Values that must not be printed, serialized or left behind in memory.

use std::{fmt, io};

use zeroize::{Zeroize, Zeroizing};

/// A value without `Display` or `Serialize` whose `Debug` shows nothing, zeroized on drop.
///
/// It has no `Clone` either: a copy of a secret is a decision, made through [`Secret::expose`].
///
/// The value has one place in memory: moving a `Secret` moves a pointer to it. An array inside
/// would leave a copy behind at each move, which nobody wipes. For the same reason, fill a secret
/// in place ([`Secret::expose_mut`]) rather than hand in an array that was filled elsewhere.
pub struct Secret<T: Zeroize>(Box<Zeroizing<T>>);

/// Secret bytes.
pub type SecretBytes = Secret<Vec<u8>>;
/// Secret text.
pub type SecretString = Secret<String>;

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub fn new(value: T) -> Self {
        Self(Box::new(Zeroizing::new(value)))
    }

    /// Shows the value. Each call site is a place to review.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Shows the value for writing in place.
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl From<SecretString> for SecretBytes {
    /// The same memory, not a copy.
    fn from(mut text: SecretString) -> Self {
        Self::new(std::mem::take(text.expose_mut()).into_bytes())
    }
}

/// Secret bytes for whoever keeps them until they are sent, such as `bytes::Bytes::from_owner`:
/// read without a copy, and wiped when they are let go.
#[derive(Debug)]
pub struct Wiped(pub SecretBytes);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

/// Secret bytes that are still being written. Where they outgrow their memory they move, and what
/// they leave is wiped; a plain vector would leave copies behind.
#[derive(Debug)]
pub struct SecretBuffer(SecretBytes);

impl SecretBuffer {
    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Secret::new(Vec::with_capacity(capacity)))
    }

    /// Appends `bytes`.
    pub fn extend(&mut self, bytes: &[u8]) {
        let (len, capacity) = (self.0.expose().len(), self.0.expose().capacity());
        let needed = len.saturating_add(bytes.len());
        if needed > capacity {
            let mut larger = Vec::with_capacity(needed.max(capacity.saturating_mul(2)));
            larger.extend_from_slice(self.0.expose());
            // The old bytes are wiped as they are dropped.
            self.0 = Secret::new(larger);
        }
        self.0.expose_mut().extend_from_slice(bytes);
    }

    /// How many bytes there are so far.
    pub fn len(&self) -> usize {
        self.0.expose().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.expose().is_empty()
    }

    /// The bytes.
    pub fn finish(self) -> SecretBytes {
        self.0
    }
}

impl io::Write for SecretBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = SecretString::new("canary-value".to_owned());
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(format!("{:?}", Some(&secret)), "Some([secret])");
    }

    #[test]
    fn a_text_becomes_bytes_without_a_copy() {
        let text = SecretString::new("canary-value".to_owned());
        let place = text.expose().as_ptr();
        let sent = Wiped(text.into());
        assert_eq!((sent.as_ref(), sent.as_ref().as_ptr()), (b"canary-value".as_slice(), place));
        assert_eq!(format!("{sent:?}"), "Wiped([secret])");
    }

    #[test]
    fn a_buffer_grows_without_losing_anything() {
        let mut buffer = SecretBuffer::with_capacity(0);
        let mut expected = Vec::new();
        for n in 0..200_u8 {
            let piece = vec![n; usize::from(n)];
            buffer.extend(&piece);
            expected.extend(piece);
            assert_eq!((buffer.len(), buffer.is_empty()), (expected.len(), n == 0));
        }
        assert_eq!(format!("{buffer:?}"), "SecretBuffer([secret])");
        assert_eq!(*buffer.finish().expose(), expected);
    }
}
