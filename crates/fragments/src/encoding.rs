//! One encoding for every body: CBOR arrays, definite lengths, shortest integers (RFC 8949 4.2.1).
//!
//! Reading is strict: what was read is encoded again and must give the same bytes, so a value has
//! exactly one spelling, and unknown, repeated or trailing fields are errors.

use keysherd_base::{Secret, Timestamp, Uid};
use keysherd_crypto::sign::{PublicKey, Signature, SigningKey};
use minicbor::decode::Error as DecodeError;
use minicbor::{Decoder, Encoder};
use zeroize::Zeroizing;

use crate::manager_set::{ManagerIndex, ManagerSet, Threshold};
use crate::refusal::Refusal;

/// Largest message between roles: a permit of 1000 entries is 160 kB, an answer of 1000 entries of
/// a 4-of-7 key 672 kB.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// A value with exactly one encoding.
pub trait Encoding: Sized {
    /// Longest encoding that is read.
    const BYTES_MAX: usize = MESSAGE_BYTES_MAX;

    /// Writes the value.
    fn write(&self, to: &mut Writer);

    /// Reads a value.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and whatever the type itself demands.
    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal>;

    /// The encoding.
    fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.write(&mut writer);
        writer.finish()
    }

    /// The value with exactly this encoding.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] over [`Self::BYTES_MAX`]; [`Refusal::Malformed`] for bytes that are
    /// not what [`Self::to_bytes`] gives; and whatever the type itself demands.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > Self::BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        let value = Self::read(&mut Reader::new(bytes))?;
        let mut again = Writer::with_capacity(bytes.len());
        value.write(&mut again);
        // Some messages carry partials; the copy must not stay behind.
        let again = Zeroizing::new(again.finish());
        if *again == bytes { Ok(value) } else { Err(Refusal::Malformed) }
    }
}

/// Writes CBOR to memory.
pub struct Writer(Encoder<Vec<u8>>);

impl Default for Writer {
    fn default() -> Self {
        Self::with_capacity(256)
    }
}

// Only memory errors could make these fail, and those abort.
const WRITES: &str = "invariant: writing to memory does not fail";

impl Writer {
    /// A writer that needs no growing up to `bytes`: what is secret leaves no moved copies.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Encoder::new(Vec::with_capacity(bytes)))
    }

    /// The bytes written.
    pub fn finish(self) -> Vec<u8> {
        self.0.into_writer()
    }

    pub(crate) fn array(&mut self, length: usize) -> &mut Self {
        self.0.array(length as u64).expect(WRITES);
        self
    }

    pub(crate) fn uint(&mut self, value: impl Into<u64>) -> &mut Self {
        self.0.u64(value.into()).expect(WRITES);
        self
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.0.bytes(value).expect(WRITES);
        self
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.0.str(value).expect(WRITES);
        self
    }

    pub(crate) fn flag(&mut self, value: bool) -> &mut Self {
        self.0.bool(value).expect(WRITES);
        self
    }

    pub(crate) fn uid(&mut self, value: &Uid) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// Milliseconds since 1970; times before that are written as 1970.
    pub(crate) fn time(&mut self, value: Timestamp) -> &mut Self {
        self.uint(u64::try_from(value.0).unwrap_or(0))
    }

    pub(crate) fn threshold(&mut self, value: Threshold) -> &mut Self {
        self.array(2).uint(value.t()).uint(value.n())
    }

    pub(crate) fn list<T>(&mut self, items: &[T], each: impl Fn(&mut Self, &T)) -> &mut Self {
        self.array(items.len());
        for item in items {
            each(self, item);
        }
        self
    }
}

/// Reads CBOR from memory with a bound on every length.
pub struct Reader<'b>(Decoder<'b>);

