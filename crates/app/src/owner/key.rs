//! The owner's signing key: in a file under a passphrase, on a PKCS#11 token, or, where the owner
//! is the machine itself, in a plain file of a one-machine server.

use keysherd_base::{Secret, SecretBytes};
use keysherd_crypto::passphrase;
use keysherd_crypto::pkcs11::{Token, TokenUri};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::{PublicKey, Signature, SigningKey};
use keysherd_fragments::encoding::Signed;

use crate::exit::Exit;
use crate::roles::files::DataDir;
use crate::secret_source::SecretSource;

/// File of the key in the owner's directory.
pub(crate) const KEY_FILE: &str = "owner.key";
/// File with the address of the key, where it is on a token.
pub(super) const TOKEN_FILE: &str = "owner.token";
/// What keeps a sealed key from being opened as something else.
const PURPOSE: &str = "owner key";
/// Fewest characters of a new passphrase: a stolen file can be searched for as long as one likes.
const PASSPHRASE_CHARS_MIN: usize = 12;

/// Where the secrets of an owner come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnerSecrets {
    /// The passphrase of the key file.
    pub(crate) passphrase: SecretSource,
    /// The passphrase of a new key file.
    pub(crate) new_passphrase: SecretSource,
    /// The PIN of the token.
    pub(crate) pin: SecretSource,
}

/// A key that can sign.
pub(crate) enum OwnerKey {
    /// In memory.
    Memory(SigningKey),
    /// On a token.
    Token {
        /// The token.
        token: Token,
        /// The key's label.
        label: String,
        /// Its public half.
        public: PublicKey,
    },
}

impl OwnerKey {
    /// The public half.
    pub(crate) fn public(&self) -> PublicKey {
        match self {
            Self::Memory(key) => key.public(),
            Self::Token { public, .. } => *public,
        }
    }

    /// Signs `body` under `label`.
    pub(crate) fn seal(&self, label: &str, body: Vec<u8>) -> Result<Signed, Exit> {
        let signature: Signature = match self {
            Self::Memory(key) => key.sign(label, &body),
            Self::Token { token, label: key, .. } => token
                .sign_ed25519(key, label, &body)
                .map_err(|error| Exit::Damaged(error.to_string()))?,
        };
        Ok(Signed { body, signature })
    }
}

/// The key in `dir`.
pub(super) fn open(dir: &DataDir, secrets: &OwnerSecrets) -> Result<OwnerKey, Exit> {
    if let Some(bytes) = dir.read(TOKEN_FILE)? {
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        let uri = text.parse().map_err(|error| {
            Exit::Damaged(format!("{}: {error}", dir.join(TOKEN_FILE).display()))
        })?;
        return on_token(&uri, secrets, false);
    }
    let file = dir.join(KEY_FILE);
    let Some(bytes) = dir.read(KEY_FILE)? else {
        return Err(Exit::Configuration(format!(
            "the owner's key is not here: {} is missing; use the machine that has it",
            file.display()
        )));
    };
    let bytes = SecretBytes::new(bytes);
    if !passphrase::is_sealed(bytes.expose()) {
        return in_memory(&bytes, dir);
    }
    let question = "Passphrase of the owner key";
    let text = secrets.passphrase.read(question, false)?;
    let seed = passphrase::open(bytes.expose(), &text, PURPOSE)
        .map_err(|error| Exit::Configuration(format!("{}: {error}", file.display())))?;
    in_memory(&seed, dir)
}

fn in_memory(seed: &SecretBytes, dir: &DataDir) -> Result<OwnerKey, Exit> {
    let seed: [u8; 32] = seed.expose().as_slice().try_into().map_err(|_| {
        Exit::Damaged(format!("{} is not an owner's key", dir.join(KEY_FILE).display()))
    })?;
    Ok(OwnerKey::Memory(SigningKey::from_seed(&Secret::new(seed))))
}

/// Makes a key and keeps it in the file `name` under a new passphrase.
pub(super) fn make_file(
    dir: &DataDir,
    name: &str,
    secrets: &OwnerSecrets,
) -> Result<OwnerKey, Exit> {
    let key = SigningKey::generate(&*SystemRng::handle())
        .map_err(|error| Exit::Damaged(error.to_string()))?;
    write_file(dir, name, &key, secrets)?;
    Ok(OwnerKey::Memory(key))
}

/// Keeps `key` in the file `name` under a new passphrase, and opens it again from what was written.
pub(super) fn write_file(
    dir: &DataDir,
    name: &str,
    key: &SigningKey,
    secrets: &OwnerSecrets,
) -> Result<(), Exit> {
    let question = "New passphrase for the owner key (12 characters or more)";
    let text = secrets.new_passphrase.read(question, true)?;
    if text.expose().chars().count() < PASSPHRASE_CHARS_MIN {
        return Err(Exit::Configuration(format!(
            "the passphrase is too short; it needs at least {PASSPHRASE_CHARS_MIN} characters"
        )));
    }
    let failed = |error: passphrase::PassphraseFailed| Exit::Damaged(error.to_string());
    let seed = SecretBytes::new(key.seed().expose().to_vec());
    let sealed = passphrase::seal(&seed, &text, PURPOSE, &*SystemRng::handle()).map_err(failed)?;
    dir.write(name, &sealed)?;
    let written = dir.read(name)?.unwrap_or_default();
    let again = passphrase::open(&written, &text, PURPOSE).map_err(failed)?;
    if again.expose() == seed.expose() {
        return Ok(());
    }
    Err(Exit::Damaged(format!("{} was not written as it should", dir.join(name).display())))
}

/// The key on a token that `uri` names; made there with `make`.
pub(super) fn on_token(
    uri: &TokenUri,
    secrets: &OwnerSecrets,
    make: bool,
) -> Result<OwnerKey, Exit> {
    let failed =
        |error: keysherd_crypto::pkcs11::TokenError| Exit::Configuration(error.to_string());
    let label = uri.key_label().map_err(failed)?.to_owned();
    let pin = secrets.pin.read("PIN of the token", false)?;
    let token = Token::open(uri, pin).map_err(failed)?;
    let public = match make {
        true => token.generate_ed25519(&label).map_err(failed)?,
        false => token.ed25519_public(&label).map_err(failed)?,
    };
    Ok(OwnerKey::Token { token, label, public })
}
