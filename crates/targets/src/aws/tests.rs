//! Where AWS is asked, and that nothing in a setting makes it another place or another question.

use super::*;

#[test]
fn a_region_leads_nowhere_else() {
    let region = |text: &'static str| need_region(&Named::none("region").with(Some(text)));
    for good in ["us-east-2", "cn-north-1", "us-gov-west-1"] {
        assert_eq!(region(good).unwrap(), good);
    }
    for bad in ["", "evil.example/", "x#", "US-EAST-1", "a.b", "a\nb", "\u{e9}", "@evil"] {
        assert!(region(bad).is_err(), "{bad:?}");
    }
    assert_eq!(sts_of("eu-central-1"), "sts.eu-central-1.amazonaws.com");
    assert_eq!(sts_of("cn-north-1"), "sts.cn-north-1.amazonaws.com.cn");
    assert_eq!(iam_of("cn-north-1").1, "cn-north-1");
    assert_eq!(iam_of("eu-central-1"), ("iam.amazonaws.com", "us-east-1"));
}

#[test]
fn names_of_roles_and_policies_are_told_from_others() {
    for good in ["arn:aws:iam::123456789012:role/a", "arn:aws-cn:iam::1:role/path/x+=,.@_-"] {
        assert!(is_role(good) && !is_policy(good), "{good}");
    }
    assert!(is_policy("arn:aws:iam::aws:policy/ReadOnlyAccess"));
    for bad in [
        "",
        "role/a",
        "arn:aws:iam::1:role/",
        "arn:aws:iam::1:user/a",
        "arn:aws:s3::1:role/a",
        "arn:aws:iam::1:role/a b",
        "arn:aws:iam::1:role/a&Action=DeleteUser",
        "arn:aws:iam::1:role/a\nb",
        "arn:evil:iam::1:role/a",
    ] {
        assert!(!is_role(bad), "{bad:?}");
    }
}

#[test]
fn no_value_becomes_another_parameter() {
    let hostile = "a&Action=DeleteUser&UserName=root=#;%26+ \u{e9}\n";
    let made = form([("Action", "CreateUser"), ("Version", "1"), ("UserName", hostile)]);
    let url = reqwest::Url::parse(&format!("http://x/?{}", made.expose())).unwrap();
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let want = [pair("Action", "CreateUser"), pair("Version", "1"), pair("UserName", hostile)];
    assert_eq!(pairs, want);
}
