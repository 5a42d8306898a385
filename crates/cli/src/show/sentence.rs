//! Sentences with places for arguments and fields of the answer.

use serde_json::{Map, Value};

use super::{at, one_line};

/// Fills `template`. Lines after the first whose fields are absent are left out.
pub(super) fn render(template: &str, arguments: &Map<String, Value>, answer: &Value) -> String {
    let mut lines = template.lines();
    let (first, _) = fill(lines.next().unwrap_or_default(), arguments, answer);
    let mut text = first;
    for line in lines {
        let (filled, complete) = fill(line, arguments, answer);
        if complete {
            text.push('\n');
            text.push_str(&filled);
        }
    }
    text
}

/// The line, and whether every field of it was there.
fn fill(line: &str, arguments: &Map<String, Value>, answer: &Value) -> (String, bool) {
    let mut text = String::new();
    let mut complete = true;
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        match lookup(name, arguments, answer) {
            Some(value) => text.push_str(&value),
            None => complete = false,
        }
        rest = after;
    }
    text.push_str(rest);
    (text, complete)
}

fn lookup(name: &str, arguments: &Map<String, Value>, answer: &Value) -> Option<String> {
    arguments
        .get(&name.replace('_', "-"))
        .and_then(one_line)
        .or_else(|| at(answer, name).and_then(one_line))
}
