//! Passwords by a policy, each as likely as any other that the policy allows.

use keysherd_base::{Fault, Rng, Secret, SecretString};
use keysherd_wire::{Settings, bad_setting};

use crate::fields::{CLASSES, PASSWORD_LENGTH};

#[cfg(test)]
mod tests;

/// The classes, in the order of [`CLASSES`]. None has a quote, a backslash, `;` or `$`: no dialect
/// and no shell reads a password as anything else.
const ALPHABETS: [&[u8]; 4] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"abcdefghijklmnopqrstuvwxyz",
    b"0123456789",
    b"!#%*+,-.:=?@^_~",
];
const LENGTH: usize = 24;
const LENGTH_MIN: usize = 8;
const LENGTH_MAX: usize = 128;
/// How often a password is drawn until it has something of each class. Of the shortest ones with
/// all classes more than half have; that none of so many has is a broken random source.
const DRAWS_MAX: usize = 1_000;

/// What passwords are like.
#[derive(Debug)]
pub(crate) struct Policy {
    length: usize,
    classes: Vec<&'static [u8]>,
}

impl Policy {
    /// The policy of the settings: capital and small letters and digits, unless they say otherwise.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(crate) fn of(settings: &Settings) -> Result<Self, Fault> {
        let length = match settings.text(&PASSWORD_LENGTH) {
            None => LENGTH,
            Some(text) => text
                .parse()
                .ok()
                .filter(|length| (LENGTH_MIN..=LENGTH_MAX).contains(length))
                .ok_or_else(|| bad_setting(PASSWORD_LENGTH.name(), "it must be 8 to 128"))?,
        };
        let mut classes = Vec::new();
        for (number, ((_, field), alphabet)) in CLASSES.iter().zip(ALPHABETS).enumerate() {
            let wanted = match settings.text(field).map(str::to_ascii_lowercase).as_deref() {
                None => number < 3,
                Some("true") => true,
                Some("false") => false,
                Some(_) => return Err(bad_setting(field.name(), "it must be true or false")),
            };
            if wanted {
                classes.push(alphabet);
            }
        }
        if classes.is_empty() {
            return Err(Fault::bad_request("passwords need letters, digits or special characters"));
        }
        Ok(Self { length, classes })
    }

    /// A password.
    ///
    /// # Errors
    /// [`Fault::internal`] when the random source fails.
    pub(crate) fn draw(&self, rng: &dyn Rng) -> Result<SecretString, Fault> {
        let alphabet = self.classes.concat();
        for _ in 0..DRAWS_MAX {
            let drawn = draw(rng, &alphabet, self.length)?;
            let has = |class: &&[u8]| drawn.expose().bytes().any(|byte| class.contains(&byte));
            if self.classes.iter().all(has) {
                return Ok(drawn);
            }
        }
        Err(Fault::internal("the random source gives the same over and over"))
    }
}

/// Characters of an alphabet of at most 256, each as likely as any other: bytes that would make
/// the first ones likelier are thrown away.
///
/// # Errors
/// [`Fault::internal`] when the random source fails.
pub(crate) fn draw(rng: &dyn Rng, alphabet: &[u8], length: usize) -> Result<SecretString, Fault> {
    let fair = 256 - 256 % alphabet.len().clamp(1, 256);
    let mut text = Secret::new(String::with_capacity(length));
    let mut bytes = Secret::new([0_u8; 64]);
    for _ in 0..DRAWS_MAX {
        rng.fill(bytes.expose_mut())?;
        for byte in bytes.expose().iter().map(|byte| usize::from(*byte)).filter(|b| *b < fair) {
            if text.expose().len() == length {
                return Ok(text);
            }
            text.expose_mut().push(char::from(alphabet[byte % alphabet.len()]));
        }
    }
    Err(Fault::internal("the random source gives nothing that is of use"))
}
