//! Reference pages in Markdown: one per command, one per group of commands, and an index.
//!
//! The output depends on the specifications only, so that committed pages can be compared.

use std::fmt::Write as _;

use crate::command::{Access, Body, Spec};
use crate::field::{FieldSpec, Shape};
use crate::topic::by_topic;

/// The page of one command.
pub fn command_page(spec: &Spec) -> String {
    let mut page = String::new();
    add_command(&mut page, spec, 1);
    page
}

/// One page about several commands, in the order given.
pub fn group_page(title: &str, specs: &[&Spec]) -> String {
    let mut page = format!("# {}\n\n", escape(title));
    for spec in specs {
        line(
            &mut page,
            &format!("- [{0}](#{0}): {1}", spec.name.to_ascii_lowercase(), escape(spec.summary)),
        );
    }
    for spec in specs {
        page.push('\n');
        add_command(&mut page, spec, 2);
    }
    page
}

/// All commands by topic, each with its summary; `link` makes the target of a command's link.
pub fn index_page(title: &str, specs: &[&Spec], link: &dyn Fn(&Spec) -> String) -> String {
    let mut page = format!("# {}\n", escape(title));
    for (topic, members) in by_topic(specs) {
        line(&mut page, &format!("\n## {topic}\n"));
        for spec in members {
            line(
                &mut page,
                &format!("- [{}]({}): {}", spec.name, link(spec), escape(spec.summary)),
            );
        }
    }
    page
}

fn add_command(page: &mut String, spec: &Spec, level: usize) {
    let mark = "#".repeat(level);
    line(page, &format!("{mark} {}\n", spec.name));
    line(page, &format!("{}\n", escape(spec.summary)));
    line(page, &format!("- Route: `POST /{}`", spec.name));
    line(page, &format!("- Access: {}", spec.access.sentence()));
    line(page, &format!("- Reply: {}", reply_text(spec.reply)));
    if spec.body == Body::Array {
        line(
            page,
            "- Body: an array of objects with these fields; the token travels in the \
             `Authorization` header.",
        );
    }
    for alias in spec.aliases {
        line(
            page,
            &format!(
                "- Older name: `{}` (status {}, reply {})",
                alias.name,
                alias.success,
                reply_text(alias.reply)
            ),
        );
    }
    add_fields(page, spec, &mark);
    add_statuses(page, spec, &mark);
}

fn add_fields(page: &mut String, spec: &Spec, mark: &str) {
    line(page, &format!("\n{mark}# Fields"));
    if spec.all_fields().next().is_none() {
        line(page, "\nNone.");
        return;
    }
    add_table(page, spec.fields);
    for group in spec.groups {
        line(page, &format!("\n{mark}## {}", escape(group.title)));
        add_table(page, group.fields);
    }
}

fn add_table(page: &mut String, fields: &[FieldSpec]) {
    if fields.is_empty() {
        return;
    }
    line(page, "\n| Field | Type | Required | Default | Meaning |");
    line(page, "|---|---|---|---|---|");
    for field in fields {
        let flag = field.short.map(|letter| format!(" (`-{letter}`)")).unwrap_or_default();
        let required = if field.required { "yes" } else { "" };
        line(
            page,
            &format!(
                "| `{}`{flag} | {} | {required} | {} | {} |",
                field.documented,
                type_text(field),
                escape(field.default.unwrap_or_default()),
                escape(&meaning(field)),
            ),
        );
    }
}

fn add_statuses(page: &mut String, spec: &Spec, mark: &str) {
    line(page, &format!("\n{mark}# Statuses\n"));
    line(page, "| Status | When |");
    line(page, "|---|---|");
    line(page, &format!("| {} | It succeeded. |", spec.success));
    line(page, "| 400 | A field is missing or malformed. |");
    let refused = match spec.access {
        Access::Open => "The credentials are wrong.",
        Access::Token | Access::Listing(_) => "The token is missing, expired or revoked.",
        Access::Right(..) | Access::Admin => {
            "The token is missing, expired or revoked, or does not permit this."
        }
    };
    line(page, &format!("| 401 | {refused} |"));
    if matches!(spec.access, Access::Right(..)) {
        line(page, "| 404 | The object does not exist. |");
    }
}

