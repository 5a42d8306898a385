//! Prints the command list as data, for the tools that check and document it.

use std::io::Write as _;

use keysherd_api::commands;
use keysherd_wire::{Access, Body, FieldSpec, Spec};
use serde_json::{Value, json};

use crate::exit::Exit;

/// Every command with its fields, as JSON.
pub(crate) fn commands() -> Result<(), Exit> {
    let list: Vec<Value> = commands::nouns()
        .iter()
        .flat_map(|(noun, list)| list.iter().map(move |command| spec(noun, &command.spec)))
        .collect();
    print(&json!(list))
}

/// The OpenAPI document.
pub(crate) fn openapi() -> Result<(), Exit> {
    let about = keysherd_wire::About {
        title: "Keysherd",
        version: env!("CARGO_PKG_VERSION"),
        text: "Secrets, keys and access. Every command is a POST of a JSON object to its path, \
               under `/`, `/v2/` or `/api/v2/`.",
    };
    print(&keysherd_wire::openapi(&about, &commands::specs()))
}

fn print(value: &Value) -> Result<(), Exit> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Exit::Damaged(e.to_string()))?;
    let _closed = writeln!(std::io::stdout(), "{text}");
    Ok(())
}

fn spec(noun: &str, spec: &Spec) -> Value {
    json!({
        "noun": noun,
        "name": spec.name,
        "summary": spec.summary,
        "success": spec.success,
        "reply": spec.reply,
        "access": access(spec.access),
        "body": match spec.body { Body::Object => "object", Body::Array => "array" },
        "aliases": spec.aliases.iter().map(|alias| json!({
            "name": alias.name, "success": alias.success, "reply": alias.reply,
        })).collect::<Vec<_>>(),
        "fields": spec.all_fields().map(field).collect::<Vec<_>>(),
    })
}

fn access(access: Access) -> String {
    match access {
        Access::Open => "open".to_owned(),
        Access::Token => "token".to_owned(),
        Access::Admin => "admin".to_owned(),
        Access::Right(kind, capability) => format!("{kind} {capability}"),
        Access::Listing(kind) => format!("{kind} listing"),
    }
}

fn field(field: &FieldSpec) -> Value {
    json!({
        "name": field.name,
        "documented": field.documented,
        "shape": format!("{:?}", field.shape).to_lowercase(),
        "required": field.required,
        "secret": field.secret,
        "inert": field.inert,
        "default": field.default,
        "choices": field.choices,
        "help": field.help,
    })
}
