//! The answer to a command.

use std::any::Any;
use std::fmt;

use keysherd_base::{Fault, SecretBuffer, SecretBytes};
use serde::Serialize;

/// Room for an answer of usual size, in bytes.
const ANSWER_BYTES: usize = 512;

/// A JSON body, wiped after it was sent, and what else the caller should be told.
#[derive(Debug)]
pub struct Answer {
    /// The JSON text.
    pub body: SecretBytes,
    /// Sentences for people, each sent in a header of its own.
    pub warnings: Vec<String>,
    /// Whether the paths of all values in it are attested; `None` where that is no question.
    pub name_attested: Option<bool>,
    /// Dropped when the answer was sent: a share of some budget.
    pub hold: Option<Hold>,
}

/// Something that is given back when it is dropped.
pub struct Hold {
    _share: Box<dyn Any + Send + Sync>,
}

impl Hold {
    /// Holds `share`.
    pub fn new(share: impl Any + Send + Sync) -> Self {
        Self { _share: Box::new(share) }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}

impl Answer {
    /// The JSON form of `value`.
    ///
    /// # Errors
    /// [`Fault::internal`] when `value` cannot be JSON, which is a defect.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Fault> {
        let mut body = SecretBuffer::with_capacity(ANSWER_BYTES);
        serde_json::to_writer(&mut body, value).map_err(Fault::internal)?;
        Ok(Self::secret(body))
    }

    /// `{}`.
    pub fn empty() -> Self {
        Self::raw(b"{}".to_vec())
    }

    /// JSON text made by the caller.
    pub fn raw(body: Vec<u8>) -> Self {
        Self { body: SecretBytes::new(body), warnings: Vec::new(), name_attested: None, hold: None }
    }

    /// JSON text made by the caller, with a secret in it.
    pub fn secret(body: SecretBuffer) -> Self {
        Self { body: body.finish(), warnings: Vec::new(), name_attested: None, hold: None }
    }

    /// The same answer, holding `share` until it was sent.
    #[must_use]
    pub fn holding(mut self, share: Option<Hold>) -> Self {
        self.hold = share;
        self
    }

    /// The same answer, telling whether its values' paths are attested.
    #[must_use]
    pub fn with_name_attested(mut self, attested: Option<bool>) -> Self {
        self.name_attested = attested;
        self
    }

    /// The same answer with more sentences for people.
    #[must_use]
    pub fn with_warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}
