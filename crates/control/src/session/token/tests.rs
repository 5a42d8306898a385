//! The token body survives its encoding, and no other bytes are a body.

use super::*;

fn body() -> TokenBody {
    let mut claims = SubClaims::default();
    claims.0.insert("groups".to_owned(), vec!["ops".to_owned(), "dev".to_owned()]);
    claims.0.insert("empty".to_owned(), Vec::new());
    TokenBody {
        account: AccountId(Uid([7; 16])),
        method: 42,
        generation: 3,
        id: Uid([9; 16]),
        issued: Timestamp(1_000),
        expires: Timestamp(2_000),
        address: "192.0.2.7".parse().unwrap(),
        unique_id: "anna@example.com".to_owned(),
        claims,
    }
}

#[test]
fn encoding_and_back() {
    let mut body = body();
    assert_eq!(TokenBody::from_bytes(&body.to_bytes().unwrap()), Some(body.clone()));
    body.address = "2001:db8::1".parse().unwrap();
    body.claims = SubClaims::default();
    assert_eq!(TokenBody::from_bytes(&body.to_bytes().unwrap()), Some(body));
}

#[test]
fn a_prefix_or_an_extension_is_not_a_body() {
    let bytes = body().to_bytes().unwrap();
    for length in 0..bytes.len() {
        assert_eq!(TokenBody::from_bytes(&bytes[..length]), None, "{length} bytes");
    }
    assert_eq!(TokenBody::from_bytes(&[bytes.as_slice(), &[0]].concat()), None);
    let mut later = bytes;
    later[0] = 2;
    assert_eq!(TokenBody::from_bytes(&later), None);
}

#[test]
fn the_two_common_claims_cannot_be_overridden() {
    let mut body = body();
    body.claims.set(CLIENT_IP, "10.0.0.1");
    body.claims.set(CLIENT_UNIQUE_ID, "root");
    let all = body.all_claims();
    assert_eq!(all.values(CLIENT_IP), ["192.0.2.7"]);
    assert_eq!(all.values(CLIENT_UNIQUE_ID), ["anna@example.com"]);
    assert_eq!(all.values("groups"), ["ops", "dev"]);
}

#[test]
fn refuses_to_make_a_token_that_would_not_be_accepted() {
    let mut body = body();
    body.claims.set("groups", "g".repeat(BODY_BYTES_MAX));
    assert_eq!(body.to_bytes(), Err(TooManyClaims));
    body.claims.set("groups", "g".repeat(usize::from(u16::MAX) + 1));
    assert_eq!(body.to_bytes(), Err(TooManyClaims));
}
