//! What issued certificates contain and who signed them, and what is refused.

use proptest::prelude::*;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;

use super::*;
use crate::random::SystemRng;
use crate::sign::PublicKey;

const FROM: Timestamp = Timestamp::from_seconds(1_767_607_872);
const UNTIL: Timestamp = Timestamp::from_seconds(1_767_607_872 + 86_400);

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn ca() -> LocalCa {
    LocalCa::create("Keysherd local CA", FROM, UNTIL, &SystemRng).unwrap()
}

fn parsed(der: &[u8]) -> X509Certificate<'_> {
    x509_parser::parse_x509_certificate(der).unwrap().1
}

fn key_ids(certificate: &X509Certificate<'_>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let (mut subject, mut authority) = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => subject = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                authority = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            _ => {}
        }
    }
    (subject, authority)
}

#[test]
fn the_authority_is_one_and_may_issue_leaves_only() {
    let ca = ca();
    let der = inspect::der_of_pem(ca.cert_pem()).unwrap();
    let certificate = parsed(&der);
    certificate.verify_signature(None).unwrap();
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = certificate.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
    assert!(!usage.value.digital_signature());
    let (subject, authority) = key_ids(&certificate);
    assert!(subject.is_some());
    assert_eq!(subject, authority);
    assert_eq!(certificate.subject().to_string(), "CN=Keysherd local CA");
    assert_eq!(certificate_validity(ca.cert_pem()), Some((FROM, UNTIL)));
}

#[test]
fn a_server_certificate_is_signed_by_the_authority_and_names_the_server() {
    let ca = ca();
    let wanted = names(&["Example.test", "*.example.test", "localhost", "127.0.0.1", "::1"]);
    let issued = ca.issue_server(&wanted, FROM, UNTIL, &SystemRng).unwrap();
    assert!(issued.key_pem.expose().starts_with("-----BEGIN PRIVATE KEY-----"));
    let (ca_der, der) = (
        inspect::der_of_pem(ca.cert_pem()).unwrap(),
        inspect::der_of_pem(&issued.cert_pem).unwrap(),
    );
    let (authority, certificate) = (parsed(&ca_der), parsed(&der));
    certificate.verify_signature(Some(authority.public_key())).unwrap();
    assert_eq!(certificate.issuer(), authority.subject());
    assert_eq!(key_ids(&certificate).1, key_ids(&authority).0);
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && !constraints.value.ca);
    let usage = certificate.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.digital_signature());
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && !extended.client_auth && !extended.any);
    let san = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(
        san.value.general_names,
        [
            GeneralName::DNSName("example.test"),
            GeneralName::DNSName("*.example.test"),
            GeneralName::DNSName("localhost"),
            GeneralName::IPAddress(&[127, 0, 0, 1]),
            GeneralName::IPAddress(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ]
    );
}

#[test]
fn serial_numbers_are_random_positive_and_within_20_bytes() {
    let ca = ca();
    let serials: std::collections::HashSet<Vec<u8>> = (0..4)
        .map(|_| ca.issue_server(&names(&["a.test"]), FROM, UNTIL, &SystemRng).unwrap())
        .map(|issued| inspect::der_of_pem(&issued.cert_pem).unwrap())
        .map(|der| parsed(&der).raw_serial().to_vec())
        .collect();
    assert_eq!(serials.len(), 4);
    assert!(serials.iter().all(|serial| serial.len() == 16 && serial[0] < 0x80));
}

#[test]
fn an_authority_comes_back_from_its_pem() {
    let ca = ca();
    let again = LocalCa::from_pem(ca.cert_pem(), &ca.key_pem()).unwrap();
    assert_eq!(again.cert_pem(), ca.cert_pem());
    let issued = again.issue_server(&names(&["a.test"]), FROM, UNTIL, &SystemRng).unwrap();
    let (ca_der, der) = (
        inspect::der_of_pem(ca.cert_pem()).unwrap(),
        inspect::der_of_pem(&issued.cert_pem).unwrap(),
    );
    let authority = parsed(&ca_der);
    parsed(&der).verify_signature(Some(authority.public_key())).unwrap();
    assert_eq!(key_ids(&parsed(&der)).1, key_ids(&authority).0);
}

#[test]
fn refuses_an_authority_that_is_none_or_has_another_key() {
    let (one, two) = (ca(), ca());
    let failed = |cert: &str, key: &SecretString| LocalCa::from_pem(cert, key).unwrap_err();
    assert_eq!(failed(one.cert_pem(), &two.key_pem()), PkiFailed::Mismatch);
    let leaf = one.issue_server(&names(&["a.test"]), FROM, UNTIL, &SystemRng).unwrap();
    assert_eq!(failed(&leaf.cert_pem, &leaf.key_pem), PkiFailed::Mismatch);
    assert_eq!(failed("", &one.key_pem()), PkiFailed::Pem);
    assert_eq!(failed(one.cert_pem(), &Secret::new(String::new())), PkiFailed::Pem);
    assert_eq!(failed(one.key_pem().expose(), &one.key_pem()), PkiFailed::Pem);
    let long = "x".repeat(PEM_BYTES_MAX + 1);
    assert_eq!(failed(&long, &one.key_pem()), PkiFailed::Pem);
}

