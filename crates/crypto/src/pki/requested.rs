//! Certificate requests (PKCS #10) that somebody else made, whose key is theirs alone.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use super::NAMES_MAX;

/// Longest request, in bytes of PEM.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Shortest RSA key, and key on a curve, in bits.
const RSA_BITS_MIN: usize = 2_048;
const CURVE_BITS_MIN: usize = 256;

/// The attributes that ask for extensions: everybody's (RFC 2985), and Microsoft's.
const EXTENSIONS: [&str; 2] = ["1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14"];

/// The common name: what a subject may have.
const COMMON_NAME: &str = "2.5.4.3";
/// The attribute that has a password to revoke the certificate by (RFC 2985): it asks for nothing.
const CHALLENGE: &str = "1.2.840.113549.1.9.7";

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
/// of one who is no authority, for names of hosts. Its subject is a common name or nothing: what
/// else is in one, such as an organization, may give rights to whoever has the certificate.
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
    let mut names = common_name(&info.subject)?;
    check_attributes(&request)?;
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

/// The common name of a subject, in small letters; empty: it has none.
fn common_name(subject: &X509Name<'_>) -> Result<Vec<String>, &'static str> {
    let mut names = Vec::new();
    for part in subject.iter_rdn() {
        let mut values = part.iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err("has a part of its subject that is not one value");
        };
        match value.attr_type().to_id_string().as_str() {
            COMMON_NAME => {}
            "2.5.4.10" => return Err("has an organization (O) in its subject; only CN may be"),
            "2.5.4.11" => return Err("has a unit (OU) in its subject; only CN may be"),
            "2.5.4.5" => return Err("has a serialNumber in its subject; only CN may be"),
            "1.2.840.113549.1.9.1" => {
                return Err("has an emailAddress in its subject; only CN may be");
            }
            "0.9.2342.19200300.100.1.1" => return Err("has a UID in its subject; only CN may be"),
            "0.9.2342.19200300.100.1.25" => return Err("has a DC in its subject; only CN may be"),
            _ => return Err("has more in its subject than a common name (CN)"),
        }
        let name = value.as_str().map_err(|_| "has a name that is no text")?;
        names.push(name.to_ascii_lowercase());
    }
    match names.len() {
        0 | 1 => Ok(names),
        _ => Err("has more than one common name"),
    }
}

/// Refuses attributes that ask for something else than extensions, or for those in a way that an
/// authority may read otherwise than it is read here.
fn check_attributes(request: &X509CertificationRequest<'_>) -> Result<(), &'static str> {
    let mut asking = Vec::new();
    for attribute in request.certification_request_info.iter_attributes() {
        let id = attribute.oid.to_id_string();
        match id.as_str() {
            id if EXTENSIONS.contains(&id) => asking.push(attribute),
            CHALLENGE => {}
            _ => return Err("has an attribute that asks for something else than extensions"),
        }
    }
    let in_one_way = match asking.as_slice() {
        [] => true,
        [one] => is_one_set(one.value) && request.requested_extensions().is_some(),
        _ => false,
    };
    in_one_way.then_some(()).ok_or("asks for extensions in more than one way")
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
    fn a_subject_is_a_common_name_or_nothing() {
        let mail = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        let uid = DnType::CustomDnType(vec![0, 9, 2_342, 19_200_300, 100, 1, 1]);
        let second = DnType::CustomDnType(vec![2, 5, 4, 3]);
        for (of, value, why) in [
            (DnType::OrganizationName, "system:masters", "(O)"),
            (DnType::OrganizationalUnitName, "Admins", "(OU)"),
            (mail, "cfo@example.com", "emailAddress"),
            (uid, "root", "UID"),
            (DnType::CountryName, "CH", "(CN)"),
            (second, "b.example", "more than one common name"),
        ] {
            for with_common in [true, false] {
                let pem = made(&["a.example"], |params| {
                    if with_common {
                        params.distinguished_name.push(DnType::CommonName, "a.example");
                    }
                    params.distinguished_name.push(of.clone(), value);
                });
                let said = requested(&pem);
                let one_name = !with_common && why.contains("than one");
                assert_eq!(said.is_ok(), one_name, "{said:?}");
                assert!(one_name || said.unwrap_err().contains(why), "{why}");
            }
        }
        // Two values in one part of it: a set of two.
        let mut both = Vec::new();
        for (letter, text) in [(3, b"a.exampl"), (10, b"system:m")] {
            both.extend([0x30, 0x0f, 0x06, 0x03, 0x55, 0x04, letter, 0x0c, 0x08]);
            both.extend(text);
        }
        let part = [&[0x30, 0x24, 0x31, 0x22][..], &both].concat();
        let (_, name) = X509Name::from_der(&part).unwrap();
        assert_eq!(name.iter_attributes().count(), 2);
        assert_eq!(common_name(&name), Err("has a part of its subject that is not one value"));
    }

    #[test]
    fn extensions_are_asked_for_in_one_way() {
        // Nothing (a set of an empty list) in each of the two attributes.
        let empty = [0x31, 0x02, 0x30, 0x00];
        const OURS: &[u64] = &[1, 2, 840, 113_549, 1, 9, 14];
        const MICROSOFTS: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 2, 1, 14];
        const PASSWORD: &[u64] = &[1, 2, 840, 113_549, 1, 9, 7];
        // A name and a value for Microsoft's authority, and what anybody made up.
        const PAIR: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 13, 2, 1];
        const OTHER: &[u64] = &[1, 2, 3, 4];
        let pair = [0x31, 0x0a, 0x30, 0x08, 0x1e, 0x02, 0, b'S', 0x1e, 0x02, 0, b'A'];
        for (oid, values, fits) in [
            (OURS, &empty[..], false),
            (MICROSOFTS, &empty[..], false),
            (PASSWORD, &[0x31, 0x03, 0x0c, 0x01, b'p'][..], true),
            (PAIR, &pair[..], false),
            (OTHER, &[0x31, 0x03, 0x0c, 0x01, b'p'][..], false),
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
