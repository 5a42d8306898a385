//! The ciphertext that `encrypt` returns, and how one message key comes from a window key.
//!
//! ```text
//! GCM:  1 | key version u32 | kind u8 = 1 | window salt 32 | COM 32 | random 24
//!         | ciphertext | tag 16
//! SIV:  1 | key version u32 | kind u8 = 2 | SIV 16 and ciphertext
//! CBC:  1 | key version u32 | kind u8 = 3 | blocks
//! ```
//! A GCM message key is `HKDF-Expand(window KEK, "KSF1/msg" 00 | random 24)`, used for one message
//! with an all-zero nonce; `COM` is the window key's commitment, so that a wrong window key is
//! told apart from a damaged message. The header and the encryption context are
//! associated data.

use keysherd_base::{Fault, Rng, Secret, SecretBytes};
use keysherd_crypto::aead::GcmKey;
use keysherd_crypto::envelope::Kek;
use keysherd_crypto::hash::{constant_time_eq, hkdf_expand};

#[cfg(test)]
mod tests;

const FORMAT: u8 = 1;
const KIND_GCM: u8 = 1;
const KIND_SIV: u8 = 2;
const KIND_CBC: u8 = 3;
const HEAD_BYTES: usize = 6;
const SALT_BYTES: usize = 32;
const COM_BYTES: usize = 32;
const RANDOM_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const WINDOW_HEAD_BYTES: usize = HEAD_BYTES + SALT_BYTES + COM_BYTES + RANDOM_BYTES;
const MESSAGE_LABEL: &[u8] = b"KSF1/msg\0";
/// A message key is used once, so its nonce need not vary.
const NONCE: [u8; 12] = [0; 12];

/// A parsed ciphertext.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'a> {
    /// GCM under a window key.
    Window {
        /// The key version.
        version: u32,
        /// The window's salt.
        salt: [u8; 32],
        /// The window key's commitment.
        com: [u8; 32],
        /// The whole message.
        bytes: &'a [u8],
    },
    /// SIV or CBC under sealed material.
    Fixed {
        /// The key version.
        version: u32,
        /// What follows the header.
        body: &'a [u8],
        /// Whether it is SIV.
        siv: bool,
    },
}

impl<'a> Message<'a> {
    /// Reads a ciphertext.
    ///
    /// # Errors
    /// A bad request when it is not one of ours.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let foreign = || Fault::bad_request("invalid ciphertext: it was not made by encrypt");
        let (head, body) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or_else(foreign)?;
        let [format, v0, v1, v2, v3, kind] = *head;
        let version = u32::from_be_bytes([v0, v1, v2, v3]);
        match (format, kind) {
            (FORMAT, KIND_GCM) if bytes.len() >= WINDOW_HEAD_BYTES + TAG_BYTES => {
                let (salt, rest) = body.split_first_chunk().ok_or_else(foreign)?;
                let com = rest.first_chunk().ok_or_else(foreign)?;
                Ok(Self::Window { version, salt: *salt, com: *com, bytes })
            }
            (FORMAT, KIND_SIV | KIND_CBC) => {
                Ok(Self::Fixed { version, body, siv: kind == KIND_SIV })
            }
            _ => Err(foreign()),
        }
    }

    /// The key version it was made with.
    pub(crate) const fn version(&self) -> u32 {
        match self {
            Self::Window { version, .. } | Self::Fixed { version, .. } => *version,
        }
    }
}

fn head(version: u32, kind: u8) -> [u8; HEAD_BYTES] {
    let [v0, v1, v2, v3] = version.to_be_bytes();
    [FORMAT, v0, v1, v2, v3, kind]
}

fn message_key(kek: &Kek, random: &[u8], key_bytes: usize) -> Result<GcmKey, Fault> {
    let mut key = Secret::new([0_u8; 32]);
    hkdf_expand(kek.kek.expose(), &[MESSAGE_LABEL, random], key.expose_mut());
    key.expose()
        .get(..key_bytes)
        .and_then(GcmKey::new)
        .ok_or_else(|| Fault::internal("a message key has 16 or 32 bytes"))
}

/// What the header of a message under a window key says.
pub(crate) struct WindowHead {
    /// The key version.
    pub(crate) version: u32,
    /// The window's salt.
    pub(crate) salt: [u8; 32],
    /// Length of message keys: 16 or 32.
    pub(crate) key_bytes: usize,
}

/// Encrypts one message under a window key.
pub(crate) fn seal_window(
    kek: &Kek,
    window: &WindowHead,
    context: &[u8],
    plaintext: &[u8],
    rng: &dyn Rng,
) -> Result<SecretBytes, Fault> {
    let random: [u8; RANDOM_BYTES] = rng.array()?;
    let mut message = Vec::with_capacity(WINDOW_HEAD_BYTES + plaintext.len() + TAG_BYTES);
    message.extend_from_slice(&head(window.version, KIND_GCM));
    message.extend_from_slice(&window.salt);
    message.extend_from_slice(&kek.com);
    message.extend_from_slice(&random);
    let aad = [&message, context].concat();
    let mut body = plaintext.to_vec();
    message_key(kek, &random, window.key_bytes)?.seal(&NONCE, &aad, &mut body);
    message.extend_from_slice(&body);
    Ok(SecretBytes::new(message))
}

/// Decrypts one message with the key of its window.
pub(crate) fn open_window(
    kek: &Kek,
    key_bytes: usize,
    context: &[u8],
    message: &[u8],
) -> Result<SecretBytes, Fault> {
    let (head, body) = message.split_at_checked(WINDOW_HEAD_BYTES).ok_or_else(cannot_open)?;
    let com = head.get(HEAD_BYTES + SALT_BYTES..HEAD_BYTES + SALT_BYTES + COM_BYTES);
    if !constant_time_eq(com.unwrap_or_default(), &kek.com) {
        return Err(cannot_open());
    }
    let random = head.get(WINDOW_HEAD_BYTES - RANDOM_BYTES..).unwrap_or_default();
    let aad = [head, context].concat();
    let length = body.len().checked_sub(TAG_BYTES).ok_or_else(cannot_open)?;
    let mut opened = SecretBytes::new(vec![0; length]);
    message_key(kek, random, key_bytes)?
        .open_into(&NONCE, &aad, body, opened.expose_mut())
        .map_err(|_| cannot_open())?;
    Ok(opened)
}

/// Puts the header in front of an SIV or CBC ciphertext.
pub(crate) fn fixed(version: u32, siv: bool, body: &[u8]) -> SecretBytes {
    let kind = if siv { KIND_SIV } else { KIND_CBC };
    SecretBytes::new([&head(version, kind), body].concat())
}

/// Decryption has one failure, whatever the reason.
pub(crate) fn cannot_open() -> Fault {
    Fault::bad_request(
        "decryption failed: the ciphertext, the key or the encryption context is not the right one",
    )
}
