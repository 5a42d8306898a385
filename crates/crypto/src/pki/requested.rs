//! Certificate requests (PKCS #10) that somebody else made, whose key is theirs alone.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

use super::NAMES_MAX;

/// Longest request, in bytes of PEM.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Shortest RSA key, and key on a curve, in bits.
const RSA_BITS_MIN: usize = 2_048;
const CURVE_BITS_MIN: usize = 256;

/// The attributes that ask for extensions: everybody's (RFC 2985), and Microsoft's.
const EXTENSIONS: [&str; 2] = ["1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14"];

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// The request in DER.
    pub der: Vec<u8>,
    /// Whom the certificate is for: the common name first, if there is one, then names of hosts in
    /// the order they have. In small letters, at least one.
    pub names: Vec<String>,
}

/// Reads a request in PEM that is signed with its own key and asks for nothing but a certificate
/// of one who is no authority, for names of hosts.
///
/// # Errors
/// What is wrong with it, to follow "the request".
pub fn requested(pem: &str) -> Result<Requested, &'static str> {
    const UNREAD: &str = "is none in PEM";
    if pem.len() > REQUEST_BYTES_MAX {
        return Err("has more than 16 KiB");
    }
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| UNREAD)?;
    if !["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"].contains(&block.label.as_str()) {
        return Err(UNREAD);
    }
    let der = block.contents;
    let read = X509CertificationRequest::from_der(&der).map_err(|_| UNREAD)?;
    let request = match read {
        ([], request) => request,
        _ => return Err(UNREAD),
    };
    request.verify_signature().map_err(|_| "is not signed with its own key")?;
    let info = &request.certification_request_info;
    match info.subject_pki.parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS_MIN => {
            return Err("has an RSA key of less than 2048 bits");
        }
        Ok(PublicKey::EC(point)) if point.key_size() < CURVE_BITS_MIN => {
            return Err("has a key on a curve of less than 256 bits");
        }
        Ok(PublicKey::DSA(_)) => return Err("has a DSA key"),
        Ok(_) => {}
        Err(_) => return Err("has a key that cannot be read"),
    }
    let common = info.subject.iter_common_name().map(|name| name.as_str());
    let mut names: Vec<String> = common
        .map(|name| name.map(str::to_ascii_lowercase).map_err(|_| "has a name that is no text"))
        .collect::<Result<_, _>>()?;
    if names.len() > 1 {
        return Err("has more than one common name");
    }
    let asking = info.iter_attributes().filter(|attribute| {
        let id = attribute.oid.to_id_string();
        EXTENSIONS.contains(&id.as_str())
    });
    let asking: Vec<_> = asking.collect();
    // An authority may look at another one than is looked at here.
    let in_one_way = match asking.as_slice() {
        [] => true,
        [one] => is_one_set(one.value) && request.requested_extensions().is_some(),
        _ => false,
    };
    if !in_one_way {
        return Err("asks for extensions in more than one way");
    }
    for extension in request.requested_extensions().into_iter().flatten() {
        names.extend(names_in(extension)?);
    }
    let mut known = std::collections::BTreeSet::new();
    names.retain(|name| known.insert(name.clone()));
    match names.len() {
        0 => Err("has no name"),
        1..=NAMES_MAX => Ok(Requested { names, der }),
        _ => Err("has more than 100 names"),
    }
}

