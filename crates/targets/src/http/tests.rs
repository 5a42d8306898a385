//! Where requests go, and what is an address.

use keysherd_wire::{Field, Text};

use super::*;
use crate::Settings;
use crate::testing::way;

const URL: Field<Text> = Field::text("url", "Where.");
const FIELDS: &keysherd_wire::Group = &keysherd_wire::Group { title: "T", fields: &[URL.spec()] };

fn base() -> Url {
    Url::parse("https://host.example:8443/api/").unwrap()
}

#[test]
fn a_name_is_one_segment_whatever_is_in_it() {
    for (name, want) in [
        ("user", "user"),
        ("/", "%2F"),
        ("a/../b", "a%2F..%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("%2e%2e", "%252e%252e"),
        ("a b;'\"\\$", "a%20b;'%22%5C$"),
        ("\u{e9}", "%C3%A9"),
    ] {
        let url = below(&base(), &["users", name], &[]).unwrap();
        assert_eq!(url.as_str(), format!("https://host.example:8443/api/users/{want}"));
        assert_eq!(url.path_segments().unwrap().count(), 3, "{name}");
    }
    for name in ["", ".", "..", ".\n.", "\t", "a\r\nb", "\u{7f}"] {
        assert!(below(&base(), &["users", name], &[]).is_err(), "{name:?}");
    }
    let url = below(&base(), &[], &[("a", "x&b=1#")]).unwrap();
    assert_eq!(url.query(), Some("a=x%26b%3D1%23"));
}

#[test]
fn addresses_are_web_addresses_without_anything_to_hide() {
    for good in ["https://h.example", "http://[::1]:8080/a?b", "https://1.2.3.4"] {
        assert!(web_url("url", good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "h.example",
        "ftp://h.example",
        "file:///etc/passwd",
        "https://",
        "https://user@h.example",
        "https://:canary@h.example",
        "https://h.example/#f",
        "https://h.example/a b",
        "https://h.example/\n",
    ] {
        let fault = web_url("url", bad).unwrap_err();
        assert!(fault.public().contains("'url'"), "{bad}: {fault}");
        assert!(!fault.public().contains("canary"), "{bad}: {fault}");
    }
    assert!(web_url("url", &format!("https://h.example/{}", "a".repeat(2_048))).is_err());
}

#[test]
fn gateways_of_others_do_not_go_into_their_own_networks() {
    let mut args = keysherd_wire::Args::new();
    args.put("url", "http://127.0.0.1:9".into());
    let settings = Settings::merged(FIELDS, &args, Settings::default(), &[]).unwrap();
    let given = HttpGiven { url: Named::of(&settings, &URL), authority: None, identity: None };
    let server = HttpServer::new(given).unwrap();
    assert_eq!(server.warning(), None);
    assert!(server.open(&way()).is_ok());
    let apart = Way { egress: way().egress.elsewhere(), ..way() };
    let fault = server.open(&apart).err().unwrap();
    assert!(fault.public().contains("--allow-local-targets"), "{fault}");
}
