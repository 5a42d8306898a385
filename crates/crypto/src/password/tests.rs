//! RFC 9106 section 5.3, a vector of this use made with a second implementation, and bounds.

use argon2::{AssociatedData, ParamsBuilder};
use proptest::prelude::*;

use super::*;

fn password(text: &str) -> SecretString {
    SecretString::new(text.to_owned())
}

#[test]
fn rfc_9106_argon2id() {
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let argon2 =
        Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut tag = [0; 32];
    argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
    assert_eq!(
        hex::encode(tag),
        "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
    );
}

#[test]
fn the_default_parameters_match_a_second_implementation() {
    let salt = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let password = password("correct horse battery staple");
    let seed = derive_seed(&password, &salt, PasswordParams::default()).unwrap();
    assert_eq!(
        hex::encode(seed.expose()),
        "818259b6310026a8e0dbac5d2e6927abcfdb07b32258fac4f61b18b80f929085"
    );
    let other = derive_seed(&password, &[0; 16], PasswordParams::default()).unwrap();
    assert_ne!(other.expose(), seed.expose());
}

#[test]
fn refuses_passwords_of_no_or_too_many_bytes() {
    for text in [String::new(), "x".repeat(PASSWORD_BYTES_MAX + 1)] {
        let seed = derive_seed(&password(&text), &[0; 16], PasswordParams::default());
        assert_eq!(seed.unwrap_err(), DeriveFailed::Password);
    }
}

#[test]
fn refuses_parameters_out_of_bounds_before_any_work() {
    let good = PasswordParams::default();
    let bad = [
        PasswordParams { memory_kib: 19_455, ..good },
        PasswordParams { memory_kib: u32::MAX, ..good },
        PasswordParams { iterations: 1, ..good },
        PasswordParams { iterations: 17, ..good },
        PasswordParams { parallelism: 0, ..good },
        PasswordParams { parallelism: 9, ..good },
    ];
    for params in bad {
        let seed = derive_seed(&password("x"), &[0; 16], params);
        assert_eq!(seed.unwrap_err(), DeriveFailed::Params, "{params}");
        assert_eq!(PasswordParams::parse(&params.to_string()), None, "{params}");
    }
}

#[test]
fn parameters_have_one_spelling() {
    let params = PasswordParams { memory_kib: 65_536, iterations: 3, parallelism: 4 };
    assert_eq!(params.to_string(), "m=65536,t=3,p=4");
    assert_eq!(PasswordParams::parse("m=65536,t=3,p=4"), Some(params));
    for bad in [
        "",
        "m=65536",
        "m=65536,t=3",
        "m=65536,t=3,p=4,",
        "m=65536,t=3,p=4,x=1",
        "t=3,m=65536,p=4",
        "m=065536,t=3,p=4",
        "m=+65536,t=3,p=4",
        "m=65536, t=3,p=4",
        "m=65536,t=3,p=",
        "m=x,t=3,p=4",
        "m=99999999999999999999,t=3,p=4",
    ] {
        assert_eq!(PasswordParams::parse(bad), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_read_without_a_panic(
        text: String,
        near in "m=[0-9]{0,8},t=[0-9]{0,3},p=[0-9]{0,2}",
    ) {
        for text in [text, near] {
            if let Some(params) = PasswordParams::parse(&text) {
                prop_assert_eq!(params.to_string(), text);
            }
        }
    }
}