/// Whether what was read of an attribute is all there is in it (X.690 section 8.1).
fn is_one_set(value: &[u8]) -> bool {
    match value {
        [_, length @ 0..=0x7f, content @ ..] => content.len() == usize::from(*length),
        [_, 0x81, length, content @ ..] => content.len() == usize::from(*length),
        [_, 0x82, high, low, content @ ..] => {
            content.len() == usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => false,
    }
}

/// The names that an extension asks for.
fn names_in(extension: &ParsedExtension<'_>) -> Result<Vec<String>, &'static str> {
    match extension {
        ParsedExtension::SubjectAlternativeName(given) => {
            let name = |name: &GeneralName<'_>| match name {
                GeneralName::DNSName(name) => Ok(name.to_ascii_lowercase()),
                _ => Err("asks for names that are not those of hosts"),
            };
            given.general_names.iter().map(name).collect()
        }
        ParsedExtension::BasicConstraints(about) if !about.ca => Ok(Vec::new()),
        ParsedExtension::BasicConstraints(_) => Err("asks for the certificate of an authority"),
        ParsedExtension::KeyUsage(usage) if usage.key_cert_sign() || usage.crl_sign() => {
            Err("asks for the certificate of an authority")
        }
        ParsedExtension::KeyUsage(_)
        | ParsedExtension::ExtendedKeyUsage(_)
        | ParsedExtension::SubjectKeyIdentifier(_) => Ok(Vec::new()),
        _ => Err("asks for more than names and uses of its key"),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        Attribute, BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose,
        SanType,
    };

    use super::*;

    fn made(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> String {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
    }

    #[test]
    fn names_are_read_and_told_once() {
        let pem = made(&["a.example", "B.example"], |params| {
            params.distinguished_name.push(DnType::CommonName, "b.Example");
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        });
        let read = requested(&pem).unwrap();
        assert_eq!(read.names, ["b.example", "a.example"]);
        assert!(X509CertificationRequest::from_der(&read.der).is_ok());
    }

    #[test]
    fn what_asks_for_more_or_is_none_is_refused() {
        let address = |params: &mut CertificateParams| {
            params.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
        };
        let authority = |params: &mut CertificateParams| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        };
        let signs = |params: &mut CertificateParams| {
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        };
        let many: Vec<_> = (0..=NAMES_MAX).map(|number| format!("a{number}.example")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        for (pem, why) in [
            (made(&[], |_| {}), "no name"),
            (made(&["a.example"], address), "hosts"),
            (made(&["a.example"], authority), "authority"),
            (made(&["a.example"], signs), "authority"),
            (made(&many, |_| {}), "100"),
            ("canary".to_owned(), "PEM"),
            ("a".repeat(REQUEST_BYTES_MAX + 1), "16 KiB"),
        ] {
            let said = requested(&pem).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        // Its names are changed, so the signature is of another request.
        let whole = made(&["a.example"], |_| {});
        let (_, block) = x509_parser::pem::parse_x509_pem(whole.as_bytes()).unwrap();
        let mut der = block.contents;
        let at = der.windows(9).position(|part| part == b"a.example").unwrap();
        der[at] = b'z';
        let changed = pem_of(&der);
        assert_eq!(requested(&changed), Err("is not signed with its own key"));
        let certificate = whole.replace("CERTIFICATE REQUEST", "CERTIFICATE");
        assert!(requested(&certificate).is_err());
    }

    #[test]
    fn extensions_are_asked_for_in_one_way() {
        // Nothing (a set of an empty list) in each of the two attributes.
        let empty = [0x31, 0x02, 0x30, 0x00];
        const OURS: &[u64] = &[1, 2, 840, 113_549, 1, 9, 14];
        const MICROSOFTS: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 2, 1, 14];
        const PASSWORD: &[u64] = &[1, 2, 840, 113_549, 1, 9, 7];
        for (oid, values, fits) in [
            (OURS, &empty[..], false),
            (MICROSOFTS, &empty[..], false),
            (PASSWORD, &[0x31, 0x03, 0x0c, 0x01, b'p'][..], true),
        ] {
            let names = vec!["a.example".to_owned()];
            let params = CertificateParams::new(names).unwrap();
            let more = vec![Attribute { oid, values: values.to_vec() }];
            let key = KeyPair::generate().unwrap();
            let request = params.serialize_request_with_attributes(&key, more).unwrap();
            assert_eq!(requested(&request.pem().unwrap()).is_ok(), fits, "{oid:?}");
        }
    }

    #[test]
    fn what_follows_in_an_attribute_is_not_overlooked() {
        let one = [0x31, 0x02, 0x30, 0x00];
        assert!(is_one_set(&one));
        // A set that goes on after what was read of it.
        for longer in [&[0x31, 0x04, 0x30, 0x00][..], &[0x31, 0x81, 0x04, 0x30, 0x00], &[0x31]] {
            assert!(!is_one_set(longer), "{longer:?}");
        }
        assert!(is_one_set(&[0x31, 0x82, 0x00, 0x02, 0x30, 0x00]));
    }

    fn pem_of(der: &[u8]) -> String {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
    }
}
