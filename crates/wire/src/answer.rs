//! The answer to a command.

use keysherd_base::{Fault, SecretBytes};
use serde::Serialize;

/// A JSON body, wiped after it was sent, and what else the caller should be told.
#[derive(Debug)]
pub struct Answer {
    /// The JSON text.
    pub body: SecretBytes,
    /// A sentence for people, sent in a header.
    pub warning: Option<String>,
}

impl Answer {
    /// The JSON form of `value`.
    ///
    /// # Errors
    /// [`Fault::internal`] when `value` cannot be JSON, which is a defect.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Fault> {
        let body = serde_json::to_vec(value).map_err(Fault::internal)?;
        Ok(Self::raw(body))
    }

    /// `{}`.
    pub fn empty() -> Self {
        Self::raw(b"{}".to_vec())
    }

    /// JSON text made by the caller.
    pub fn raw(body: Vec<u8>) -> Self {
        Self { body: SecretBytes::new(body), warning: None }
    }

    /// The same answer with a sentence for people.
    #[must_use]
    pub fn with_warning(mut self, warning: Option<String>) -> Self {
        self.warning = warning;
        self
    }
}
