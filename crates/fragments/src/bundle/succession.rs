//! A new owner key: the old one says which key follows it, and whoever pinned the old one believes
//! the new one from then on.
//!
//! The statements travel with the bundle. They are read before the bundle is: each is verified
//! under the key that was believed so far, and the bundle under the last.

use keysherd_base::{Timestamp, Uid};
use keysherd_crypto::sign::{PublicKey, Signature, SigningKey};

use crate::encoding::{Encoding, MESSAGE_BYTES_MAX, Reader, Signed, Writer};
use crate::labels;
use crate::refusal::Refusal;

/// Most statements that travel with a bundle: so often can an owner key change before managers
/// have to be installed anew.
pub const SUCCESSIONS_MAX: usize = 16;

const FORMAT: u8 = 1;

/// What an owner key signs: "this key follows me in this deployment".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Succession {
    /// The deployment, as in the bundle.
    pub deployment: Uid,
    /// The key that signs this.
    pub former: PublicKey,
    /// The key that follows it.
    pub next: PublicKey,
    /// When it was signed.
    pub issued_at: Timestamp,
}

impl Succession {
    /// Longest encoding in bytes.
    pub const BYTES_MAX: usize = 128;

    /// Signs the statement with the former key.
    pub fn seal(&self, former: &SigningKey) -> Signed {
        Signed::seal(former, labels::SIGN_SUCCESSION, self.to_bytes())
    }
}

impl Encoding for Succession {
    const BYTES_MAX: usize = Self::BYTES_MAX;

    fn write(&self, to: &mut Writer) {
        to.array(5).uint(FORMAT).uid(&self.deployment);
        to.bytes(&self.former.0).bytes(&self.next.0).time(self.issued_at);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(5)?;
        if from.u8()? != FORMAT {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            deployment: from.uid()?,
            former: from.public_key()?,
            next: from.public_key()?,
            issued_at: from.time()?,
        })
    }
}

/// A signed bundle as it travels and is kept: with the statements that lead to its signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBundle {
    /// The exact bytes that were signed.
    pub body: Vec<u8>,
    /// The owner's signature.
    pub signature: Signature,
    /// How the owner key changed, oldest first; empty as long as it never did.
    pub successions: Vec<Signed>,
}

impl SignedBundle {
    /// The same bundle with these statements.
    #[must_use]
    pub fn with_successions(self, successions: Vec<Signed>) -> Self {
        Self { successions, ..self }
    }

    /// Whether `key` signed the bundle.
    pub(crate) fn is_by(&self, key: &PublicKey) -> bool {
        key.verify(labels::SIGN_BUNDLE, &self.body, &self.signature)
    }
}

impl From<Signed> for SignedBundle {
    fn from(signed: Signed) -> Self {
        Self { body: signed.body, signature: signed.signature, successions: Vec::new() }
    }
}

impl Encoding for SignedBundle {
    fn write(&self, to: &mut Writer) {
        // Without statements it looks like every other signed body.
        let fields = if self.successions.is_empty() { 2 } else { 3 };
        to.array(fields).bytes(&self.body).bytes(&self.signature.0);
        if fields == 3 {
            to.list(&self.successions, |to, statement| statement.write(to));
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        let fields = from.length(3)?;
        let body = from.bytes(MESSAGE_BYTES_MAX)?.to_vec();
        let signature = from.signature()?;
        let successions = match fields {
            2 => Vec::new(),
            3 => from.list(SUCCESSIONS_MAX, Signed::read)?,
            _ => return Err(Refusal::Malformed),
        };
        Ok(Self { body, signature, successions })
    }
}

/// The key to believe after `pinned` and these statements, and the ones that led to it. Statements
/// of keys that were not believed say nothing: older ones come along for those who know only the
/// first key.
///
/// # Errors
/// [`Refusal::BadSuccession`] for a statement by the believed key that is none, or that is for
/// another deployment than `deployment`.
pub(super) fn follow(
    pinned: PublicKey,
    successions: &[Signed],
    deployment: Option<&Uid>,
) -> Result<(PublicKey, Vec<Signed>), Refusal> {
    let mut key = pinned;
    let mut used = Vec::new();
    for signed in successions {
        if !signed.is_by(&key, labels::SIGN_SUCCESSION) {
            continue;
        }
        let statement = Succession::from_bytes(&signed.body).map_err(|_| Refusal::BadSuccession)?;
        let elsewhere = deployment.is_some_and(|deployment| statement.deployment != *deployment);
        if statement.former != key || elsewhere {
            return Err(Refusal::BadSuccession);
        }
        key = statement.next;
        used.push(signed.clone());
    }
    Ok((key, used))
}
