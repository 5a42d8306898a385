//! Certificates of clients: whether an authority vouches for them, what they say, and whether
//! their key made a signature.
//!
//! Paths are built and checked by webpki (RFC 5280: validity, basic constraints, name
//! constraints, extended key usage, no SHA-1, no RSA under 2,048 bits). What it leaves out is
//! checked here: key usage, the validity of the authority itself, and that no name has characters
//! that people cannot see.

use std::fmt;

use keysherd_base::Timestamp;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::aws_lc_rs as algorithms;
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::time::ASN1Time;

use super::PEM_BYTES_MAX;
use super::inspect::parse;
use super::names::{ClientNames, names_of};

#[cfg(test)]
mod tests;

/// Most certificates that a client presents, or that are trusted together.
pub const CHAIN_MAX: usize = 10;

/// With these a client may sign. Hashes that a curve is not usually combined with are here for
/// clients that hash with SHA-256 whatever their key is.
static OF_CLIENTS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P521_SHA256,
    algorithms::ECDSA_P521_SHA512,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
];

/// Why a certificate or a signature was not accepted. For the log: it says more than a client
/// should hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRefused(pub(super) String);

impl fmt::Display for ClientRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ClientRefused {}

pub(super) fn refuse<T>(why: impl Into<String>) -> Result<T, ClientRefused> {
    Err(ClientRefused(why.into()))
}

/// The DER of every certificate of a PEM text, in its order; other blocks are passed over. `None`
/// when there is none, more than [`CHAIN_MAX`], or a block that cannot be read.
pub fn certificates_of_pem(pem: &str) -> Option<Vec<Vec<u8>>> {
    if pem.len() > PEM_BYTES_MAX {
        return None;
    }
    let mut found = Vec::new();
    for block in x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()) {
        let block = block.ok()?;
        if block.label == "CERTIFICATE" {
            parse(&block.contents)?;
            found.push(block.contents);
        }
    }
    (1..=CHAIN_MAX).contains(&found.len()).then_some(found)
}

/// What an authority says that it revoked. Whether it is the authority that says so shows when a
/// certificate is checked against it.
#[derive(Debug)]
pub struct ClientCrl(CertRevocationList<'static>);

impl ClientCrl {
    /// Reads a list in DER or PEM.
    ///
    /// # Errors
    /// [`ClientRefused`] says what is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, ClientRefused> {
        let from_pem = || {
            let block = x509_parser::pem::Pem::iter_from_buffer(bytes).next()?.ok()?;
            (block.label == "X509 CRL").then_some(block.contents)
        };
        let from_pem = bytes.starts_with(b"-----BEGIN").then(from_pem).flatten();
        match OwnedCertRevocationList::from_der(from_pem.as_deref().unwrap_or(bytes)) {
            Ok(list) => Ok(Self(list.into())),
            Err(error) => refuse(format!("it is no list of revocations: {error}")),
        }
    }
}

