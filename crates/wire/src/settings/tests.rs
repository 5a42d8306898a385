//! What is kept, what is given up, what is shown.

use serde_json::json;

use super::*;
use crate::field::{Flag, Int, List};

const TOKEN: Field<Text> = Field::text("token", "The token.").secret();
const URL: Field<Text> = Field::text("otlp-url", "Where.");
const INDEX: Field<Text> = Field::text("index", "Which.");
const TLS: Field<Flag> = Field::flag("tls", "Whether.");
const SECONDS: Field<Int> = Field::int("seconds", "How long.");
const ROLES: Field<List> = Field::list("roles", "Which ones.");
static FIELDS: Group = Group {
    title: "Target",
    fields: &[URL.spec(), INDEX.spec(), TOKEN.spec(), TLS.spec(), SECONDS.spec(), ROLES.spec()],
};

fn merged(given: &[(&'static str, Value)], old: Settings) -> Settings {
    let mut args = Args::new();
    for (name, value) in given {
        args.put(name, value.clone());
    }
    Settings::merged(&FIELDS, &args, old, &["otlp-url"]).unwrap()
}

fn old() -> Settings {
    merged(&[("otlp-url", json!("https://a")), ("token", json!("secret"))], Settings::default())
}

#[test]
fn a_kept_secret_goes_nowhere_else() {
    for given in [&[][..], &[("otlp-url", json!("https://a"))]] {
        let same = merged(given, old());
        assert_eq!((same.text(&URL), same.text(&TOKEN)), (Some("https://a"), Some("secret")));
    }
    let moved = merged(&[("otlp-url", json!("https://b"))], old());
    assert_eq!((moved.text(&URL), moved.text(&TOKEN)), (Some("https://b"), None));
    let given = merged(&[("otlp-url", json!("https://b")), ("token", json!("other"))], old());
    assert_eq!(given.text(&TOKEN), Some("other"));
    assert_eq!(merged(&[("index", json!("x"))], old()).text(&TOKEN), Some("secret"));
}

#[test]
fn every_shape_is_kept_and_shown_and_secrets_are_not() {
    let given = [
        ("token", json!("canary")),
        ("tls", json!("True")),
        ("seconds", json!("60")),
        ("roles", json!(["a", "b \"c\""])),
    ];
    let settings = merged(&given, old());
    let again = Settings::from_json(settings.to_json().unwrap().expose()).unwrap();
    let by_value = Settings::from_value(&settings.to_value()).unwrap();
    for kept in [settings, again, by_value] {
        assert_eq!((kept.says(&TLS), kept.flag(&TLS, false)), (Some(true), true));
        assert_eq!((kept.int(&SECONDS), kept.text(&INDEX)), (Some(60), None));
        assert_eq!(kept.list(&ROLES), ["a", "b \"c\""]);
        let content = [("url", "otlp-url"), ("t", "token"), ("s", "seconds"), ("r", "roles")];
        let shown = Value::Object(kept.show(&FIELDS, &content));
        let want = json!({"url": "https://a", "s": 60, "r": ["a", "b \"c\""]});
        assert_eq!(shown, want);
        assert!(!format!("{kept:?}").contains("canary"));
    }
}

#[test]
fn what_was_never_written_is_not_read() {
    for bad in ["", "[]", "null", "{\"a\":1}", "{\"a\":{}}", "{"] {
        let fault = Settings::from_json(bad.as_bytes()).unwrap_err();
        assert!(!fault.public().contains('a') || fault.public().contains("internal"), "{bad}");
    }
    let mut args = Args::new();
    args.put("index", json!("x".repeat(SETTING_BYTES_MAX + 1)));
    assert!(Settings::merged(&FIELDS, &args, Settings::default(), &[]).is_err());
    let mut args = Args::new();
    args.put("roles", json!({"no": "list"}));
    assert!(Settings::merged(&FIELDS, &args, Settings::default(), &[]).is_err());
}
