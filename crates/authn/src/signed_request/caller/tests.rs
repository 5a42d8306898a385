//! Settings, and whom they admit.

use serde_json::json;

use super::*;

fn settings(bounds: &[(&str, &str)]) -> CallerSettings {
    let mut settings = CallerSettings {
        sts_url: "https://sts.amazonaws.com".to_owned(),
        unique_identifier: None,
        bounds: Default::default(),
    };
    for (claim, bound) in bounds {
        let place = CLAIMS.iter().position(|name| name == claim).unwrap();
        settings.bounds[place].push((*bound).to_owned());
    }
    settings
}

fn checked(settings: &CallerSettings) -> bool {
    CallerSettings::checked(&serde_json::to_string(settings).unwrap()).is_ok()
}

#[test]
fn settings_are_checked() {
    let account = ("account_id", "123456789012");
    assert!(checked(&settings(&[account, ("arn", "arn:aws:*")])));
    assert!(checked(&settings(&[("arn", "arn:aws:iam::123456789012:user/*")])));
    for open in [
        vec![],
        vec![("role_name", "deploy")],
        vec![("account_id", "*")],
        vec![("account_id", "1"), ("account_id", "????????????")],
        vec![account, ("role_name", "")],
    ] {
        assert!(!checked(&settings(&open)), "{open:?}");
    }
    for url in ["http://sts.amazonaws.com", "https://a@b.example", "https://b.example/path", "x"] {
        let other = CallerSettings { sts_url: url.to_owned(), ..settings(&[account]) };
        assert!(!checked(&other), "{url}");
    }
    let named = |name: &str| {
        let unique_identifier = Some(name.to_owned());
        CallerSettings { unique_identifier, ..settings(&[account]) }
    };
    assert!(checked(&named("role_id")) && !checked(&named("shoe_size")));
    let shown = named("role_id").show();
    assert_eq!(shown["account_id"], json!(["123456789012"]));
    assert_eq!(shown["unique_identifier"], "role_id");
}

#[test]
fn every_list_that_is_given_must_admit() {
    let mut claims = SubClaims::default();
    claims.set("account_id", "123456789012");
    claims.set("arn", "arn:aws:sts::123456789012:assumed-role/deploy/i-1");
    claims.set("role_name", "deploy");
    let account = ("account_id", "123456789012");
    for (bounds, admitted) in [
        (vec![account], true),
        (vec![account, ("arn", "arn:aws:sts::123456789012:assumed-role/deploy/*")], true),
        (vec![account, ("role_name", "build"), ("role_name", "dep*")], true),
        (vec![("account_id", "999999999999")], false),
        (vec![account, ("role_name", "build")], false),
        (vec![account, ("user_name", "*")], false),
        (vec![account, ("arn", "arn:aws:sts::123456789012:assumed-role/deploy")], false),
    ] {
        assert_eq!(settings(&bounds).admit(claims.clone()).is_ok(), admitted, "{bounds:?}");
    }
}
