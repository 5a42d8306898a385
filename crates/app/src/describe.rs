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

/// The reference pages: file name to Markdown.
pub(crate) fn reference() -> Result<(), Exit> {
    let mut pages = serde_json::Map::new();
    let mut places = std::collections::HashMap::new();
    for (noun, list) in commands::nouns() {
        let specs: Vec<&Spec> = list.iter().map(|command| &command.spec).collect();
        let page = format!("{}.md", noun.to_lowercase().replace(' ', "-"));
        places.extend(specs.iter().map(|spec| (spec.name, format!("{page}#{}", spec.name))));
        pages.insert(page, keysherd_wire::group_page(noun, &specs).into());
    }
    let link = |spec: &Spec| places.get(spec.name).cloned().unwrap_or_default();
    let index = keysherd_wire::index_page("Commands", &commands::specs(), &link);
    pages.insert("README.md".to_owned(), index.into());
    print(&Value::Object(pages))
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

#[cfg(test)]
mod tests {
    use keysherd_api::commands;

    #[test]
    fn every_command_follows_the_rules_of_all_commands() {
        assert_eq!(keysherd_wire::lint_all(&commands::specs()), Vec::<String>::new());
    }
}