fn malformed(_: DecodeError) -> Refusal {
    Refusal::Malformed
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(Decoder::new(bytes))
    }

    /// The head of an array of exactly `length`.
    pub(crate) fn array(&mut self, length: usize) -> Result<(), Refusal> {
        if self.length(length)? == length { Ok(()) } else { Err(Refusal::Malformed) }
    }

    /// The head of an array of one of two lengths, as older and newer formats have; whether it is
    /// the longer one.
    pub(crate) fn array_either(&mut self, short: usize, long: usize) -> Result<bool, Refusal> {
        match self.length(long)? {
            length if length == short => Ok(false),
            length if length == long => Ok(true),
            _ => Err(Refusal::Malformed),
        }
    }

    /// The head of an array of at most `max`.
    pub(crate) fn length(&mut self, max: usize) -> Result<usize, Refusal> {
        let length = self.0.array().map_err(malformed)?.ok_or(Refusal::Malformed)?;
        let length = usize::try_from(length).map_err(|_| Refusal::TooLarge)?;
        if length <= max { Ok(length) } else { Err(Refusal::TooLarge) }
    }

    /// A list of at most `max`.
    pub(crate) fn list<T>(
        &mut self,
        max: usize,
        each: impl Fn(&mut Self) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let length = self.length(max)?;
        let left = self.0.input().len().saturating_sub(self.0.position());
        // Each element takes a byte at least: never reserve for more than can be there.
        let mut items = Vec::with_capacity(length.min(left));
        for _ in 0..length {
            items.push(each(self)?);
        }
        Ok(items)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Refusal> {
        self.0.u8().map_err(malformed)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Refusal> {
        self.0.u16().map_err(malformed)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Refusal> {
        self.0.u32().map_err(malformed)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Refusal> {
        self.0.u64().map_err(malformed)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Refusal> {
        self.0.bool().map_err(malformed)
    }

    pub(crate) fn bytes(&mut self, max: usize) -> Result<&'b [u8], Refusal> {
        let bytes = self.0.bytes().map_err(malformed)?;
        if bytes.len() <= max { Ok(bytes) } else { Err(Refusal::TooLarge) }
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        self.bytes(N)?.try_into().map_err(|_| Refusal::Malformed)
    }

    pub(crate) fn text(&mut self, max: usize) -> Result<&'b str, Refusal> {
        let text = self.0.str().map_err(malformed)?;
        if text.len() <= max { Ok(text) } else { Err(Refusal::TooLarge) }
    }

    pub(crate) fn uid(&mut self) -> Result<Uid, Refusal> {
        self.fixed().map(Uid)
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, Refusal> {
        self.0
            .u64()
            .ok()
            .and_then(|ms| i64::try_from(ms).ok())
            .map(Timestamp)
            .ok_or(Refusal::Malformed)
    }

    pub(crate) fn public_key(&mut self) -> Result<PublicKey, Refusal> {
        self.fixed().map(PublicKey)
    }

    pub(crate) fn signature(&mut self) -> Result<Signature, Refusal> {
        self.fixed().map(Signature)
    }

    pub(crate) fn manager(&mut self) -> Result<ManagerIndex, Refusal> {
        ManagerIndex::new(self.u8()?).ok_or(Refusal::Malformed)
    }

    pub(crate) fn managers(&mut self) -> Result<ManagerSet, Refusal> {
        ManagerSet::from_bits(self.u16()?).ok_or(Refusal::Malformed)
    }

    pub(crate) fn threshold(&mut self) -> Result<Threshold, Refusal> {
        self.array(2)?;
        Threshold::new(self.u8()?, self.u8()?).ok_or(Refusal::Malformed)
    }

    pub(crate) fn secret_32(&mut self) -> Result<Secret<[u8; 32]>, Refusal> {
        self.fixed().map(Secret::new)
    }
}

/// A body with a signature by a key that the reader knows already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The exact bytes that were signed.
    pub body: Vec<u8>,
    /// The signature over label, zero byte and body.
    pub signature: Signature,
}

impl Signed {
    /// Signs `body` under `label`.
    pub fn seal(key: &SigningKey, label: &str, body: Vec<u8>) -> Self {
        let signature = key.sign(label, &body);
        Self { body, signature }
    }

    /// Whether `key` signed the body under `label`.
    pub fn is_by(&self, key: &PublicKey, label: &str) -> bool {
        key.verify(label, &self.body, &self.signature)
    }
}

impl Encoding for Signed {
    fn write(&self, to: &mut Writer) {
        to.array(2).bytes(&self.body).bytes(&self.signature.0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(2)?;
        let body = from.bytes(MESSAGE_BYTES_MAX)?.to_vec();
        Ok(Self { body, signature: from.signature()? })
    }
}

/// A body with a signature and the key that made it; the reader must check whose key it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// The signer.
    pub key: PublicKey,
    /// What it signed.
    pub signed: Signed,
}

impl SignedBy {
    /// Signs `body` under `label`.
    pub fn seal(key: &SigningKey, label: &str, body: Vec<u8>) -> Self {
        Self { key: key.public(), signed: Signed::seal(key, label, body) }
    }

    /// Whether the named key signed the body under `label`.
    pub fn verifies(&self, label: &str) -> bool {
        self.signed.is_by(&self.key, label)
    }
}

impl Encoding for SignedBy {
    fn write(&self, to: &mut Writer) {
        to.array(2).bytes(&self.key.0);
        self.signed.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(2)?;
        Ok(Self { key: from.public_key()?, signed: Signed::read(from)? })
    }
}