/// Authorities whose word counts.
#[derive(Debug)]
pub struct ClientAuthorities(Vec<CertificateDer<'static>>);

impl ClientAuthorities {
    /// Reads their certificates from PEM.
    ///
    /// # Errors
    /// [`ClientRefused`] says which is no authority's.
    pub fn from_pem(pem: &str) -> Result<Self, ClientRefused> {
        let Some(found) = certificates_of_pem(pem) else {
            return refuse(format!("it is not 1 to {CHAIN_MAX} certificates in PEM"));
        };
        let mut authorities = Vec::new();
        for (number, der) in (1..).zip(found) {
            let issues = parse(&der).is_some_and(|certificate| may_issue(&certificate));
            let der = CertificateDer::from(der);
            if !issues || anchor_from_trusted_cert(&der).is_err() {
                return refuse(format!(
                    "certificate {number} of it is not one of an authority: it needs the basic \
                     constraint CA, and keyCertSign where it has a key usage"
                ));
            }
            authorities.push(der);
        }
        Ok(Self(authorities))
    }

    /// Checks the client's certificate, the first of `chain`, whose others may be intermediate.
    /// With `revocations`, its issuer must have signed it, and not list the certificate.
    ///
    /// # Errors
    /// [`ClientRefused`] says why.
    pub fn verify(
        &self,
        chain: &[Vec<u8>],
        revocations: Option<&ClientCrl>,
        now: Timestamp,
    ) -> Result<ClientCert, ClientRefused> {
        let Some((leaf, others)) = chain.split_first().filter(|_| chain.len() <= CHAIN_MAX) else {
            return refuse(format!("it is not 1 to {CHAIN_MAX} certificates"));
        };
        let Some(read) = parse(leaf) else {
            return refuse("the client's certificate cannot be read");
        };
        if matches!(read.key_usage(), Ok(Some(usage)) if !usage.value.digital_signature()) {
            return refuse("its key usage does not have digitalSignature");
        }
        // The path is checked for usages too, but there a missing list means any.
        if !matches!(read.extended_key_usage(), Ok(Some(usage)) if usage.value.client_auth) {
            return refuse("its extended key usage does not have clientAuth");
        }
        let names = names_of(&read)?;
        let intermediate: Vec<_> = others
            .iter()
            .filter(|der| parse(der).is_some_and(|certificate| may_issue(&certificate)))
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let leaf_der = CertificateDer::from(leaf.as_slice());
        self.verify_path(&leaf_der, &intermediate, revocations, now)?;
        let not_after = Timestamp::from_seconds(read.validity().not_after.timestamp());
        Ok(ClientCert { der: leaf.clone(), names, not_after })
    }

    fn verify_path(
        &self,
        leaf: &CertificateDer<'_>,
        intermediate: &[CertificateDer<'_>],
        revocations: Option<&ClientCrl>,
        now: Timestamp,
    ) -> Result<(), ClientRefused> {
        let Ok(at) = ASN1Time::from_timestamp(now.seconds()) else {
            return refuse("the time is out of range");
        };
        let alive = |der: &&CertificateDer<'_>| {
            parse(der).is_some_and(|certificate| certificate.validity().is_valid_at(at))
        };
        let alive = self.0.iter().filter(alive);
        let anchors: Vec<_> = alive.filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
        if anchors.is_empty() {
            return refuse("no authority of the method is valid now");
        }
        let since = std::time::Duration::from_secs(now.seconds().unsigned_abs());
        let end = EndEntityCert::try_from(leaf);
        let end = end.map_err(|error| ClientRefused(format!("cannot be read: {error}")))?;
        let usage = KeyUsage::client_auth();
        let now = UnixTime::since_unix_epoch(since);
        let accepted = webpki::ALL_VERIFICATION_ALGS;
        let lists: Vec<_> = revocations.iter().map(|list| &list.0).collect();
        // An outdated list, or one that is not about this certificate, is as bad as none.
        let options = RevocationOptionsBuilder::new(&lists).ok().map(|builder| {
            builder
                .with_depth(RevocationCheckDepth::EndEntity)
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        end.verify_for_usage(accepted, &anchors, intermediate, now, usage, options, None)
            .map(drop)
            .map_err(|error| ClientRefused(format!("no valid path to an authority: {error}")))
    }
}

fn may_issue(certificate: &X509Certificate<'_>) -> bool {
    let may_sign = match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    certificate.is_ca() && may_sign
}

/// A client's certificate that an authority vouches for.
#[derive(Clone, Debug)]
pub struct ClientCert {
    der: Vec<u8>,
    /// What it says about its subject.
    pub names: ClientNames,
    /// Its last second.
    pub not_after: Timestamp,
}

impl ClientCert {
    /// Whether its key signed `message`: RSA (PKCS #1 v1.5) and ECDSA (ASN.1) over SHA-256, or the
    /// hash of the curve's size; Ed25519.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let der = CertificateDer::from(self.der.as_slice());
        let Ok(end) = EndEntityCert::try_from(&der) else {
            return false;
        };
        OF_CLIENTS.iter().any(|by| end.verify_signature(*by, message, signature).is_ok())
    }
}
