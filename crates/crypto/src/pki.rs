//! X.509: a small certificate authority for the product's own servers, and what a peer's
//! certificate says about its key.
//!
//! Certificates carry what strict verifiers ask for: key identifiers, critical basic constraints
//! and key usage (RFC 5280 section 4.2.1).

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use keysherd_base::{Rng, RngFailed, Secret, SecretString, Timestamp};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, SanType, SerialNumber,
};
use zeroize::Zeroize;

use crate::sign::SigningKey;

mod client;
mod client_key;
mod inspect;
mod names;
mod requested;

#[cfg(test)]
mod tests;

pub use client::{
    CHAIN_MAX, ClientAuthorities, ClientCert, ClientCrl, ClientRefused, certificates_of_pem,
};
pub use client_key::ClientKey;
pub use inspect::{
    certificate_common_name, certificate_der, certificate_spki, certificate_validity,
    certificate_validity_der,
};
pub use names::{ClientNames, serial_of_text};
pub use requested::{Requested, requested};

/// Most names of one certificate.
pub const NAMES_MAX: usize = 100;
/// Longest common name, in characters (RFC 5280 appendix A, `ub-common-name`).
pub const COMMON_NAME_CHARS_MAX: usize = 64;
/// Longest PEM text that is read.
pub const PEM_BYTES_MAX: usize = 64 * 1024;

/// The last second an X.509 certificate can name: 9999-12-31T23:59:59Z (RFC 5280 section 4.1.2.5).
const LAST_SECOND: i64 = 253_402_300_799;

/// Why a certificate was not made or not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PkiFailed {
    /// A name is neither a DNS name nor an IP address, or there are none or too many.
    Name,
    /// The end is not after the beginning, or a time is outside the years 1970 to 9999.
    Time,
    /// The certificate or the key cannot be read.
    Pem,
    /// The certificate is not a certificate authority's, or is not for this key.
    Mismatch,
    /// The random source failed.
    Rng,
    /// The library refused.
    Library,
}

impl fmt::Display for PkiFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a certificate needs 1 to 100 names, each a DNS name or an IP address",
            Self::Time => "the certificate's validity is empty or out of range",
            Self::Pem => "not a readable certificate and private key in PEM",
            Self::Mismatch => "not the certificate of a certificate authority with this key",
            Self::Rng => "the random source failed",
            Self::Library => "the certificate could not be made",
        })
    }
}

impl std::error::Error for PkiFailed {}

impl From<RngFailed> for PkiFailed {
    fn from(_: RngFailed) -> Self {
        Self::Rng
    }
}

/// A certificate and its private key.
#[derive(Debug)]
pub struct IssuedCert {
    /// The certificate, one PEM block.
    pub cert_pem: String,
    /// The private key, one PEM block of PKCS#8.
    pub key_pem: SecretString,
}

/// A certificate authority with an ECDSA P-256 key that issues server certificates and no further
/// authorities.
pub struct LocalCa {
    cert_pem: String,
    key: KeyPair,
}

impl LocalCa {
    /// A new authority with a fresh key and a self-signed certificate.
    ///
    /// # Errors
    /// [`PkiFailed`].
    pub fn create(
        common_name: &str,
        not_before: Timestamp,
        not_after: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Self, PkiFailed> {
        let mut params = params(common_name, not_before, not_after, rng)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = fresh_key()?;
        let cert_pem = params.self_signed(&key).map_err(|_| PkiFailed::Library)?.pem();
        Ok(Self { cert_pem, key })
    }

    /// The authority that [`Self::cert_pem`] and [`Self::key_pem`] describe.
    ///
    /// # Errors
    /// [`PkiFailed::Pem`] or [`PkiFailed::Mismatch`].
    pub fn from_pem(cert_pem: &str, key_pem: &SecretString) -> Result<Self, PkiFailed> {
        let key_pem = key_pem.expose();
        if cert_pem.len() > PEM_BYTES_MAX || key_pem.len() > PEM_BYTES_MAX {
            return Err(PkiFailed::Pem);
        }
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(key_pem, &PKCS_ECDSA_P256_SHA256)
            .map_err(|_| PkiFailed::Pem)?;
        let ca = Self { cert_pem: cert_pem.to_owned(), key };
        let der = inspect::der_of_pem(cert_pem).ok_or(PkiFailed::Pem)?;
        let spki = rcgen::PublicKeyData::subject_public_key_info(&ca.key);
        if inspect::is_authority_with_key(&der, &spki) { Ok(ca) } else { Err(PkiFailed::Mismatch) }
    }

    /// The authority's certificate, for trust stores.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The authority's private key (PKCS#8).
    pub fn key_pem(&self) -> SecretString {
        Secret::new(self.key.serialize_pem())
    }

    /// A server certificate with a fresh ECDSA P-256 key for `names`: DNS names (with `*` as the
    /// first label, if wanted) and IP addresses.
    ///
    /// # Errors
    /// [`PkiFailed`].
    pub fn issue_server(
        &self,
        names: &[String],
        not_before: Timestamp,
        not_after: Timestamp,
        rng: &dyn Rng,
    ) -> Result<IssuedCert, PkiFailed> {
        let mut params = params("keysherd server", not_before, not_after, rng)?;
        params.subject_alt_names = subject_alt_names(names)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issuer =
            Issuer::from_ca_cert_pem(&self.cert_pem, &self.key).map_err(|_| PkiFailed::Library)?;
        let mut key = fresh_key()?;
        let cert = params.signed_by(&key, &issuer).map_err(|_| PkiFailed::Library);
        let key_pem = Secret::new(key.serialize_pem());
        key.zeroize();
        Ok(IssuedCert { cert_pem: cert?.pem(), key_pem })
    }
}

impl Drop for LocalCa {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl fmt::Debug for LocalCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalCa")
    }
}

