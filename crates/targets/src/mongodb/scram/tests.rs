//! The exchange that RFC 7677 section 3 shows, and servers that lie.

use super::*;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const CHALLENGE: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

fn pencil() -> SecretString {
    SecretString::new("pencil".to_owned())
}

#[test]
fn the_exchange_is_the_published_one() {
    let scram = Scram::with_nonce("user", NONCE.to_owned());
    assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let (answer, expected) = scram.answer(CHALLENGE.as_bytes(), &pencil()).unwrap();
    let wanted = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                  p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    assert_eq!(String::from_utf8(answer).unwrap(), wanted);
    assert!(expected.is_proven_by(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    for lie in ["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "v=", "", "e=other-error", "x"] {
        assert!(!expected.is_proven_by(lie.as_bytes()), "{lie}");
    }
}

#[test]
fn a_name_cannot_begin_another_part() {
    let scram = Scram::with_nonce("a,r=x=", "n".to_owned());
    assert_eq!(scram.first(), b"n,,n=a=2Cr=3Dx=3D,r=n");
}

#[test]
fn challenges_of_somebody_else_or_with_too_little_or_too_much_work_are_refused() {
    let scram = Scram::with_nonce("user", NONCE.to_owned());
    let salt = "s=W22ZaJ0SNY7soEsUEjb6gQ==";
    for bad in [
        format!("r=other,{salt},i=4096"),
        // Its own words only, said back.
        format!("r={NONCE},{salt},i=4096"),
        format!("r={NONCE}x,{salt},i=4095"),
        format!("r={NONCE}x,{salt},i=200001"),
        format!("r={NONCE}x,{salt},i=99999999999"),
        format!("r={NONCE}x,s=,i=4096"),
        format!("r={NONCE}x,s=?,i=4096"),
        format!("r={NONCE}x,{salt}"),
        format!("r={NONCE}{},{salt},i=4096", "x".repeat(MESSAGE_BYTES_MAX)),
        String::new(),
    ] {
        assert!(scram.answer(bad.as_bytes(), &pencil()).is_none(), "{bad}");
    }
    assert!(scram.answer(&[0xff, 0xfe], &pencil()).is_none());
}
