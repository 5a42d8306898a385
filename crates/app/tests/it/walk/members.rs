//! What the kinds of the auth-method family need to be made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::kit::postgres::{PASSWORD, shared};
use crate::kit::random;

/// The same table that the suites of the SDKs read.
const MEMBERS: &str = include_str!("../../../../../tests/conformance/members.json");

/// The kind that `command` creates or updates, as it is spelled in names of commands.
pub(crate) fn kind_of(command: &str) -> Option<&str> {
    let prefixes = [
        "auth-method-create-",
        "auth-method-update-",
        "create-auth-method-",
        "update-auth-method-",
    ];
    let kind = prefixes.iter().find_map(|prefix| command.strip_prefix(prefix))?;
    (kind != "api-key").then_some(kind)
}

/// The arguments of a kind beside its name; `authority` is a certificate in base64.
pub(crate) fn own_arguments(kind: &str, authority: &str) -> Map<String, Value> {
    // The suites of the SDKs have scenarios of their own for these; one address has one method.
    match kind {
        "email" => {
            let address = format!("{:x}@example.com", random());
            return [("email".to_owned(), address.into())].into_iter().collect();
        }
        "universal-identity" => return Map::new(),
        _ => {}
    }
    let mut members: Value = serde_json::from_str(MEMBERS).unwrap();
    let mut own = match members[kind].take() {
        Value::Object(own) => own,
        _ => panic!("tests/conformance/members.json has no arguments for the kind {kind}"),
    };
    for value in own.values_mut().filter(|value| **value == "@authority") {
        *value = authority.into();
    }
    own
}

/// In base64.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The same for the kinds of log targets.
const LOG_TARGETS: &str = include_str!("../../../../../tests/conformance/log-targets.json");

/// The settings of the log target that `command` is about, which is switched off; `key_file` is
/// that of a service account.
pub(crate) fn log_target(command: &str, key_file: &str) -> Option<Map<String, Value>> {
    let kind = command.strip_prefix("gateway-update-log-forwarding-")?;
    let mut targets: Value = serde_json::from_str(LOG_TARGETS).unwrap();
    let Value::Object(mut own) = targets[kind].take() else {
        panic!("tests/conformance/log-targets.json has no settings for {kind}")
    };
    for value in own.values_mut().filter(|value| **value == "@service-account") {
        *value = key_file.into();
    }
    own.insert("enable".to_owned(), "false".into());
    Some(own)
}

/// The same for the kinds of targets, and for engines.
const TARGETS: &str = include_str!("../../../../../tests/conformance/targets.json");
const ENGINES: &str = include_str!("../../../../../tests/conformance/engines.json");

/// The settings of the kind of target that `command` makes or changes.
pub(crate) fn target(command: &str) -> Option<Map<String, Value>> {
    let older = |rest: &str, ending| rest.strip_suffix(ending).map(str::to_owned);
    let kind = match command {
        _ if command.ends_with("-target-details") && command.starts_with("update-") => {
            return Some(Map::new());
        }
        _ => ["target-create-", "target-update-"]
            .iter()
            .find_map(|prefix| command.strip_prefix(prefix).map(str::to_owned))
            .or_else(|| older(command.strip_prefix("create-")?, "-target"))
            .or_else(|| older(command.strip_prefix("update-")?, "-target"))?,
    };
    Some(target_of(&kind, None))
}

/// The settings of a target of this kind, for databases of this type.
pub(crate) fn target_of(kind: &str, db_type: Option<&str>) -> Map<String, Value> {
    let mut targets: Value = serde_json::from_str(TARGETS).unwrap();
    let Value::Object(mut own) = targets[kind].take() else {
        panic!("tests/conformance/targets.json has no settings for {kind}")
    };
    for value in own.values_mut().filter(|value| **value == "@port") {
        *value = shared().port.to_string().into();
    }
    if let Some(password) = own.get_mut("pwd") {
        *password = PASSWORD.into();
    }
    own.extend(db_type.map(|db_type| ("db-type".to_owned(), db_type.into())));
    own
}

/// The engine that `command` makes or changes a dynamic secret of.
pub(crate) fn engine_of(command: &str) -> Option<String> {
    let prefixes = [
        "dynamic-secret-create-",
        "dynamic-secret-update-",
        "gateway-create-producer-",
        "gateway-update-producer-",
    ];
    let kind = prefixes.iter().find_map(|prefix| command.strip_prefix(prefix))?;
    match kind {
        "tmp-creds" => None,
        "hana" => Some("hanadb".to_owned()),
        "mongo" => Some("mongodb".to_owned()),
        "certificate-automation" => Some("venafi".to_owned()),
        kind => Some(kind.to_ascii_lowercase()),
    }
}

/// How a dynamic secret is made.
pub(crate) struct OfEngine {
    /// The command that makes it.
    pub(crate) create: String,
    /// The kind of target that it works on, if there is one, with the type of database.
    pub(crate) target: Option<(String, Option<String>)>,
    /// Its settings.
    pub(crate) fields: Map<String, Value>,
}

/// How one of this engine is made.
pub(crate) fn engine(kind: &str) -> OfEngine {
    let mut engines: Value = serde_json::from_str(ENGINES).unwrap();
    let mut engine = engines[kind].take();
    let Value::Object(mut fields) = engine["fields"].take() else {
        panic!("tests/conformance/engines.json has no settings for {kind}")
    };
    fields.insert("skip-dry-run".to_owned(), true.into());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let target = |field: &str| text(&engine["target"][field]);
    let current = || format!("dynamic-secret-create-{kind}");
    OfEngine {
        create: text(&engine["create"]).unwrap_or_else(current),
        target: target("kind").map(|kind| (kind, target("db-type"))),
        fields,
    }
}

/// The kind of rotated secret that `command` makes or changes.
pub(crate) fn rotator_of(command: &str) -> Option<&str> {
    let prefixes = ["rotated-secret-create-", "rotated-secret-update-"];
    // One command for all kinds.
    let any = command.ends_with("ate-rotated-secret") || command == "gateway-update-item";
    let any = any.then_some("postgresql");
    prefixes.iter().find_map(|prefix| command.strip_prefix(prefix)).or(any)
}

/// The same for the kinds of rotated secrets.
const ROTATORS: &str = include_str!("../../../../../tests/conformance/rotators.json");

/// The kind of target that a rotator works on, with the type of database, and the settings of a
/// rotated secret with somebody's credentials; nobody signs in.
pub(crate) fn rotated(kind: &str) -> (String, Option<String>, Map<String, Value>) {
    let mut rotators: Value = serde_json::from_str(ROTATORS).unwrap();
    let mut rotator = rotators[kind].take();
    let Value::Object(mut fields) = rotator["fields"].take() else {
        panic!("tests/conformance/rotators.json has no settings for {kind}")
    };
    fields.insert("skip-dry-run".to_owned(), true.into());
    let target = |field: &str| rotator["target"][field].as_str().map(str::to_owned);
    (target("kind").unwrap(), target("db-type"), fields)
}
