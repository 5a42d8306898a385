//! What callers say beside the name of a secret: V2's `args`.

use keysherd_base::Fault;
use keysherd_wire::bad_setting;
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// Most arguments, and the longest one in bytes.
const ARGUMENTS_MAX: usize = 64;
const ARGUMENT_BYTES_MAX: usize = 16 * 1024;

/// The arguments by name: of texts `key=value` and of JSON objects, the later one wins.
///
/// # Errors
/// [`Fault::bad_request`] for anything else.
pub(crate) fn arguments(given: &[String]) -> Result<Map<String, Value>, Fault> {
    let bad = |why: &str| bad_setting("args", why);
    if given.len() > ARGUMENTS_MAX || given.iter().any(|text| text.len() > ARGUMENT_BYTES_MAX) {
        return Err(bad("there are more than 64, or one is longer than 16 KiB"));
    }
    let mut all = Map::new();
    for text in given {
        if text.trim_start().starts_with('{') {
            // The error's text could quote a value.
            let more: Map<String, Value> = serde_json::from_str(text)
                .map_err(|_| bad("one begins like a JSON object and is none"))?;
            all.extend(more);
        } else {
            let (name, value) = text
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| bad("each must be key=value, or a JSON object"))?;
            all.insert(name.to_owned(), value.into());
        }
    }
    Ok(all)
}

/// The arguments of a kind that knows only these; each must be a text.
///
/// # Errors
/// [`Fault::bad_request`] names one that is not known, or no text.
pub(crate) fn known_arguments(
    given: &[String],
    known: &[&str],
) -> Result<Map<String, Value>, Fault> {
    let all = arguments(given)?;
    for (name, value) in &all {
        if !known.contains(&name.as_str()) || !value.is_string() {
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            let known = known.join(", ");
            return Err(bad_setting("args", &format!("'{name}' is not one of {known}")));
        }
    }
    Ok(all)
}
