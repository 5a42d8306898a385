//! Keys on P-256 whose number is shorter than the others'.
//!
//! OpenSSH writes numbers without zeros at the beginning, so one of 256 private keys has less than
//! 32 bytes. The library that reads keys refuses those: here they get their zeros back.
//! (PROTOCOL.key of OpenSSH; RFC 4251 section 5 for `string` and `mpint`.)

use keysherd_base::{Secret, SecretBytes};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{EcdsaKeypair, EcdsaPrivateKey, KeypairData};
use russh::keys::ssh_key::public::{EcdsaPublicKey, KeyData};
use russh::keys::ssh_key::{Comment, PublicKey};

/// How OpenSSH's form begins.
const MAGIC: &[u8] = b"openssh-key-v1\0";
const KIND: &[u8] = b"ecdsa-sha2-nistp256";
const CURVE: &[u8] = b"nistp256";
const NUMBER_BYTES: usize = 32;
/// As many as a block of any cipher has.
const PADDING_BYTES_MAX: usize = 16;

/// A key in OpenSSH's form without a passphrase, the only one in it.
pub(super) fn plain(bytes: &[u8]) -> Option<PrivateKey> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    // Of the cipher, of the function for passphrases, and what that one needs.
    let head = [string(&mut rest)?, string(&mut rest)?, string(&mut rest)?];
    if head != [b"none".as_slice(), b"none", b""] || number(&mut rest)? != 1 {
        return None;
    }
    let public = PublicKey::from_bytes(string(&mut rest)?).ok()?;
    let section = string(&mut rest)?;
    if rest.is_empty() { of_section(public.key_data(), section) } else { None }
}

/// A key that a passphrase opened.
pub(super) fn encrypted(key: &PrivateKey, passphrase: &str) -> Option<PrivateKey> {
    let KeyData::Ecdsa(EcdsaPublicKey::NistP256(_)) = key.public_key().key_data() else {
        return None;
    };
    // What these ciphers write beside the key cannot be asked for.
    if key.cipher().has_tag() {
        return None;
    }
    let (secret, start) = key.kdf().derive_key_and_iv(key.cipher(), passphrase).ok()?;
    let mut section = SecretBytes::new(key.key_data().encrypted()?.to_vec());
    key.cipher().decrypt(&secret, &start, section.expose_mut(), None).ok()?;
    of_section(key.public_key().key_data(), section.expose())
}

/// What is in the part that a passphrase protects.
fn of_section(known: &KeyData, mut rest: &[u8]) -> Option<PrivateKey> {
    let check = [number(&mut rest)?, number(&mut rest)?];
    let kind = [string(&mut rest)?, string(&mut rest)?];
    if check[0] != check[1] || kind != [KIND, CURVE] {
        return None;
    }
    let public = EcdsaPublicKey::from_sec1_bytes(string(&mut rest)?).ok()?;
    let short = string(&mut rest)?;
    let comment = Comment::from(string(&mut rest)?);
    let is_padding = rest.len() <= PADDING_BYTES_MAX
        && rest.iter().zip(1_u8..).all(|(is, wanted)| *is == wanted);
    if !is_padding || *known != KeyData::Ecdsa(public) || short.len() >= NUMBER_BYTES {
        return None;
    }
    let mut whole = Secret::new([0; NUMBER_BYTES]);
    whole.expose_mut()[NUMBER_BYTES - short.len()..].copy_from_slice(short);
    let private = EcdsaPrivateKey::from(*whole.expose());
    let EcdsaPublicKey::NistP256(public) = public else { return None };
    let pair = KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, private });
    PrivateKey::new(pair, comment).ok()
}

/// A `string` at the beginning, which is taken away.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (content, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(content)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_be_bytes(*bytes))
}
