//! Paths that lead to an authority and such that do not; made here, with OpenSSL's in `it`.

use std::time::Duration;

use keysherd_base::{SecretString, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};

use super::*;
use crate::pki::{ClientKey, serial_of_text};

const DAY: i64 = 86_400;
const NOW: Timestamp = Timestamp::from_seconds(1_767_607_872);

type Ca = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let at = |seconds: i64| {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.unsigned_abs())
    };
    params.not_before = at(NOW.seconds() - DAY);
    params.not_after = at(NOW.seconds() + DAY);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn root(params: CertificateParams) -> Ca {
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn client_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

fn issue(ca: &Ca, params: &CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, ca).unwrap().der().to_vec()
}

fn trusting(ca: &Ca) -> ClientAuthorities {
    ClientAuthorities::from_pem(&ca.pem()).unwrap()
}

fn refusal(authorities: &ClientAuthorities, chain: &[Vec<u8>], now: Timestamp) -> String {
    authorities.verify(chain, None, now).map(drop).unwrap_err().0
}

#[test]
fn a_certificate_of_the_authority_says_who_it_is() {
    let ca = root(ca_params("root"));
    let mut params = client_params("ops-7");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "ops");
    params.subject_alt_names = vec![
        SanType::DnsName("Host.Example.COM".try_into().unwrap()),
        SanType::Rfc822Name("A@example.com".try_into().unwrap()),
        SanType::URI("spiffe://x/y".try_into().unwrap()),
    ];
    params.serial_number = Some(vec![0, 0xa1, 0xb2].into());
    let client = trusting(&ca).verify(&[issue(&ca, &params)], None, NOW).unwrap();
    assert_eq!(client.names.common_names, ["ops-7"]);
    assert_eq!(client.names.organizational_units, ["ops"]);
    assert_eq!(client.names.dns, ["host.example.com"]);
    assert_eq!(client.names.emails, ["a@example.com"]);
    assert_eq!(client.names.uris, ["spiffe://x/y"]);
    assert_eq!(Some(client.names.serial), serial_of_text("00:A1:B2"));
    assert_eq!(client.not_after, NOW.plus_seconds(DAY));
}

#[test]
fn what_is_not_of_the_authority_or_not_for_clients_is_refused() {
    let (ca, other) = (root(ca_params("root")), root(ca_params("root")));
    let authorities = trusting(&ca);
    let good = issue(&ca, &client_params("c"));
    authorities.verify(std::slice::from_ref(&good), None, NOW).unwrap();

    let mut no_usage = client_params("c");
    no_usage.extended_key_usages.clear();
    let mut server = client_params("c");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut encipher = client_params("c");
    encipher.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    let mut invisible = client_params("c\u{0}.evil");
    invisible.subject_alt_names.clear();
    let mut authority = ca_params("c");
    authority.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    authority.key_usages.push(KeyUsagePurpose::DigitalSignature);
    let key = KeyPair::generate().unwrap();
    let self_signed = client_params("c").self_signed(&key).unwrap().der().to_vec();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (what, chain) in [
        ("no extended usage", vec![issue(&ca, &no_usage)]),
        ("for servers", vec![issue(&ca, &server)]),
        ("not for signatures", vec![issue(&ca, &encipher)]),
        ("a zero byte in the name", vec![issue(&ca, &invisible)]),
        ("an authority as client", vec![issue(&ca, &authority)]),
        ("another authority of the same name", vec![issue(&other, &client_params("c"))]),
        (
            "the other authority along",
            vec![issue(&other, &client_params("c")), other.der().to_vec()],
        ),
        ("signed by itself", vec![self_signed]),
        ("the authority's own", vec![ca.der().to_vec()]),
        ("a wrong signature", vec![flipped]),
        ("no certificate", vec![vec![0x30, 0]]),
        ("nothing", Vec::new()),
        ("too many", vec![good.clone(); CHAIN_MAX + 1]),
    ] {
        assert!(authorities.verify(&chain, None, NOW).is_err(), "{what}");
    }
    for at in [NOW.plus_seconds(-DAY - 1), NOW.plus_seconds(DAY + 1)] {
        assert!(refusal(&authorities, std::slice::from_ref(&good), at).contains("valid now"));
    }
}

