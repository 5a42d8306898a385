//! Which accounts are read, and what signs in there.

use super::*;
use crate::testing::way;

fn account<'a>(
    name: &'a str,
    key: Option<&'a str>,
    password: Option<&'a str>,
) -> Result<Account, Fault> {
    let given = Given {
        account: Named::none("account").with(Some(name)),
        user: Named::none("account-username").with(Some("Keeper@x")),
        password: Named::none("account-password").with(password),
        key: Named::none("private-key").with(key),
        passphrase: Named::none("private-key-passphrase"),
        database: Named::none("db-name"),
    };
    Account::new(&given, None)
}

fn key() -> SecretString {
    keysherd_crypto::rsa::RsaPair::generate().unwrap().private_pem
}

#[test]
fn accounts_have_their_own_address_and_nothing_else_is_one() {
    for (name, place, own) in [
        ("myorg-account", "myorg-account.snowflakecomputing.com:443", "MYORG-ACCOUNT"),
        ("MyOrg-My_Acc", "myorg-my-acc.snowflakecomputing.com:443", "MYORG-MY_ACC"),
        ("xy12345.us-east-1", "xy12345.us-east-1.snowflakecomputing.com:443", "XY12345"),
        ("x.privatelink", "x.privatelink.snowflakecomputing.com:443", "X"),
        ("x.snowflakecomputing.com", "x.snowflakecomputing.com:443", "X"),
    ] {
        let made = account(name, None, Some("token")).unwrap();
        assert_eq!((made.place().as_str(), made.name.as_str()), (place, own));
        assert!(made.warning().is_none());
    }
    for bad in [
        "",
        "evil.example/",
        "evil.example#",
        "a b",
        "a@b",
        "a:1",
        "..",
        "a..b",
        "-a",
        "https://evil.example",
        "a\n",
        &"a".repeat(256),
    ] {
        let fault = account(bad, None, Some("token")).err().unwrap();
        assert!(fault.public().contains("'account'"), "{bad}: {fault}");
    }
}

#[test]
fn a_key_signs_a_token_for_a_while_that_names_key_account_and_user() {
    let key = key();
    let made = account("myorg-account", Some(key.expose()), None).unwrap();
    let (token, kind) = made.token(&way()).unwrap();
    assert_eq!(kind, "KEYPAIR_JWT");
    let claims = token.expose().split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let issuer = claims["iss"].as_str().unwrap();
    assert_eq!(claims["sub"], "MYORG-ACCOUNT.KEEPER@X");
    let print = issuer.strip_prefix("MYORG-ACCOUNT.KEEPER@X.SHA256:").unwrap();
    assert_eq!(STANDARD.decode(print).unwrap(), sha256(&[&public_der(&key).unwrap()]));
    let (begin, end) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!((begin, end - begin), (1_767_607_872 - SKEW_SECONDS, TOKEN_SECONDS));
}

#[test]
fn what_signs_nobody_in_is_refused_without_being_repeated() {
    for (key, password, named) in [
        (Some("canary"), None, "private-key"),
        (Some("-----BEGIN ENCRYPTED PRIVATE KEY-----\ncanary\n-----END"), None, "private-key"),
        (None, None, "private-key"),
        (None, Some("canary x"), "account-password"),
    ] {
        let fault = account("a", key, password).err().unwrap();
        assert!(fault.public().contains(named), "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}
