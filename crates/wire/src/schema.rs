//! JSON Schema (draft 2020-12) of a command's request.
//!
//! The schema shows the preferred types. The server reads more leniently (`Kind::read`), which a
//! schema for people and generators should not encourage.

use keysherd_base::limits::{BATCH_LEN_MAX, LIST_LEN_MAX};
use serde_json::{Map, Value, json};

use crate::command::{Body, Spec};
use crate::field::{FieldSpec, Shape};

/// The schema of the body that `spec` takes.
pub fn request_schema(spec: &Spec) -> Value {
    let object = object_schema(spec);
    match spec.body {
        Body::Object => object,
        Body::Array => json!({
            "type": "array",
            "items": object,
            "maxItems": BATCH_LEN_MAX,
        }),
    }
}

fn object_schema(spec: &Spec) -> Value {
    let properties: Map<String, Value> =
        spec.all_fields().map(|field| (field.documented.to_owned(), field_schema(field))).collect();
    let mut required: Vec<_> =
        spec.all_fields().filter(|field| field.required).map(|field| field.documented).collect();
    required.sort_unstable();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        put(&mut schema, "required", json!(required));
    }
    schema
}

fn field_schema(field: &FieldSpec) -> Value {
    let mut schema = match field.shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Int => json!({ "type": "integer", "format": "int64" }),
        Shape::List => json!({
            "type": "array",
            "items": { "type": "string" },
            "maxItems": LIST_LEN_MAX,
        }),
        Shape::Map => json!({
            "type": "object",
            "additionalProperties": { "type": "string" },
            "maxProperties": LIST_LEN_MAX,
        }),
    };
    put(&mut schema, "description", json!(field_text(field)));
    if !field.choices.is_empty() {
        let choices = json!({ "type": "string", "enum": field.choices });
        match field.shape {
            Shape::List => put(&mut schema, "items", choices),
            Shape::Map => put(&mut schema, "additionalProperties", choices),
            Shape::Text | Shape::Flag | Shape::Int => {
                put(&mut schema, "enum", json!(field.choices));
            }
        }
    }
    if let Some(default) = typed_default(field) {
        put(&mut schema, "default", default);
    }
    if field.secret {
        put(&mut schema, "writeOnly", json!(true));
        if field.shape == Shape::Text {
            put(&mut schema, "format", json!("password"));
        }
    }
    schema
}

/// The help text of a field with everything that its schema cannot say.
pub(crate) fn field_text(field: &FieldSpec) -> String {
    let mut text = field.help.to_owned();
    if field.inert {
        text.push_str(" Accepted, no effect yet.");
    }
    if let (Some(default), None) = (field.default, typed_default(field)) {
        text.push_str(" Default: ");
        text.push_str(default);
        text.push('.');
    }
    text
}

/// The default as a value, when its words are one.
fn typed_default(field: &FieldSpec) -> Option<Value> {
    let words = field.default?;
    match field.shape {
        Shape::Flag => words.parse::<bool>().ok().map(Value::from),
        Shape::Int => words.parse::<i64>().ok().map(Value::from),
        Shape::Text => field.choices.contains(&words).then(|| words.into()),
        Shape::List | Shape::Map => None,
    }
}

fn put(schema: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = schema {
        map.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_request_schema_has_names_types_and_defaults() {
        let schema = request_schema(&samples::CREATE);
        assert_eq!(schema["required"], json!(["name", "value"]));
        let properties = &schema["properties"];
        assert_eq!(
            properties["value"],
            json!({
                "type": "string",
                "format": "password",
                "writeOnly": true,
                "description": "The value."
            })
        );
        assert_eq!(
            properties["delete_protection"],
            json!({
                "type": "boolean",
                "default": false,
                "description": "Refuse deletion until this is switched off."
            })
        );
        assert_eq!(
            properties["max-versions"]["description"],
            json!("Versions to keep. Default: the account's setting.")
        );
        assert_eq!(properties["format"]["enum"], json!(["text", "json"]));
        assert_eq!(properties["format"]["default"], json!("text"));
        assert_eq!(
            properties["change-event"]["description"],
            json!("Send an event for each change. Accepted, no effect yet.")
        );
        assert_eq!(properties["tags"]["items"], json!({ "type": "string" }));
    }

    #[test]
    fn a_batch_is_an_array_of_objects() {
        let schema = request_schema(&samples::BATCH);
        assert_eq!(schema["type"], json!("array"));
        assert_eq!(schema["items"]["required"], json!(["plaintext"]));
    }
}