/// A self-signed certificate for `key`, for both ends of a connection whose peers pin the key
/// ([`crate::sign::PublicKey::spki_sha256`]) instead of trusting an authority.
///
/// # Errors
/// [`PkiFailed`].
pub fn self_signed(
    key: &SigningKey,
    common_name: &str,
    names: &[String],
    not_before: Timestamp,
    not_after: Timestamp,
    rng: &dyn Rng,
) -> Result<IssuedCert, PkiFailed> {
    let mut params = params(common_name, not_before, not_after, rng)?;
    params.subject_alt_names = subject_alt_names(names)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key_pem = key.pkcs8_pem();
    let mut pair = KeyPair::from_pkcs8_pem_and_sign_algo(key_pem.expose(), &PKCS_ED25519)
        .map_err(|_| PkiFailed::Library)?;
    let cert = params.self_signed(&pair).map_err(|_| PkiFailed::Library);
    pair.zeroize();
    Ok(IssuedCert { cert_pem: cert?.pem(), key_pem })
}

/// A request for a server certificate (PKCS#10, RFC 2986).
#[derive(Debug)]
pub struct CertRequest {
    /// The request, in DER.
    pub der: Vec<u8>,
    /// The private key that was made for it, one PEM block of PKCS#8.
    pub key_pem: SecretString,
}

/// A request for `names`, with a fresh ECDSA P-256 key.
///
/// # Errors
/// [`PkiFailed`].
pub fn request(names: &[String]) -> Result<CertRequest, PkiFailed> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = subject_alt_names(names)?;
    let mut key = fresh_key()?;
    let request = params.serialize_request(&key).map_err(|_| PkiFailed::Library);
    let key_pem = Secret::new(key.serialize_pem());
    key.zeroize();
    Ok(CertRequest { der: request?.der().to_vec(), key_pem })
}

/// The certificate that answers a tls-alpn-01 challenge for `name` (RFC 8737 section 3), with a
/// fresh key: `digest` is the SHA-256 of the key authorization.
///
/// # Errors
/// [`PkiFailed`].
pub fn acme_challenge(
    name: &str,
    digest: &[u8; 32],
    (not_before, not_after): (Timestamp, Timestamp),
    rng: &dyn Rng,
) -> Result<IssuedCert, PkiFailed> {
    let mut params = params("acme challenge", not_before, not_after, rng)?;
    params.subject_alt_names = subject_alt_names(&[name.to_owned()])?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let mut key = fresh_key()?;
    let cert = params.self_signed(&key).map_err(|_| PkiFailed::Library);
    let key_pem = Secret::new(key.serialize_pem());
    key.zeroize();
    Ok(IssuedCert { cert_pem: cert?.pem(), key_pem })
}

fn fresh_key() -> Result<KeyPair, PkiFailed> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| PkiFailed::Library)
}

fn params(
    common_name: &str,
    not_before: Timestamp,
    not_after: Timestamp,
    rng: &dyn Rng,
) -> Result<CertificateParams, PkiFailed> {
    let chars = common_name.chars().count();
    if !(1..=COMMON_NAME_CHARS_MAX).contains(&chars) || common_name.chars().any(char::is_control) {
        return Err(PkiFailed::Name);
    }
    let [from, until] = [not_before.seconds(), not_after.seconds()];
    if from >= until || from < 0 || until > LAST_SECOND {
        return Err(PkiFailed::Time);
    }
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + Duration::from_secs(from.unsigned_abs());
    params.not_after = epoch + Duration::from_secs(until.unsigned_abs());
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    let mut serial: [u8; 16] = rng.array()?;
    // Positive, not zero and always of the same length.
    serial[0] = serial[0] & 0x3f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn subject_alt_names(names: &[String]) -> Result<Vec<SanType>, PkiFailed> {
    if !(1..=NAMES_MAX).contains(&names.len()) {
        return Err(PkiFailed::Name);
    }
    names
        .iter()
        .map(|name| {
            if let Ok(address) = name.parse::<IpAddr>() {
                return Ok(SanType::IpAddress(address));
            }
            if !is_dns_name(name) {
                return Err(PkiFailed::Name);
            }
            let name = Ia5String::try_from(name.to_ascii_lowercase());
            name.map(SanType::DnsName).map_err(|_| PkiFailed::Name)
        })
        .collect()
}

/// Labels of 1 to 63 letters, digits, hyphens and underscores (inner service names have them), 253
/// bytes at most, and `*` as a whole first label.
fn is_dns_name(name: &str) -> bool {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    let label_is_well_formed = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // A last label of digits only would be a mistyped IPv4 address.
    let numeric_end =
        rest.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && !numeric_end && rest.split('.').all(label_is_well_formed)
}
