//! How a machine asks the owner to be trusted: a small file that it makes, and that a person
//! carries to the owner and compares by fingerprint.
//!
//! The request is signed by the key it asks trust for, so nobody can have a key of others put into
//! the bundle under a name of their own. That it comes from the right machine only the comparison
//! of the fingerprint says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Timestamp;
use keysherd_crypto::sign::{PublicKey, SigningKey};

use crate::bundle::address;
use crate::encoding::{Encoding, Reader, SignedBy, Writer};
use crate::labels;
use crate::manager_set::ManagerIndex;
use crate::refusal::Refusal;

#[cfg(test)]
mod tests;

/// Longest name of a machine in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest request file in bytes.
pub const FILE_BYTES_MAX: usize = 4_096;

const FORMAT: u8 = 1;
const BEGIN: &str = "-----BEGIN KEYSHERD ENROLLMENT-----";
const END: &str = "-----END KEYSHERD ENROLLMENT-----";
const LINE: usize = 64;

/// What a machine asks to be trusted as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrollment {
    /// Its role.
    pub role: EnrolledRole,
    /// Its identity key, which is also the key of its TLS certificate.
    pub key: PublicKey,
    /// What people call it: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Where it listens, `host:port`; empty for a gateway, or where local configuration says it.
    pub address: String,
    /// When it was made.
    pub made_at: Timestamp,
}

/// The role of a machine that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrolledRole {
    /// A fragment manager.
    Manager {
        /// Under which index.
        index: ManagerIndex,
    },
    /// A gateway instance.
    Gateway,
    /// A machine of the control plane.
    Control {
        /// The key it will sign permits with.
        permit_key: PublicKey,
    },
}

impl Enrollment {
    /// Signs the request with the key it is about.
    pub fn seal(&self, identity: &SigningKey) -> SignedBy {
        SignedBy::seal(identity, labels::SIGN_ENROLLMENT, self.to_bytes())
    }

    /// Opens a request.
    ///
    /// # Errors
    /// [`Refusal::BadEnrollment`] when the key it is about did not sign it;
    /// [`Refusal::Malformed`] for a body that is none.
    pub fn open(signed: &SignedBy) -> Result<Self, Refusal> {
        if !signed.verifies(labels::SIGN_ENROLLMENT) {
            return Err(Refusal::BadEnrollment);
        }
        let enrollment = Self::from_bytes(&signed.signed.body)?;
        if enrollment.key == signed.key { Ok(enrollment) } else { Err(Refusal::BadEnrollment) }
    }
}

/// Whether `text` can be the name of a machine.
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

impl Encoding for Enrollment {
    const BYTES_MAX: usize = 1_024;

    fn write(&self, to: &mut Writer) {
        to.array(6).uint(FORMAT);
        match self.role {
            EnrolledRole::Manager { index } => to.array(2).uint(1_u8).uint(index.get()),
            EnrolledRole::Gateway => to.array(1).uint(2_u8),
            EnrolledRole::Control { permit_key } => to.array(2).uint(3_u8).bytes(&permit_key.0),
        };
        to.bytes(&self.key.0).text(&self.name).text(&self.address).time(self.made_at);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(6)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::Malformed);
        }
        let role = match (from.length(2)?, from.u8()?) {
            (2, 1) => EnrolledRole::Manager { index: from.manager()? },
            (1, 2) => EnrolledRole::Gateway,
            (2, 3) => EnrolledRole::Control { permit_key: from.public_key()? },
            _ => return Err(Refusal::Malformed),
        };
        let enrollment = Self {
            role,
            key: from.public_key()?,
            name: from.text(NAME_BYTES_MAX)?.to_owned(),
            address: from.text(address::ADDRESS_BYTES_MAX)?.to_owned(),
            made_at: from.time()?,
        };
        let address = &enrollment.address;
        let ok = is_name(&enrollment.name) && (address.is_empty() || address::is_address(address));
        if ok { Ok(enrollment) } else { Err(Refusal::Malformed) }
    }
}

/// The request file: comments for people (`comments`, one line each), then the signed request.
pub fn to_file(signed: &SignedBy, comments: &[String]) -> String {
    let mut text = String::new();
    for comment in comments {
        text.push_str("# ");
        text.extend(comment.chars().filter(|letter| !letter.is_control()));
        text.push('\n');
    }
    text.push_str(BEGIN);
    let body = STANDARD.encode(signed.to_bytes());
    for (at, letter) in body.chars().enumerate() {
        if at % LINE == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push('\n');
    text.push_str(END);
    text.push('\n');
    text
}

/// Reads a request file. The comments are not looked at: they are not signed.
///
/// # Errors
/// [`Refusal::TooLarge`], [`Refusal::Malformed`], and those of [`Enrollment::open`].
pub fn from_file(text: &str) -> Result<Enrollment, Refusal> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let lines = text.lines().map(str::trim_end);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    if lines.next() != Some(BEGIN) {
        return Err(Refusal::Malformed);
    }
    let mut body = String::new();
    loop {
        match lines.next() {
            Some(END) if lines.next().is_none() => break,
            Some(line) if line != END => body.push_str(line),
            _ => return Err(Refusal::Malformed),
        }
    }
    let bytes = STANDARD.decode(body).map_err(|_| Refusal::Malformed)?;
    Enrollment::open(&SignedBy::from_bytes(&bytes)?)
}
