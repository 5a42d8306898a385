//! Reading certificates: the key, the validity, and whether it is an authority's.

use keysherd_base::Timestamp;
use x509_parser::certificate::X509Certificate;

use super::PEM_BYTES_MAX;

/// The DER `SubjectPublicKeyInfo` of a certificate in DER, as it stands in there: hash it for a
/// pin, or read it with [`crate::sign::PublicKey::from_spki_der`]. `None` when `der` is not one
/// certificate and nothing else. The certificate is not verified.
pub fn certificate_spki(der: &[u8]) -> Option<&[u8]> {
    parse(der).map(|certificate| certificate.tbs_certificate.subject_pki.raw)
}

/// First and last second of a certificate in PEM; `None` when it cannot be read.
pub fn certificate_validity(pem: &str) -> Option<(Timestamp, Timestamp)> {
    certificate_validity_der(&der_of_pem(pem)?)
}

/// First and last second of a certificate in DER; `None` when it is not one certificate and
/// nothing else.
pub fn certificate_validity_der(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let validity = parse(der)?.validity().clone();
    let timestamp = |seconds| Timestamp::from_seconds(seconds);
    Some((timestamp(validity.not_before.timestamp()), timestamp(validity.not_after.timestamp())))
}

/// The common name of the first certificate in a PEM text; `None` when it has none.
pub fn certificate_common_name(pem: &str) -> Option<String> {
    let der = der_of_pem(pem)?;
    let certificate = parse(&der)?;
    let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

/// The DER of the first certificate in a PEM text; `None` when it begins with none. Nothing about
/// it is verified.
pub fn certificate_der(pem: &str) -> Option<Vec<u8>> {
    der_of_pem(pem)
}

/// The DER of the first certificate block of a PEM text.
pub(super) fn der_of_pem(pem: &str) -> Option<Vec<u8>> {
    if pem.len() > PEM_BYTES_MAX {
        return None;
    }
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    (block.label == "CERTIFICATE").then_some(block.contents)
}

/// Whether `der` is the certificate of an authority that may issue, and of the key `spki`.
pub(super) fn is_authority_with_key(der: &[u8], spki: &[u8]) -> bool {
    let Some(certificate) = parse(der) else {
        return false;
    };
    let may_sign = matches!(
        certificate.key_usage(),
        Ok(Some(usage)) if usage.value.key_cert_sign()
    );
    certificate.is_ca() && may_sign && certificate.tbs_certificate.subject_pki.raw == spki
}

pub(super) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    rest.is_empty().then_some(certificate)
}
