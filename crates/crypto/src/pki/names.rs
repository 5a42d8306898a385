//! What a certificate says about its subject, as texts that may be compared.

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Any, FromDer, Tag};
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::x509::AttributeTypeAndValue;

use super::client::{ClientRefused, refuse};

/// Longest text of a certificate that counts, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;
/// Most texts of one kind.
const TEXTS_MAX: usize = 100;

/// The names of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientNames {
    /// Common names of the subject.
    pub common_names: Vec<String>,
    /// Organizations of the subject.
    pub organizations: Vec<String>,
    /// Organizational units of the subject.
    pub organizational_units: Vec<String>,
    /// Alternative names: DNS, in lower case.
    pub dns: Vec<String>,
    /// Alternative names: e-mail addresses, in lower case.
    pub emails: Vec<String>,
    /// Alternative names: URIs.
    pub uris: Vec<String>,
    /// Object identifiers in dots, of the extensions whose value is an ASN.1 text, with it.
    pub extensions: Vec<(String, String)>,
    /// The serial number in lower-case hex, without leading zeros.
    pub serial: String,
    /// Where its issuer publishes what it revoked.
    pub crl_urls: Vec<String>,
}

pub(super) fn names_of(certificate: &X509Certificate<'_>) -> Result<ClientNames, ClientRefused> {
    let subject = certificate.subject();
    let mut names = ClientNames {
        common_names: texts(subject.iter_common_name())?,
        organizations: texts(subject.iter_organization())?,
        organizational_units: texts(subject.iter_organizational_unit())?,
        serial: serial_text(certificate.raw_serial()),
        ..ClientNames::default()
    };
    let Ok(alternative) = certificate.subject_alternative_name() else {
        return refuse("its alternative names cannot be read");
    };
    for name in alternative.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(text) => names.dns.push(visible(text)?.to_ascii_lowercase()),
            GeneralName::RFC822Name(text) => names.emails.push(visible(text)?.to_ascii_lowercase()),
            GeneralName::URI(text) => names.uris.push(visible(text)?.to_owned()),
            GeneralName::Invalid(..) => return refuse("an alternative name cannot be read"),
            _ => {}
        }
    }
    for extension in certificate.extensions() {
        if let Some(text) = text_of(extension.value) {
            names.extensions.push((extension.oid.to_id_string(), visible(text)?.to_owned()));
        }
        if let ParsedExtension::CRLDistributionPoints(points) = extension.parsed_extension() {
            let names_of_points = points.iter().filter_map(|p| p.distribution_point.as_ref());
            for name in names_of_points {
                crl_urls(name, &mut names.crl_urls)?;
            }
        }
    }
    let many = [&names.dns, &names.emails, &names.uris, &names.crl_urls];
    if many.iter().any(|texts| texts.len() > TEXTS_MAX) || names.extensions.len() > TEXTS_MAX {
        return refuse(format!("it has more than {TEXTS_MAX} names of one kind"));
    }
    Ok(names)
}

fn crl_urls(name: &DistributionPointName<'_>, urls: &mut Vec<String>) -> Result<(), ClientRefused> {
    if let DistributionPointName::FullName(names) = name {
        for name in names {
            if let GeneralName::URI(url) = name {
                urls.push(visible(url)?.to_owned());
            }
        }
    }
    Ok(())
}

fn texts<'a>(
    attributes: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
) -> Result<Vec<String>, ClientRefused> {
    let mut texts = Vec::new();
    for attribute in attributes.take(TEXTS_MAX) {
        match attribute.as_str() {
            Ok(text) => texts.push(visible(text)?.to_owned()),
            Err(_) => return refuse("a name of its subject is no text that can be read"),
        }
    }
    Ok(texts)
}

/// A text that reads as what it is: a zero byte or a line break has cheated comparisons before.
fn visible(text: &str) -> Result<&str, ClientRefused> {
    if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return refuse("a name is too long or has control characters");
    }
    Ok(text)
}

/// The text of an ASN.1 string and nothing else.
fn text_of(der: &[u8]) -> Option<&str> {
    let (rest, any) = Any::from_der(der).ok()?;
    let is_text = [Tag::Utf8String, Tag::PrintableString, Tag::Ia5String].contains(&any.tag());
    if !rest.is_empty() || !is_text {
        return None;
    }
    std::str::from_utf8(any.data).ok()
}

/// A serial number in the one spelling it is compared in.
fn serial_text(raw: &[u8]) -> String {
    let text = hex::encode(raw);
    let text = text.trim_start_matches('0');
    if text.is_empty() { "0".to_owned() } else { text.to_owned() }
}

/// A serial number as people write it (`00:A1:b2`, `0xa1b2`), in the spelling of
/// [`ClientNames::serial`]; `None` when it is not one in hex.
pub fn serial_of_text(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase().replace([':', ' '], "");
    let digits = text.strip_prefix("0x").unwrap_or(&text);
    let fits = (1..=64).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_hexdigit());
    let digits = digits.trim_start_matches('0');
    fits.then(|| if digits.is_empty() { "0".to_owned() } else { digits.to_owned() })
}
