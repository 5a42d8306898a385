//! An OpenAPI 3.1 description of a list of commands.
//!
//! Reply models are named, not described: the V2 description of the official SDKs has them, and
//! an object schema without properties stands in for each.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::command::{Body, Spec};
use crate::headers;
use crate::schema::request_schema;
use crate::topic::topic;

/// What a description says about itself.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Name of the product.
    pub title: &'a str,
    /// Version of the product.
    pub version: &'a str,
    /// A paragraph about the API, in Markdown.
    pub text: &'a str,
}

/// The description of `specs`. Names are sorted, so equal lists give equal documents.
pub fn openapi(about: &About<'_>, specs: &[&Spec]) -> Value {
    let mut paths = Map::new();
    let mut models = BTreeSet::new();
    let mut topics = BTreeSet::new();
    for spec in specs {
        topics.insert(topic(spec.name));
        add_models(spec.reply, &mut models);
        paths.insert(
            format!("/{}", spec.name),
            json!({ "post": operation(spec, spec.name, spec.success, spec.reply) }),
        );
        for alias in spec.aliases {
            add_models(alias.reply, &mut models);
            paths.insert(
                format!("/{}", alias.name),
                json!({ "post": operation(spec, alias.name, alias.success, alias.reply) }),
            );
        }
    }
    let tags: Vec<_> = topics.iter().map(|name| json!({ "name": name })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": about.title,
            "version": about.version,
            "description": about.text,
        },
        "tags": tags,
        "paths": paths,
        "components": components(&models),
    })
}

fn operation(spec: &Spec, name: &str, success: u16, reply: &str) -> Value {
    let mut operation = json!({
        "operationId": name.replace('-', "_"),
        "summary": spec.summary,
        "description": spec.access.sentence(),
        "tags": [topic(spec.name)],
        "requestBody": {
            "required": spec.all_fields().any(|field| field.required),
            "content": { "application/json": { "schema": request_schema(spec) } },
        },
        "responses": {
            success.to_string(): {
                "description": "The command succeeded.",
                "headers": {
                    headers::REQUEST_ID: { "$ref": "#/components/headers/RequestId" },
                    headers::WARNING: { "$ref": "#/components/headers/Warning" },
                },
                "content": { "application/json": { "schema": reply_schema(reply) } },
            },
            "default": { "$ref": "#/components/responses/Error" },
        },
    });
    if let Value::Object(map) = &mut operation {
        if name != spec.name {
            map.insert("deprecated".to_owned(), json!(true));
        }
        if spec.body == Body::Array {
            map.insert("security".to_owned(), json!([{ "Bearer": [] }]));
        }
    }
    operation
}

fn components(models: &BTreeSet<&str>) -> Value {
    let mut schemas: Map<String, Value> = models
        .iter()
        .map(|name| {
            let text = format!("The model {name} of the V2 description.");
            ((*name).to_owned(), json!({ "type": "object", "description": text }))
        })
        .collect();
    schemas.insert(
        "JSONError".to_owned(),
        json!({
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": { "type": "string", "description": "What failed, and what to do." },
            },
        }),
    );
    json!({
        "schemas": schemas,
        "headers": {
            "RequestId": {
                "description": "The id of the request in the server's log and audit records.",
                "schema": { "type": "string" },
            },
            "Warning": {
                "description": "A sentence for people.",
                "schema": { "type": "string" },
            },
        },
        "responses": {
            "Error": {
                "description": "The command failed.",
                "content": {
                    "application/json": {
                        "schema": { "$ref": "#/components/schemas/JSONError" },
                    },
                },
            },
        },
        "securitySchemes": {
            "Bearer": { "type": "http", "scheme": "bearer" },
        },
    })
}

/// How the V2 description writes the type of a reply.
enum Reply<'a> {
    Anything,
    Primitive(&'static str),
    List(&'a str),
    Map(&'a str),
    Model(&'a str),
}

fn read_reply(reply: &str) -> Reply<'_> {
    let inside = |open: &str, close: &str| {
        reply.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
    };
    match reply {
        "" | "object" => Reply::Anything,
        "str" => Reply::Primitive("string"),
        "int" => Reply::Primitive("integer"),
        "bool" => Reply::Primitive("boolean"),
        _ => inside("list[", "]")
            .map(Reply::List)
            .or_else(|| inside("dict(str, ", ")").map(Reply::Map))
            .unwrap_or(Reply::Model(reply)),
    }
}

fn reply_schema(reply: &str) -> Value {
    match read_reply(reply) {
        Reply::Anything => json!({ "type": "object" }),
        Reply::Primitive(name) => json!({ "type": name }),
        Reply::List(inner) => json!({ "type": "array", "items": reply_schema(inner) }),
        Reply::Map(inner) => {
            json!({ "type": "object", "additionalProperties": reply_schema(inner) })
        }
        Reply::Model(name) => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}

fn add_models<'a>(reply: &'a str, models: &mut BTreeSet<&'a str>) {
    match read_reply(reply) {
        Reply::Anything | Reply::Primitive(_) => {}
        Reply::List(inner) | Reply::Map(inner) => add_models(inner, models),
        Reply::Model(name) => {
            models.insert(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    const ABOUT: About<'static> = About { title: "Sample", version: "1", text: "A sample." };

    #[test]
    fn every_name_has_a_path_with_its_own_status_and_reply() {
        let document = openapi(&ABOUT, &[&samples::CREATE, &samples::BATCH]);
        assert_eq!(document["openapi"], json!("3.1.0"));
        let paths = document["paths"].as_object().unwrap();
        let names: Vec<_> = paths.keys().map(String::as_str).collect();
        assert_eq!(names, ["/create-secret", "/encrypt-batch", "/secret-create"]);
        let older = &paths["/secret-create"]["post"];
        assert_eq!(older["deprecated"], json!(true));
        assert_eq!(
            older["responses"]["201"]["content"]["application/json"]["schema"]["$ref"],
            json!("#/components/schemas/SecretCreateOutput")
        );
        assert!(paths["/create-secret"]["post"].get("deprecated").is_none());
    }

    #[test]
    fn every_reference_is_defined() {
        let document = openapi(&ABOUT, &[&samples::CREATE, &samples::BATCH]);
        let text = document.to_string();
        let references: BTreeSet<_> =
            text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() >= 5, "{references:?}");
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }

    #[test]
    fn replies_of_the_v2_description_become_schemas() {
        let check = |reply: &str, schema: Value| assert_eq!(reply_schema(reply), schema, "{reply}");
        check("object", json!({ "type": "object" }));
        check("list[str]", json!({ "type": "array", "items": { "type": "string" } }));
        check(
            "dict(str, object)",
            json!({ "type": "object", "additionalProperties": { "type": "object" } }),
        );
        check("Item", json!({ "$ref": "#/components/schemas/Item" }));
    }
}
