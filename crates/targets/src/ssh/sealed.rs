//! Private keys as texts, with or without a passphrase.
//!
//! Whoever gives an encrypted key also says how much work it is to open it, up to more memory than
//! any machine has: that is looked at first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{SecretBytes, SecretString};
use russh::keys::ssh_key::Kdf;
use russh::keys::{PrivateKey, decode_secret_key};

use super::short;

#[cfg(test)]
mod tests;

/// Longest private key that is read, in bytes.
const KEY_BYTES_MAX: usize = 16 * 1024;
/// How often OpenSSH's function (bcrypt) may be used: a round takes some milliseconds, and
/// `ssh-keygen` takes 24 of them where nobody says otherwise.
const BCRYPT_ROUNDS_MAX: u32 = 128;
/// How often PBKDF2's may; openssl takes 2048 rounds, careful people some hundred thousand.
const PBKDF2_ROUNDS_MAX: u32 = 1_000_000;
/// How both of them, and encryption by a passphrase (RFC 8018), are called in DER.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const SEQUENCE: u8 = 0x30;
const NAME: u8 = 0x06;
const BYTES: u8 = 0x04;
const NUMBER: u8 = 0x02;

/// How texts of keys begin and end.
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const OPENSSH: &str = "OPENSSH PRIVATE KEY";

/// The key in a text; `None`: there is none, it is not opened by this passphrase, or opening it
/// would take too much.
pub(super) fn opened(text: &SecretString, passphrase: Option<&SecretString>) -> Option<PrivateKey> {
    let (kind, bytes) = contents(text.expose())?;
    let passphrase = passphrase.map(|given| given.expose().as_str());
    if kind == OPENSSH {
        let Ok(key) = PrivateKey::from_bytes(bytes.expose()) else {
            return short::plain(bytes.expose());
        };
        return match (key.is_encrypted(), key.kdf()) {
            (false, _) => Some(key),
            (true, Kdf::Bcrypt { rounds, .. }) if *rounds <= BCRYPT_ROUNDS_MAX => {
                let passphrase = passphrase?;
                key.decrypt(passphrase).ok().or_else(|| short::encrypted(&key, passphrase))
            }
            (true, _) => None,
        };
    }
    // Written again, so that what is read is what was looked at.
    let same = written(&bytes);
    let plain = decode_secret_key(same.expose(), None).ok();
    let opened = || {
        let passphrase = passphrase.filter(|_| is_bearable(bytes.expose()))?;
        decode_secret_key(same.expose(), Some(passphrase)).ok()
    };
    plain.or_else(opened).filter(|key| !key.is_encrypted())
}

/// A key in DER as PEM.
pub(super) fn written(der: &SecretBytes) -> SecretString {
    let body = SecretString::new(STANDARD.encode(der.expose()));
    let text = format!("{BEGIN}PRIVATE KEY-----\n{}\n{END}PRIVATE KEY-----\n", body.expose());
    SecretString::new(text)
}

/// What is in PEM that has no passphrase.
pub(super) fn in_pem(text: &SecretString) -> Option<SecretBytes> {
    let (kind, bytes) = contents(text.expose())?;
    matches!(kind, "PRIVATE KEY" | "RSA PRIVATE KEY").then_some(bytes)
}

/// What a text says it is, and its bytes.
fn contents(text: &str) -> Option<(&str, SecretBytes)> {
    if text.len() > KEY_BYTES_MAX {
        return None;
    }
    let (kind, rest) = text.trim().strip_prefix(BEGIN)?.split_once("-----")?;
    let (body, _) = rest.split_once(END)?;
    let compact: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let compact = SecretString::new(compact);
    Some((kind, SecretBytes::new(STANDARD.decode(compact.expose()).ok()?)))
}

/// Whether opening a key in PKCS #8 (RFC 5958 section 3) takes a time that one may take.
fn is_bearable(der: &[u8]) -> bool {
    rounds(der).is_some_and(|rounds| rounds <= PBKDF2_ROUNDS_MAX)
}

/// The rounds of PBKDF2; `None` where it is another function, such as scrypt, which may ask for any
/// amount of memory.
fn rounds(mut der: &[u8]) -> Option<u32> {
    let mut whole = element(&mut der, SEQUENCE)?;
    let mut encryption = element(&mut whole, SEQUENCE)?;
    if element(&mut encryption, NAME)? != PBES2 {
        return None;
    }
    let mut parts = element(&mut encryption, SEQUENCE)?;
    let mut function = element(&mut parts, SEQUENCE)?;
    if element(&mut function, NAME)? != PBKDF2 {
        return None;
    }
    let mut given = element(&mut function, SEQUENCE)?;
    element(&mut given, BYTES)?;
    let number = element(&mut given, NUMBER)?;
    number.iter().try_fold(0_u32, |sum, byte| sum.checked_mul(256)?.checked_add((*byte).into()))
}

/// The element at the beginning, which must be of this kind, is taken away; its content.
fn element<'a>(rest: &mut &'a [u8], kind: u8) -> Option<&'a [u8]> {
    let after = rest.strip_prefix(&[kind])?;
    let (length, after) = match after {
        [length @ 0..=0x7f, after @ ..] => (usize::from(*length), after),
        [0x81, length, after @ ..] => (usize::from(*length), after),
        [0x82, high, low, after @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), after),
        _ => return None,
    };
    let (content, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(content)
}
