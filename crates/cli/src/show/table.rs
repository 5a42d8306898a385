//! Tables. Nothing is ever wrapped or cut: ids and names are there to be copied.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::{at, one_line};
use crate::terminal::neutralize;

/// Most columns of a table without a specification.
const COLUMNS_MAX: usize = 8;
/// Spaces between columns.
const GAP: u16 = 2;

/// One row per element of a list; `columns` are headings with the fields below them. `None` when
/// there are no rows.
pub(super) fn of_list(rows: &[Value], columns: &[(&str, &str)]) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let mut table = empty_table();
    table.set_header(columns.iter().map(|(heading, _)| *heading));
    for row in rows {
        table.add_row(columns.iter().map(|(_, field)| match row {
            Value::Object(_) => cell(at(row, field)),
            plain => cell(Some(plain)),
        }));
    }
    Some(finish(table))
}

/// A table of an answer that is not specified as one: its first list of objects, or its fields.
pub(super) fn of_anything(answer: &Value) -> Option<String> {
    let list = match answer {
        Value::Array(rows) => Some(rows),
        Value::Object(map) => {
            map.values().filter_map(Value::as_array).find(|rows| rows.iter().any(Value::is_object))
        }
        _ => None,
    };
    if let Some(rows) = list {
        let keys = scalar_keys(rows);
        let columns: Vec<_> = keys.iter().map(|key| (*key, *key)).collect();
        let columns = if columns.is_empty() { vec![("value", "value")] } else { columns };
        return of_list(rows, &columns);
    }
    let Value::Object(map) = answer else {
        return one_line(answer);
    };
    if map.is_empty() {
        return None;
    }
    let mut table = empty_table();
    for (key, value) in map {
        table.add_row([cell(Some(&Value::from(key.as_str()))), cell(Some(value))]);
    }
    Some(finish(table))
}

/// Names of the fields of the first object that fit into a cell.
fn scalar_keys(rows: &[Value]) -> Vec<&str> {
    let first = rows.iter().find_map(Value::as_object);
    first
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_object() && !value.is_array())
        .map(|(key, _)| key.as_str())
        .take(COLUMNS_MAX)
        .collect()
}

/// The value in one line without control characters, so that columns stay columns.
fn cell(value: Option<&Value>) -> String {
    let text = value.and_then(one_line).unwrap_or_default();
    neutralize(&text).replace(['\n', '\r', '\t'], " ")
}

fn empty_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .force_no_tty();
    table
}

fn finish(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table.trim_fmt()
}
