//! What the commands that write a value share: its fields, and how they become one plaintext.

use keysherd_base::limits::VALUE_BYTES_MAX;
use keysherd_base::limits::VERSIONS_MAX;
use keysherd_base::{Fault, FaultKind, SecretBytes};
use keysherd_domain::item::{SecretKind, ValueFormat};
use keysherd_plane::grants::KeyRef;
use keysherd_plane::items::SealedValue;
use keysherd_wire::{Args, Field, Group, List, Map, Text};
use serde_json::Value;

use crate::fields::MAX_VERSIONS;

/// The value.
pub(super) const VALUE: Field<Text> =
    Field::text("value", "The secret value.").short('v').secret().empty_is_value();
/// How the value is meant.
pub(super) const FORMAT: Field<Text> =
    Field::text("format", "How the value is meant; json and key-value must be valid.")
        .default("text")
        .choices(&["text", "json", "key-value"]);
const USERNAME: Field<Text> = Field::text("username", "User name of a password secret.").secret();
const PASSWORD: Field<Text> = Field::text("password", "Password of a password secret.").secret();
const CUSTOM_FIELD: Field<Map> =
    Field::map("custom-field", "Further secret fields of a password secret.").secret();
const INJECT_URL: Field<List> = Field::list("inject-url", "Sites a password is meant for.");

/// The fields that make a value.
pub(super) const SECRET_VALUE: Group = Group {
    title: "Value",
    fields: &[
        VALUE.spec(),
        FORMAT.spec(),
        USERNAME.spec(),
        PASSWORD.spec(),
        CUSTOM_FIELD.spec(),
        INJECT_URL.spec(),
    ],
};

/// The format, if one was given.
pub(super) fn format(args: &Args) -> Result<Option<ValueFormat>, Fault> {
    Ok(args.get(&FORMAT)?.map(|name| match name.to_ascii_lowercase().as_str() {
        "json" => ValueFormat::Json,
        "key-value" => ValueFormat::KeyValue,
        _ => ValueFormat::Text,
    }))
}

/// The sites, if any were given.
pub(super) fn websites(args: &Args) -> Result<Option<Vec<String>>, Fault> {
    args.get(&INJECT_URL)
}

/// Whether the parts of a password were given instead of a whole value.
pub(super) fn has_password_parts(args: &Args) -> Result<bool, Fault> {
    Ok(args.get(&USERNAME)?.is_some()
        || args.get(&PASSWORD)?.is_some()
        || args.get(&CUSTOM_FIELD)?.is_some_and(|fields| !fields.is_empty()))
}

/// How many versions are kept, if it was given.
pub(in crate::commands) fn max_versions(args: &Args) -> Result<Option<u32>, Fault> {
    let Some(text) = args.get(&MAX_VERSIONS)? else { return Ok(None) };
    let parsed = text.trim().parse::<u32>().ok().filter(|n| (1..=VERSIONS_MAX).contains(n));
    parsed.map(Some).ok_or_else(|| {
        Fault::bad_request(format!(
            "invalid value of 'max-versions': it must be 1 to {VERSIONS_MAX}"
        ))
    })
}

/// The plaintext that is stored: the value, or the parts of a password as one JSON object.
pub(super) fn plaintext(
    args: &Args,
    kind: SecretKind,
    format: ValueFormat,
) -> Result<SecretBytes, Fault> {
    let text = match kind {
        SecretKind::Generic => args.need(&VALUE)?,
        SecretKind::Password => password_object(args)?,
    };
    if text.len() > VALUE_BYTES_MAX {
        return Err(Fault::new(
            FaultKind::TooLarge,
            format!("the value has {} bytes; at most {VALUE_BYTES_MAX} are allowed", text.len()),
        ));
    }
    let bytes = SecretBytes::new(text.into_bytes());
    if kind == SecretKind::Generic {
        check_format(&bytes, format)?;
    }
    Ok(bytes)
}

fn password_object(args: &Args) -> Result<String, Fault> {
    let given = args.get(&VALUE)?.filter(|text| !text.is_empty());
    let (username, password) = (args.get(&USERNAME)?, args.get(&PASSWORD)?);
    let custom = args.get(&CUSTOM_FIELD)?.unwrap_or_default();
    if username.is_none() && password.is_none() && custom.is_empty() {
        // The parts already put together, as read back by get-secret-value.
        let whole = given.filter(|text| is_object(text.as_bytes()));
        return whole.ok_or_else(|| {
            Fault::bad_request(
                "missing required field 'password': a password secret needs username and password",
            )
        });
    }
    let mut object: serde_json::Map<_, _> =
        custom.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
    object.insert("username".to_owned(), Value::String(username.unwrap_or_default()));
    object.insert("password".to_owned(), Value::String(password.unwrap_or_default()));
    serde_json::to_string(&object).map_err(Fault::internal)
}

fn check_format(value: &SecretBytes, format: ValueFormat) -> Result<(), Fault> {
    Fitting::of(value).check(format)
}

/// The formats a value has; what can be known of it once it is sealed.
#[derive(Clone, Copy)]
pub(super) struct Fitting {
    json: bool,
    object: bool,
}

impl Fitting {
    /// Those of `value`.
    pub(super) fn of(value: &SecretBytes) -> Self {
        let object = is_object(value.expose());
        let json =
            object || serde_json::from_slice::<serde::de::IgnoredAny>(value.expose()).is_ok();
        Self { json, object }
    }

    /// Refuses a value that has not `format`.
    pub(super) fn check(self, format: ValueFormat) -> Result<(), Fault> {
        // The parser's message would quote the value.
        match format {
            ValueFormat::Json if !self.json => {
                Err(Fault::bad_request("invalid value: it is not valid JSON"))
            }
            ValueFormat::KeyValue if !self.object => {
                Err(Fault::bad_request("invalid value: format key-value needs a JSON object"))
            }
            _ => Ok(()),
        }
    }
}

fn is_object(bytes: &[u8]) -> bool {
    type Object = std::collections::BTreeMap<String, serde::de::IgnoredAny>;
    serde_json::from_slice::<Object>(bytes).is_ok()
}

/// The place of a value that is sealed a moment later.
pub(in crate::commands) fn nothing_yet() -> SealedValue {
    let key = KeyRef { key_id: keysherd_base::Uid::default(), version: 0, customer_fragment: None };
    let ciphertext = std::sync::Arc::from([].as_slice());
    SealedValue { ciphertext, key, unconfirmed: false, name_tag: None }
}