#[test]
fn an_intermediate_authority_is_one_only_when_its_issuer_said_so() {
    let ca = root(ca_params("root"));
    let between = |params: CertificateParams| {
        CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &ca).unwrap()
    };
    let chain = |between: &Ca| vec![issue(between, &client_params("c")), between.der().to_vec()];
    let authorities = trusting(&ca);
    authorities.verify(&chain(&between(ca_params("sub"))), None, NOW).unwrap();
    let mut alone = chain(&between(ca_params("sub")));
    alone.pop();
    assert!(authorities.verify(&alone, None, NOW).is_err());

    let mut no_signing = ca_params("sub");
    no_signing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let mut elsewhere = ca_params("sub");
    elsewhere.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("inside.example".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    let elsewhere = between(elsewhere);
    let mut outside = client_params("c");
    outside.subject_alt_names = vec![SanType::DnsName("outside.example".try_into().unwrap())];
    let mut short = ca_params("sub");
    short.not_after = short.not_before + Duration::from_secs(60);
    for (what, chain) in [
        ("a client that issues", chain(&between(client_params("sub")))),
        ("an authority that may not sign", chain(&between(no_signing))),
        ("an authority that ended", chain(&between(short))),
        (
            "outside the names of its authority",
            vec![issue(&elsewhere, &outside), elsewhere.der().to_vec()],
        ),
    ] {
        assert!(authorities.verify(&chain, None, NOW).is_err(), "{what}");
    }
    let mut inside = client_params("c");
    inside.subject_alt_names = vec![SanType::DnsName("a.inside.example".try_into().unwrap())];
    authorities.verify(&[issue(&elsewhere, &inside), elsewhere.der().to_vec()], None, NOW).unwrap();
}

#[test]
fn settings_are_certificates_of_authorities() {
    let ca = root(ca_params("root"));
    let client = client_params("c").signed_by(&KeyPair::generate().unwrap(), &ca).unwrap().pem();
    for bad in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &client] {
        assert!(ClientAuthorities::from_pem(bad).is_err(), "{bad}");
    }
    assert!(ClientAuthorities::from_pem(&ca.pem().repeat(CHAIN_MAX + 1)).is_err());
    ClientAuthorities::from_pem(&format!("Subject: root\n{}", ca.pem())).unwrap();
}

#[test]
fn only_the_certificates_own_key_signs_for_it() {
    let ca = root(ca_params("root"));
    let kinds = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
    ];
    for kind in kinds {
        let [key, other] = [(); 2].map(|()| KeyPair::generate_for(kind).unwrap());
        let der = client_params("c").signed_by(&key, &ca).unwrap().der().to_vec();
        let client = trusting(&ca).verify(&[der], None, NOW).unwrap();
        let [key, other] = [key, other]
            .map(|pair| ClientKey::from_pem(&SecretString::new(pair.serialize_pem())).unwrap());
        let signature = key.sign(b"challenge").unwrap();
        assert!(client.signed(b"challenge", &signature), "{kind:?}");
        assert!(!client.signed(b"another", &signature), "{kind:?}");
        assert!(!client.signed(b"challenge", &other.sign(b"challenge").unwrap()), "{kind:?}");
        assert!(!client.signed(b"challenge", &[]), "{kind:?}");
    }
    for bad in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        assert!(ClientKey::from_pem(&SecretString::new(bad.to_owned())).is_err());
    }
}

#[test]
fn serial_numbers_have_one_spelling() {
    for (text, spelled) in [("0xA1b2", "a1b2"), ("00:01:ff", "1ff"), (" 7 ", "7"), ("0", "0")] {
        assert_eq!(serial_of_text(text).as_deref(), Some(spelled), "{text}");
    }
    for bad in ["", "0x", "xyz", "-1", &"a".repeat(65)] {
        assert_eq!(serial_of_text(bad), None, "{bad}");
    }
}
