//! From an answer to what is printed.

mod json_text;
mod sentence;
mod table;

use keysherd_base::{Secret, SecretBytes, SecretString};
use keysherd_wire::{Show, wipe};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Format;

/// What is printed.
pub(crate) struct Shown {
    /// For standard output.
    text: SecretString,
    /// For standard error, when the result is nothing to look at.
    note: Option<&'static str>,
}

/// Renders `body` as the specification and the flags say. `arguments` are the caller's, without
/// secrets.
pub(crate) fn render(
    show: &Show,
    format: Format,
    arguments: &Map<String, Value>,
    body: &SecretBytes,
) -> Result<Shown, Failure> {
    let unreadable = || Failure::new(Exit::ServerError, "the answer is not JSON text");
    let text = std::str::from_utf8(body.expose()).map_err(|_| unreadable())?;
    if format == Format::Json || (format == Format::Text && matches!(show, Show::Json)) {
        return Ok(Shown::text(json_text::indent(text)));
    }
    let answer: Value = match serde_json::from_str(text) {
        Ok(answer) => answer,
        // A tree of tokens can be nested deeper than a table shows.
        Err(_) if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            return Ok(Shown::text(json_text::indent(text)));
        }
        Err(_) => return Err(unreadable()),
    };
    let shown = match (format, show) {
        (Format::Table, Show::Table(list, columns)) => in_table(list, columns, &answer),
        (Format::Table, _) => Shown::rows(table::of_anything(&answer)),
        (_, Show::Table(list, columns)) => in_table(list, columns, &answer),
        (_, Show::Sentence(template)) => {
            Shown::text(Secret::new(sentence::render(template, arguments, &answer)))
        }
        (_, Show::Value) => match bare_value(arguments, &answer) {
            Some(Value::String(value)) => Shown::text(Secret::new(value.clone())),
            Some(value) => Shown::text(json_text::indent(&value.to_string())),
            None => Shown::text(json_text::indent(text)),
        },
        (_, Show::Lines) => Shown::rows(lines(&answer)),
        (_, Show::Json) => Shown::text(json_text::indent(text)),
    };
    wipe(answer);
    Ok(shown)
}

/// Prints it.
pub(crate) fn print(context: &mut Context<'_, '_>, shown: &Shown) -> Result<(), Failure> {
    if let Some(note) = shown.note {
        context.terminal.note(note);
        return Ok(());
    }
    context.terminal.print(shown.text.expose())
}

impl Shown {
    fn text(text: SecretString) -> Self {
        Self { text, note: None }
    }

    fn rows(text: Option<String>) -> Self {
        Self {
            note: text.is_none().then_some("Nothing found."),
            text: Secret::new(text.unwrap_or_default()),
        }
    }
}

fn in_table(list: &str, columns: &[(&str, &str)], answer: &Value) -> Shown {
    Shown::rows(table::of_list(&list_at(answer, list), columns))
}

fn list_at(answer: &Value, list: &str) -> Vec<Value> {
    let found = if list.is_empty() { Some(answer) } else { at(answer, list) };
    match found {
        Some(Value::Array(rows)) => rows.clone(),
        _ => Vec::new(),
    }
}

/// The value at a path of names joined with dots.
fn at<'a>(answer: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(answer, |value, name| value.get(name)).filter(|value| !value.is_null())
}

/// A value in one line of text; `None` for an absent one.
fn one_line(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => return None,
        Value::Array(values) => {
            let parts: Vec<_> = values.iter().filter_map(one_line).collect();
            parts.join(", ")
        }
        other => other.to_string(),
    };
    Some(text)
}

/// The one value that the caller asked for.
fn bare_value<'a>(arguments: &Map<String, Value>, answer: &'a Value) -> Option<&'a Value> {
    let map = match answer {
        Value::Object(map) => map,
        Value::Array(_) => return None,
        scalar => return Some(scalar),
    };
    if map.len() == 1 {
        return map.values().next();
    }
    let wanted = match arguments.get("names").or_else(|| arguments.get("name"))? {
        Value::String(name) => name,
        Value::Array(names) => match names.as_slice() {
            [Value::String(name)] => name,
            _ => return None,
        },
        _ => return None,
    };
    map.get(wanted)
}

/// One element a line: of the answer itself or of the only list in it.
fn lines(answer: &Value) -> Option<String> {
    let elements = match answer {
        Value::Array(elements) => elements,
        Value::Object(map) => {
            let mut lists = map.values().filter_map(Value::as_array);
            lists.next()?
        }
        _ => return one_line(answer),
    };
    let lines: Vec<_> = elements.iter().filter_map(one_line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests;
