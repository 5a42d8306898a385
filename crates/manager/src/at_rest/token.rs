//! The epoch key under a key that never leaves a PKCS#11 token.

use std::sync::Arc;

use keysherd_base::{Fault, FaultKind, RngHandle, SecretBytes};
use keysherd_crypto::pkcs11::{Token, TokenError};

use super::Wrapping;

/// What the token binds the wrapped key to.
const CONTEXT: &[u8] = b"KSF1/manager-epoch-key";

/// Wraps with an AES-256 key of a token.
pub struct TokenWrapping {
    token: Arc<Token>,
    label: String,
    rng: RngHandle,
}

impl TokenWrapping {
    /// Wraps with the token's key that has this label.
    pub fn new(token: Arc<Token>, label: String, rng: RngHandle) -> Self {
        Self { token, label, rng }
    }
}

impl Wrapping for TokenWrapping {
    fn wrap(&self, key: &SecretBytes) -> Result<Vec<u8>, Fault> {
        let seal = || self.token.seal(&self.label, CONTEXT, key, &*self.rng);
        let sealed = match seal() {
            // At the first start there is nothing under it yet; later ones unwrap before they wrap.
            Err(TokenError::NoKey { .. }) => {
                tracing::info!(label = self.label, "made an AES key on the token");
                self.token.generate_aes(&self.label).and_then(|()| seal())
            }
            other => other,
        };
        sealed.map_err(|error| fault(&error))
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<SecretBytes, Fault> {
        self.token.unseal(&self.label, CONTEXT, wrapped).map_err(|error| fault(&error))
    }

    fn name(&self) -> &'static str {
        "token"
    }
}

fn fault(error: &TokenError) -> Fault {
    Fault::new(FaultKind::Unavailable, format!("epoch key under a token: {error}"))
}
