//! RSA keys as the numbers they are, for forms that have fewer of them than PEM, such as OpenSSH's;
//! and signatures by them.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::RSA_PKCS1_SHA512;
use keysherd_base::{RngFailed, Secret, SecretBytes};

use super::KeySize;

/// Longest number of a key, in bytes: 8192 bits.
const BYTES_MAX: usize = 1_024;
const SEQUENCE: u8 = 0x30;
const NUMBER: u8 = 0x02;
const BYTES: u8 = 0x04;

/// The numbers of an RSA key of two primes, big-endian, without zeros in front.
pub struct RsaNumbers {
    /// The modulus.
    pub n: Vec<u8>,
    /// The public exponent.
    pub e: Vec<u8>,
    /// The private one.
    pub d: SecretBytes,
    /// One prime.
    pub p: SecretBytes,
    /// The other one.
    pub q: SecretBytes,
    /// The inverse of `q` modulo `p`.
    pub q_inverse: SecretBytes,
}

/// A private RSA key of 2048 to 8192 bits.
pub struct RsaKey {
    pair: KeyPair,
}

impl RsaKey {
    /// Makes one, as [`super::RsaPair::of_size`] does.
    ///
    /// # Errors
    /// [`RngFailed`] when the library's random source fails.
    pub fn generate(size: KeySize) -> Result<Self, RngFailed> {
        KeyPair::generate(size).map(|pair| Self { pair }).map_err(|_| RngFailed)
    }

    /// Reads PKCS #8 or PKCS #1 in DER; `None`: it is neither, or no key that is served.
    pub fn from_der(der: &SecretBytes) -> Option<Self> {
        let pair = KeyPair::from_pkcs8(der.expose()).or_else(|_| KeyPair::from_der(der.expose()));
        pair.ok().map(|pair| Self { pair })
    }

    /// Makes a key of its numbers; `None`: they do not belong together, or are too few or too many
    /// bits.
    pub fn of_numbers(numbers: &RsaNumbers) -> Option<Self> {
        let RsaNumbers { n, e, d, p, q, q_inverse } = numbers;
        let secret = [d, p, q, q_inverse].map(|number| number.expose().len());
        // What is too long would take forever.
        if secret.into_iter().chain([n.len(), e.len()]).any(|bytes| bytes > BYTES_MAX) {
            return None;
        }
        let exponent_of = |prime: &SecretBytes| {
            let mut less = Secret::new(prime.expose().clone());
            let last = less.expose_mut().last_mut().filter(|last| **last % 2 == 1)?;
            *last -= 1;
            Some(remainder(d.expose(), less.expose()))
        };
        let (of_p, of_q) = (exponent_of(p)?, exponent_of(q)?);
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: n.as_slice(), e: e.as_slice() },
            d: d.expose().as_slice(),
            p: p.expose().as_slice(),
            q: q.expose().as_slice(),
            dP: of_p.expose().as_slice(),
            dQ: of_q.expose().as_slice(),
            qInv: q_inverse.expose().as_slice(),
        };
        KeyPair::from_components(&components).ok().map(|pair| Self { pair })
    }

    /// Its numbers; `None` is a defect.
    pub fn numbers(&self) -> Option<RsaNumbers> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().ok()?;
        let mut whole = der.as_ref();
        let mut info = element(&mut whole, SEQUENCE)?;
        element(&mut info, NUMBER)?;
        element(&mut info, SEQUENCE)?;
        let mut inner = element(&mut info, BYTES)?;
        let mut key = element(&mut inner, SEQUENCE)?;
        element(&mut key, NUMBER)?;
        let mut next = || {
            let number = element(&mut key, NUMBER)?;
            Some(number.strip_prefix(&[0]).unwrap_or(number).to_vec())
        };
        let (n, e) = (next()?, next()?);
        let mut secret = || next().map(Secret::new);
        let (d, p, q) = (secret()?, secret()?, secret()?);
        // The exponents of the primes follow from the rest.
        drop((secret()?, secret()?));
        Some(RsaNumbers { n, e, d, p, q, q_inverse: secret()? })
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> usize {
        self.pair.public_modulus_len() * 8
    }

    /// Signs with PKCS #1 v1.5 and SHA-512; `None` is a defect.
    pub fn sign_sha512(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed =
            self.pair.sign(&RSA_PKCS1_SHA512, &SystemRandom::new(), message, &mut signature);
        signed.ok().map(|()| signature)
    }
}