fn meaning(field: &FieldSpec) -> String {
    let mut text = field.help.to_owned();
    if !field.choices.is_empty() {
        let _ = write!(text, " One of: {}.", field.choices.join(", "));
    }
    if field.secret {
        text.push_str(" Secret.");
    }
    if field.inert {
        text.push_str(" Accepted, no effect yet.");
    }
    if let Some(sentinel) = field.sentinel {
        let _ = write!(text, " The text {sentinel} counts as not given.");
    }
    text
}

const fn type_text(field: &FieldSpec) -> &'static str {
    match field.shape {
        Shape::Text => "text",
        Shape::Flag => "boolean",
        Shape::Int => "integer",
        Shape::List => "list of texts",
        Shape::Map => "map of texts",
    }
}

fn reply_text(reply: &str) -> String {
    match reply {
        "" | "object" => "an empty object".to_owned(),
        name => format!("`{name}`"),
    }
}

/// Text that stands for itself in a Markdown table cell.
fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    const CREATE_PAGE: &str = "\
# create-secret

Creates a secret.

- Route: `POST /create-secret`
- Access: Needs `create` on the object's path (item-rule).
- Reply: `CreateSecretOutput`
- Older name: `secret-create` (status 201, reply `SecretCreateOutput`)

## Fields

| Field | Type | Required | Default | Meaning |
|---|---|---|---|---|
| `name` (`-n`) | text | yes |  | Path of the secret. |
| `value` (`-v`) | text | yes |  | The value. Secret. |
| `format` | text |  | text | How the value \\| is written. One of: text, json. |
| `tags` (`-t`) | list of texts |  |  | Tags of the secret. |
| `custom-field` | map of texts |  |  | Further values. |
| `max-versions` | integer |  | the account's setting | Versions to keep. |
| `delete_protection` | boolean |  | false | Refuse deletion until this is switched off. |
| `change-event` | text |  |  | Send an event for each change. Accepted, no effect yet. |

### Session

| Field | Type | Required | Default | Meaning |
|---|---|---|---|---|
| `token` | text |  |  | The token that auth returned. Secret. |
| `json` | boolean |  |  | Return values that are JSON as JSON. |

## Statuses

| Status | When |
|---|---|
| 200 | It succeeded. |
| 400 | A field is missing or malformed. |
| 401 | The token is missing, expired or revoked, or does not permit this. |
| 404 | The object does not exist. |
";

    #[test]
    fn a_command_page_says_everything_about_a_command() {
        assert_eq!(command_page(&samples::CREATE), CREATE_PAGE);
    }

    #[test]
    fn a_group_page_lists_its_commands_first() {
        let page = group_page("Secrets", &[&samples::CREATE, &samples::BATCH]);
        assert!(page.starts_with(
            "# Secrets\n\n- [create-secret](#create-secret): Creates a secret.\n\
             - [encrypt-batch](#encrypt-batch): Encrypts several texts.\n\n## create-secret\n"
        ));
        assert!(page.contains("\n### Fields\n"));
        assert!(page.contains("- Body: an array of objects"));
    }

    #[test]
    fn an_index_groups_by_topic() {
        let index = index_page("Commands", &[&samples::BATCH, &samples::CREATE], &|spec| {
            format!("{}.md", spec.name)
        });
        assert_eq!(
            index,
            "# Commands\n\n## Items and secrets\n\n\
             - [create-secret](create-secret.md): Creates a secret.\n\n\
             ## Keys and cryptography\n\n\
             - [encrypt-batch](encrypt-batch.md): Encrypts several texts.\n"
        );
    }
}