#[test]
fn refuses_names_and_times_that_make_no_certificate() {
    let ca = ca();
    let issue = |list: &[String], from, until| ca.issue_server(list, from, until, &SystemRng);
    for bad in [
        "",
        ".",
        "a..b",
        "-a.test",
        "a-.test",
        "a b.test",
        "*",
        "*.",
        "a.*.test",
        "http://a.test",
        "a.test:443",
        "ä.test",
        "256.1.1.1",
        "1.2.3",
        "[::1]",
        "a.test\n",
    ] {
        let result = issue(&names(&[bad]), FROM, UNTIL);
        assert_eq!(result.unwrap_err(), PkiFailed::Name, "{bad:?}");
    }
    assert_eq!(issue(&[], FROM, UNTIL).unwrap_err(), PkiFailed::Name);
    let many = vec!["a.test".to_owned(); NAMES_MAX + 1];
    assert_eq!(issue(&many, FROM, UNTIL).unwrap_err(), PkiFailed::Name);
    let good = names(&["a.test"]);
    for (from, until) in [
        (UNTIL, FROM),
        (FROM, FROM),
        (Timestamp(-1), UNTIL),
        (FROM, Timestamp::from_seconds(LAST_SECOND + 1)),
        (Timestamp(i64::MIN), Timestamp(i64::MAX)),
    ] {
        assert_eq!(issue(&good, from, until).unwrap_err(), PkiFailed::Time);
    }
    let last = Timestamp::from_seconds(LAST_SECOND);
    let issued = issue(&good, FROM, last).unwrap();
    assert_eq!(certificate_validity(&issued.cert_pem), Some((FROM, last)));
    for bad in ["", "a\nb", &"x".repeat(65)] {
        let result = LocalCa::create(bad, FROM, UNTIL, &SystemRng);
        assert_eq!(result.unwrap_err(), PkiFailed::Name, "{bad:?}");
    }
}

#[test]
fn a_self_signed_certificate_carries_the_signing_key() {
    let key = SigningKey::generate(&SystemRng).unwrap();
    let list = names(&["kfm-1.test"]);
    let issued = self_signed(&key, "kfm 1", &list, FROM, UNTIL, &SystemRng).unwrap();
    assert_eq!(issued.key_pem.expose(), key.pkcs8_pem().expose());
    let der = inspect::der_of_pem(&issued.cert_pem).unwrap();
    let spki = certificate_spki(&der).unwrap();
    assert_eq!(PublicKey::from_spki_der(spki), Some(key.public()));
    assert_eq!(crate::hash::sha256(&[spki]), key.public().spki_sha256());
    let certificate = parsed(&der);
    certificate.verify_signature(None).unwrap();
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && extended.client_auth);
}

#[test]
fn a_certificate_with_bytes_behind_it_is_none() {
    let der = inspect::der_of_pem(ca().cert_pem()).unwrap();
    assert!(certificate_spki(&der).is_some());
    assert!(certificate_spki(&[der.as_slice(), &[0]].concat()).is_none());
    assert!(certificate_spki(&der[..der.len() - 1]).is_none());
}

proptest! {
    #[test]
    fn arbitrary_certificates_are_read_without_a_panic(
        bytes: Vec<u8>,
        edits in proptest::collection::vec((0..500_usize, any::<u8>()), 0..4),
    ) {
        prop_assert!(certificate_spki(&bytes).is_none());
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(certificate_validity(&text).is_none());
        let key = Secret::new(text.clone().into_owned());
        prop_assert!(LocalCa::from_pem(&text, &key).is_err());

        let key = SigningKey::from_seed(&Secret::new([1; 32]));
        let issued =
            self_signed(&key, "x", &["a.test".to_owned()], FROM, UNTIL, &SystemRng).unwrap();
        let mut der = inspect::der_of_pem(&issued.cert_pem).unwrap();
        for (at, byte) in edits {
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
        }
        if let Some(spki) = certificate_spki(&der) {
            prop_assert!(spki.len() < der.len());
        }
    }
}

#[test]
fn a_request_is_for_its_names_and_has_a_key_of_its_own() {
    use x509_parser::prelude::{FromDer as _, X509CertificationRequest};
    let made = request(&names(&["gw.example.com", "gw2.example.com"])).unwrap();
    let (rest, read) = X509CertificationRequest::from_der(&made.der).unwrap();
    assert!(rest.is_empty());
    let mut asked = read.requested_extensions().unwrap();
    let asked = asked.find_map(|extension| match extension {
        ParsedExtension::SubjectAlternativeName(names) => Some(names.general_names.clone()),
        _ => None,
    });
    let wanted = ["gw.example.com", "gw2.example.com"].map(GeneralName::DNSName);
    assert_eq!(asked.unwrap(), wanted);
    let key = KeyPair::from_pem(made.key_pem.expose()).unwrap();
    let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
    assert_eq!(read.certification_request_info.subject_pki.raw, spki);
    let other = request(&names(&["gw.example.com"])).unwrap();
    assert_ne!(other.key_pem.expose(), made.key_pem.expose());
    assert!(request(&[]).is_err() && request(&names(&["no name"])).is_err());
}

/// RFC 8737 section 3: the name, and the digest in a critical extension.
#[test]
fn a_proof_has_the_name_and_the_digest_of_its_challenge() {
    let digest: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let made = acme_challenge("gw.example.com", &digest, (FROM, UNTIL), &SystemRng).unwrap();
    let der = inspect::der_of_pem(&made.cert_pem).unwrap();
    let certificate = parsed(&der);
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::DNSName("gw.example.com")]);
    let mut extensions = certificate.extensions().iter();
    let found = extensions.find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
    assert!(found.critical);
    // An OCTET STRING of 32 bytes.
    assert_eq!(found.value, [&[0x04, 0x20][..], &digest].concat());
    assert!(acme_challenge("no name", &digest, (FROM, UNTIL), &SystemRng).is_err());
}
