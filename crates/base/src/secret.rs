//! Values that must not be printed, serialized or left behind in memory.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A value without `Display` or `Serialize` whose `Debug` shows nothing, zeroized on drop.
///
/// It has no `Clone` either: a copy of a secret is a decision, made through [`Secret::expose`].
pub struct Secret<T: Zeroize>(Zeroizing<T>);

/// Secret bytes.
pub type SecretBytes = Secret<Vec<u8>>;
/// Secret text.
pub type SecretString = Secret<String>;

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = SecretString::new("canary-value".to_owned());
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(format!("{:?}", Some(&secret)), "Some([secret])");
    }
}
