//! What must hold for a specification, beyond what its types say. Run over every command by tidy.

use std::collections::BTreeSet;

use crate::command::{Show, Spec};
use crate::field::{FieldSpec, Shape};

/// Letters the command line keeps for itself.
const RESERVED_SHORTS: &[char] = &['h', 'V'];
/// Flags the command line keeps for itself, under any command.
const RESERVED_NAMES: &[&str] =
    &["ca-file", "help", "no-creds-cleanup", "no-warn", "output", "profile"];

/// The complaints about `specs` as a list, and about each of them; empty when all is well.
pub fn lint_all(specs: &[&Spec]) -> Vec<String> {
    let mut found: Vec<_> = specs.iter().flat_map(|spec| lint(spec)).collect();
    let mut seen = BTreeSet::new();
    for spec in specs {
        for (name, _) in spec.names() {
            // Routes are matched in any letter case.
            if !seen.insert(name.to_ascii_lowercase()) {
                found.push(format!("{}: another command is called '{name}'", spec.name));
            }
        }
    }
    found
}

/// The complaints about one specification; empty when all is well.
pub fn lint(spec: &Spec) -> Vec<String> {
    let mut found = Vec::new();
    lint_names(spec, &mut found);
    if !is_sentence(spec.summary) {
        found.push("the summary is not one sentence".to_owned());
    }
    lint_groups(spec, &mut found);
    for field in spec.all_fields() {
        let complaints = lint_field(field);
        found.extend(complaints.into_iter().map(|text| format!("field '{}': {text}", field.name)));
    }
    lint_uniqueness(spec, &mut found);
    lint_show(&spec.show, &mut found);
    found.into_iter().map(|text| format!("{}: {text}", spec.name)).collect()
}

fn lint_names(spec: &Spec, found: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (name, success) in spec.names() {
        // One route of the V2 API has a capital letter, so letter case is free.
        if !is_kebab(&name.to_ascii_lowercase()) {
            found.push(format!("'{name}' is not words joined with dashes"));
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            found.push(format!("the name '{name}' is given twice"));
        }
        if !(200..300).contains(&success) {
            found.push(format!("{success} is not a status of success"));
        }
    }
    let replies = std::iter::once(spec.reply).chain(spec.aliases.iter().map(|alias| alias.reply));
    if replies.into_iter().any(str::is_empty) {
        found.push("a reply has no name; 'object' means an empty one".to_owned());
    }
}

fn lint_groups(spec: &Spec, found: &mut Vec<String>) {
    for group in spec.groups {
        let capital = group.title.starts_with(|c: char| c.is_ascii_uppercase());
        if !capital || group.title.ends_with('.') {
            found.push(format!("'{}' is not a heading", group.title));
        }
        if group.fields.is_empty() {
            found.push(format!("the group '{}' has no fields", group.title));
        }
    }
}

fn lint_field(field: &FieldSpec) -> Vec<String> {
    let choices: BTreeSet<_> =
        field.choices.iter().map(|choice| choice.to_ascii_lowercase()).collect();
    let text = field.shape == Shape::Text;
    let checks = [
        // As for routes: one field of the V2 API has capital letters.
        (!is_kebab(&field.name.to_ascii_lowercase()), "the name is not words joined with dashes"),
        (
            field.documented.replace('_', "-") != field.name,
            "the documented name differs in more than underscores",
        ),
        (!is_sentence(field.help), "the help text is not one sentence"),
        (field.required && field.default.is_some(), "it is required and has a default"),
        (field.required && field.inert, "it is required and has no effect"),
        (
            field.default.is_some_and(|words| words.is_empty() || words.ends_with('.')),
            "the default is empty or ends with a full stop",
        ),
        (
            choices.len() != field.choices.len() || choices.contains(""),
            "two choices are the same, or one is empty",
        ),
        (
            !field.choices.is_empty() && matches!(field.shape, Shape::Flag | Shape::Int),
            "only texts have choices",
        ),
        (
            field.secret && matches!(field.shape, Shape::Flag | Shape::Int),
            "a boolean or a number is no secret",
        ),
        (field.sentinel.is_some() && !text, "only a text has a sentinel"),
        (field.empty_is_value && !text, "only a text has the empty value"),
        (
            field.short.is_some_and(|letter| {
                !letter.is_ascii_alphanumeric() || RESERVED_SHORTS.contains(&letter)
            }),
            "the short flag is reserved",
        ),
        (
            field.short == Some('u') && field.name != "gateway-url",
            "the short flag is that of gateway-url",
        ),
        (RESERVED_NAMES.contains(&field.name), "the name is reserved"),
        (
            field.name == "json" && (field.shape != Shape::Flag || field.short.is_some()),
            "it is the command line's own flag and must be a plain boolean",
        ),
    ];
    checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, text)| text.to_owned()).collect()
}

fn lint_uniqueness(spec: &Spec, found: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    let mut shorts = BTreeSet::new();
    for field in spec.all_fields() {
        if !names.insert(field.name.to_owned()) {
            found.push(format!("the field '{}' is there twice", field.name));
        }
        if let Some(letter) = field.short
            && !shorts.insert(letter)
        {
            found.push(format!("two fields have the short flag '{letter}'"));
        }
    }
    for field in spec.all_fields().filter(|field| field.secret) {
        for way in ["file", "stdin"] {
            if names.contains(&format!("{}-{way}", field.name)) {
                found.push(format!(
                    "'{0}-{way}' is how the command line reads the secret '{0}'",
                    field.name
                ));
            }
        }
    }
}

fn lint_show(show: &Show, found: &mut Vec<String>) {
    match show {
        Show::Sentence(template) => {
            let opened = template.matches('{').count();
            let whole = template
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split_once('}'))
                .filter(|(name, _)| !name.is_empty() && !name.contains([' ', '\n']))
                .count();
            let closed = template.matches('}').count();
            if template.is_empty() || opened != whole || opened != closed {
                found.push("the sentence is empty or its braces do not match".to_owned());
            }
        }
        Show::Table(_, columns) => {
            let headings: BTreeSet<_> = columns.iter().map(|(heading, _)| heading).collect();
            if columns.is_empty() || headings.len() != columns.len() {
                found.push("the table has no columns, or two of one name".to_owned());
            }
        }
        Show::Json | Show::Value | Show::Lines => {}
    }
}

fn is_kebab(name: &str) -> bool {
    !name.is_empty()
        && name.split('-').all(|word| {
            !word.is_empty()
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

/// Starts with a capital or a digit, ends with a full stop, and is one line.
fn is_sentence(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit())
        && text.ends_with('.')
        && !text.contains('\n')
        && text.len() > 1
}

#[cfg(test)]
mod tests;
