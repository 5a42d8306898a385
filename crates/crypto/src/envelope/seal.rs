//! Sealing a value, and replacing a wrap of a sealed one.

use keysherd_base::limits::ENVELOPE_BYTES_MAX;
use keysherd_base::{Rng, RngFailed};

use super::open::{Dek, chunk_nonce, wrap_aad};
use super::parse::{
    FLAG_PADDED, FORMAT, IDENTITY_BYTES, IMMUTABLE_BYTES, PAYLOAD_HEADER_BYTES, PREFIX_BYTES,
    WRAP_AAD_BYTES, WRAP_BYTES, WRAPS_OFFSET, header_bytes, immutable_header,
};
use super::{
    CHUNK_LOG2_DEFAULT, Envelope, Header, Kek, Malformed, NewWrap, RewrapFailed, SealFailed,
    SealOptions, WRAPS_MAX, WrapParams, padding,
};
use crate::OpenFailed;
use crate::aead::{GcmKey, NONCE_BYTES, TAG_BYTES};
use crate::hash::constant_time_eq;

/// Seals `plaintext` under a fresh data-encryption key with one wrap for each of `wraps`.
///
/// # Errors
/// [`SealFailed`].
pub fn seal(
    header: &Header,
    wraps: &[NewWrap<'_>],
    plaintext: &[u8],
    rng: &dyn Rng,
    options: SealOptions,
) -> Result<Vec<u8>, SealFailed> {
    seal_chunked(header, wraps, plaintext, rng, options, CHUNK_LOG2_DEFAULT)
}

/// As [`seal`], with chunks of `2^chunk_log2` bytes.
pub(super) fn seal_chunked(
    header: &Header,
    wraps: &[NewWrap<'_>],
    plaintext: &[u8],
    rng: &dyn Rng,
    options: SealOptions,
    chunk_log2: u8,
) -> Result<Vec<u8>, SealFailed> {
    let n_wraps = u8::try_from(wraps.len()).map_err(|_| SealFailed::Wraps)?;
    if !(1..=WRAPS_MAX).contains(&wraps.len()) {
        return Err(SealFailed::Wraps);
    }
    // The bound on the value also keeps the sums below from overflowing.
    if plaintext.len() > ENVELOPE_BYTES_MAX {
        return Err(SealFailed::TooLong);
    }
    let padded = options.pad.then(|| padding::add(plaintext));
    let plaintext = padded.as_ref().map_or(plaintext, |padded| padded.expose().as_slice());
    let total = sealed_bytes(wraps.len(), plaintext.len(), chunk_log2);
    if total > ENVELOPE_BYTES_MAX {
        return Err(SealFailed::TooLong);
    }

    let immutable = immutable_header(&prefix(options), &identity(header), chunk_log2);
    let dek = Dek::generate(rng)?;
    let nonce_prefix = rng.array()?;
    let hdr_len = u32::try_from(header_bytes(wraps.len())).map_err(|_| SealFailed::Wraps)?;

    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&immutable[..PREFIX_BYTES]);
    out.extend_from_slice(&hdr_len.to_be_bytes());
    out.extend_from_slice(&immutable[PREFIX_BYTES..IMMUTABLE_BYTES - 1]);
    out.push(n_wraps);
    for wrap in wraps {
        out.extend_from_slice(&wrap_bytes(&immutable, wrap, &dek, rng)?);
    }
    seal_payload(&mut out, &immutable, &dek, &nonce_prefix, plaintext);
    Ok(out)
}

/// Replaces the wrap at `wrap_index` of the envelope `old`, whose key is `old_kek`, by `new`. The
/// payload's bytes and the other wraps stay as they are. The new wrap is read back before this
/// returns.
///
/// # Errors
/// [`RewrapFailed`].
pub fn rewrap(
    old: &[u8],
    wrap_index: usize,
    old_kek: &Kek,
    new: NewWrap<'_>,
    rng: &dyn Rng,
) -> Result<Vec<u8>, RewrapFailed> {
    Envelope::parse(old)?;
    let (head, _) = Envelope::split_head(old)?;
    let wrap = rewrap_head(head, wrap_index, old_kek, new, rng)?;
    Ok(replace_wrap(old, wrap_index, &wrap)?)
}

/// As [`rewrap`], of an envelope of which only the head is at hand. Gives the new wrap.
///
/// The data-encryption key is checked against the commitment of the payload, and the new wrap is
/// opened again from the bytes that are returned.
///
/// # Errors
/// [`RewrapFailed`].
pub fn rewrap_head(
    head: &[u8],
    wrap_index: usize,
    old_kek: &Kek,
    new: NewWrap<'_>,
    rng: &dyn Rng,
) -> Result<[u8; WRAP_BYTES], RewrapFailed> {
    let envelope = Envelope::parse_head(head)?;
    let dek = envelope.unwrap_dek(wrap_index, old_kek)?;
    if !constant_time_eq(dek.payload_key(&envelope).pcom(), envelope.pcom) {
        return Err(RewrapFailed::OpenFailed);
    }
    let wrap = wrap_bytes(&envelope.immutable_header(), &new, &dek, rng)?;
    let out = replace_wrap(head, wrap_index, &wrap)?;
    let again = Envelope::parse_head(&out)?.unwrap_dek(wrap_index, new.kek)?;
    if !constant_time_eq(again.expose(), dek.expose()) {
        return Err(RewrapFailed::OpenFailed);
    }
    Ok(wrap)
}

/// The envelope (or the head) `old` with the wrap at `wrap_index` replaced by `wrap`. Takes no key
/// and proves nothing: whoever stores envelopes does it.
///
/// # Errors
/// [`Malformed`] when there is no such wrap, or when the new one is not one.
pub fn replace_wrap(
    old: &[u8],
    wrap_index: usize,
    wrap: &[u8; WRAP_BYTES],
) -> Result<Vec<u8>, Malformed> {
    let (head, _) = Envelope::split_head(old)?;
    Envelope::parse_head(head)?.wrap(wrap_index).ok_or(Malformed)?;
    let mut out = old.to_vec();
    let start = WRAPS_OFFSET + wrap_index * WRAP_BYTES;
    out.get_mut(start..start + WRAP_BYTES).ok_or(Malformed)?.copy_from_slice(wrap);
    Envelope::split_head(&out)?;
    Ok(out)
}

/// Reads `sealed` back with the key of the wrap at `wrap_index` and compares it with `plaintext`:
/// the check before a write is acknowledged.
///
/// # Errors
/// [`OpenFailed`] when the bytes do not open to `plaintext`.
pub fn confirm(
    sealed: &[u8],
    wrap_index: usize,
    kek: &Kek,
    plaintext: &[u8],
) -> Result<(), OpenFailed> {
    let envelope = Envelope::parse(sealed).map_err(|_| OpenFailed)?;
    let key = envelope.unwrap_dek(wrap_index, kek)?.payload_key(&envelope);
    let opened = envelope.open(&key)?;
    if constant_time_eq(opened.expose(), plaintext) { Ok(()) } else { Err(OpenFailed) }
}

fn seal_payload(
    out: &mut Vec<u8>,
    immutable: &[u8; IMMUTABLE_BYTES],
    dek: &Dek,
    nonce_prefix: &[u8; 7],
    plaintext: &[u8],
) {
    let chunk_log2 = immutable[IMMUTABLE_BYTES - 1];
    let key = dek.payload_key_of(immutable);
    let gcm = key.gcm();
    out.push(chunk_log2);
    out.extend_from_slice(nonce_prefix);
    out.extend_from_slice(key.pcom());
    let mut rest = plaintext;
    for index in 0..chunk_count(plaintext.len(), chunk_log2) {
        let (chunk, after) = rest.split_at(rest.len().min(1 << chunk_log2));
        rest = after;
        let nonce = chunk_nonce(nonce_prefix, index, rest.is_empty());
        let start = out.len();
        out.extend_from_slice(chunk);
        let tag = gcm.seal_in_place(&nonce, immutable, &mut out[start..]);
        out.extend_from_slice(&tag);
    }
}

fn wrap_bytes(
    immutable: &[u8; IMMUTABLE_BYTES],
    wrap: &NewWrap<'_>,
    dek: &Dek,
    rng: &dyn Rng,
) -> Result<[u8; WRAP_BYTES], RngFailed> {
    let nonce: [u8; NONCE_BYTES] = rng.array()?;
    let mut bytes = [0; WRAP_BYTES];
    let (fields, rest) = bytes.split_at_mut(WRAP_AAD_BYTES);
    write_fields(fields, &wrap.params, &wrap.kek.com);
    let (nonce_field, sealed) = rest.split_at_mut(NONCE_BYTES);
    nonce_field.copy_from_slice(&nonce);
    let (ciphertext, tag) = sealed.split_at_mut(32);
    ciphertext.copy_from_slice(dek.expose());
    let aad = wrap_aad(immutable, fields);
    tag.copy_from_slice(
        &GcmKey::aes256(wrap.kek.kek.expose()).seal_in_place(&nonce, &aad, ciphertext),
    );
    Ok(bytes)
}

fn write_fields(fields: &mut [u8], params: &WrapParams, com: &[u8; 32]) {
    let WrapParams { kind, key_id, key_version, cf_id, salt } = params;
    let parts: [&[u8]; 6] = [&[*kind as u8], key_id, &key_version.to_be_bytes(), cf_id, salt, com];
    let mut rest = fields;
    for part in parts {
        let (field, after) = rest.split_at_mut(part.len());
        field.copy_from_slice(part);
        rest = after;
    }
    debug_assert!(rest.is_empty(), "the parts fill the fields");
}

fn prefix(options: SealOptions) -> [u8; PREFIX_BYTES] {
    let mut bytes = [if options.pad { FLAG_PADDED } else { 0 }; PREFIX_BYTES];
    bytes[..FORMAT.len()].copy_from_slice(&FORMAT);
    bytes
}

fn identity(header: &Header) -> [u8; IDENTITY_BYTES] {
    let mut bytes = [0; IDENTITY_BYTES];
    bytes[..16].copy_from_slice(&header.account);
    bytes[16..32].copy_from_slice(&header.item_id);
    bytes[32..40].copy_from_slice(&header.item_version.to_be_bytes());
    bytes[40] = header.class;
    bytes[41] = header.type_;
    bytes
}

/// An empty plaintext has one chunk.
fn chunk_count(plaintext_bytes: usize, chunk_log2: u8) -> usize {
    plaintext_bytes.div_ceil(1 << chunk_log2).max(1)
}

fn sealed_bytes(n_wraps: usize, plaintext_bytes: usize, chunk_log2: u8) -> usize {
    WRAPS_OFFSET
        + n_wraps * WRAP_BYTES
        + PAYLOAD_HEADER_BYTES
        + plaintext_bytes
        + chunk_count(plaintext_bytes, chunk_log2) * TAG_BYTES
}