/// What is left of a number when it is divided by another one, which is no zero. Takes the same
/// steps whatever the numbers are, as many as they have bits.
fn remainder(number: &[u8], modulus: &[u8]) -> SecretBytes {
    let room = modulus.len() + 1;
    let (mut left, mut less) = (Secret::new(vec![0_u8; room]), Secret::new(vec![0_u8; room]));
    let bits = number.iter().flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1));
    for bit in bits {
        let mut carried = bit;
        for byte in left.expose_mut().iter_mut().rev() {
            let above = *byte >> 7;
            *byte = *byte << 1 | carried;
            carried = above;
        }
        let mut borrowed = 0;
        let taken = modulus.iter().rev().chain(std::iter::once(&0));
        let places = less.expose_mut().iter_mut().rev().zip(left.expose().iter().rev());
        for ((place, byte), taken) in places.zip(taken) {
            let sum = 0x100 + u16::from(*byte) - u16::from(*taken) - borrowed;
            let [above, low] = sum.to_be_bytes();
            *place = low;
            borrowed = u16::from(1 - above);
        }
        // Nothing was borrowed: what is left is not less than the modulus.
        let keeps = if borrowed == 0 { 0_u8 } else { 0xff };
        for (byte, less) in left.expose_mut().iter_mut().zip(less.expose()) {
            *byte = *byte & keeps | less & !keeps;
        }
    }
    left
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

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_key_is_made_of_its_numbers_and_signs_as_before() {
        let key = RsaKey::generate(KeySize::Rsa2048).unwrap();
        let numbers = key.numbers().unwrap();
        let again = RsaKey::of_numbers(&numbers).unwrap();
        assert_eq!((key.bits(), again.bits()), (2048, 2048));
        let (one, other) = (key.sign_sha512(b"message"), again.sign_sha512(b"message"));
        assert_eq!(one, other);
        let public = aws_lc_rs::signature::KeyPair::public_key(&again.pair);
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA512, public.as_ref());
        public.verify(b"message", &one.unwrap()).unwrap();
        let der: Pkcs8V1Der<'_> = key.pair.as_der().unwrap();
        let read = RsaKey::from_der(&Secret::new(der.as_ref().to_vec())).unwrap();
        assert_eq!(read.numbers().unwrap().n, numbers.n);
        assert!(RsaKey::from_der(&Secret::new(b"canary".to_vec())).is_none());
    }

    #[test]
    fn numbers_that_do_not_belong_together_are_no_key() {
        let numbers = || RsaKey::generate(KeySize::Rsa2048).unwrap().numbers().unwrap();
        let (one, other) = (numbers(), numbers());
        let mixed = |change: fn(&mut RsaNumbers, &RsaNumbers)| {
            let copy = |secret: &SecretBytes| Secret::new(secret.expose().clone());
            let mut numbers = RsaNumbers {
                n: one.n.clone(),
                e: one.e.clone(),
                d: copy(&one.d),
                p: copy(&one.p),
                q: copy(&one.q),
                q_inverse: copy(&one.q_inverse),
            };
            assert!(RsaKey::of_numbers(&numbers).is_some());
            change(&mut numbers, &other);
            RsaKey::of_numbers(&numbers).is_none()
        };
        assert!(mixed(|numbers, other| numbers.n.clone_from(&other.n)));
        assert!(mixed(|numbers, other| numbers.p = Secret::new(other.p.expose().clone())));
        assert!(mixed(|numbers, other| numbers.d = Secret::new(other.d.expose().clone())));
        assert!(mixed(|numbers, _| numbers.p = Secret::new(Vec::new())));
        assert!(mixed(|numbers, _| numbers.q = Secret::new(vec![1])));
        assert!(mixed(|numbers, _| numbers.q = Secret::new(vec![4])));
        assert!(mixed(|numbers, _| numbers.e = vec![3]));
        assert!(mixed(|numbers, _| numbers.d = Secret::new(vec![1; 16 << 10])));
    }

    #[test]
    fn remainders_are_right() {
        let of = |number: u64, modulus: u32| {
            let left = remainder(&number.to_be_bytes(), &modulus.to_be_bytes());
            left.expose().iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        for number in [0, 1, 255, 256, 65_537, u64::MAX, u64::MAX - 1, 1 << 63, 0x0123_4567_89ab] {
            for modulus in [1, 2, 3, 255, 256, 257, 65_535, u32::MAX, 1 << 31] {
                assert_eq!(of(number, modulus), number % u64::from(modulus), "{number} {modulus}");
            }
        }
    }
}
