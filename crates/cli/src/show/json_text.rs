//! JSON text with line ends and indentation, otherwise as the server wrote it.
//!
//! Working on the text keeps the order of keys and the spelling of numbers, which a value tree
//! would change, and leaves no parsed copies of secrets behind.

use keysherd_base::{Secret, SecretString};

/// Spaces per level (V2 reference, section 8).
const STEP: usize = 3;
/// Most bytes of indented text. A server that is no friend could nest so deeply that the spaces
/// alone fill the memory; such text is shown as it came.
const INDENTED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// `text`, which is JSON, indented.
pub(super) fn indent(text: &str) -> SecretString {
    indent_within(text, INDENTED_BYTES_MAX).unwrap_or_else(|| Secret::new(text.to_owned()))
}

/// The same, if it takes no more than about `most` bytes.
fn indent_within(text: &str, most: usize) -> Option<SecretString> {
    let mut writer = Writer { out: Secret::new(String::with_capacity(text.len() * 2)), depth: 0 };
    let mut in_string = false;
    let mut escaped = false;
    let mut characters = Characters { rest: text.chars() };
    while let Some(character) = characters.next(in_string) {
        if in_string {
            writer.push(character);
            in_string = escaped || character != '"';
            escaped = character == '\\' && !escaped;
            continue;
        }
        match character {
            '"' => {
                in_string = true;
                writer.push(character);
            }
            '{' | '[' => {
                writer.push(character);
                let close = if character == '{' { '}' } else { ']' };
                if characters.peek() == Some(close) {
                    characters.next(false);
                    writer.push(close);
                } else {
                    writer.depth += 1;
                    writer.line();
                }
            }
            '}' | ']' => {
                writer.depth = writer.depth.saturating_sub(1);
                writer.line();
                writer.push(character);
            }
            ',' => {
                writer.push(character);
                writer.line();
            }
            ':' => {
                writer.push(character);
                writer.push(' ');
            }
            other => writer.push(other),
        }
        if writer.out.expose().len() > most {
            return None;
        }
    }
    Some(writer.out)
}

struct Writer {
    out: SecretString,
    depth: usize,
}

impl Writer {
    fn push(&mut self, character: char) {
        self.out.expose_mut().push(character);
    }

    fn line(&mut self) {
        self.push('\n');
        for _ in 0..self.depth * STEP {
            self.push(' ');
        }
    }
}

/// Characters of JSON; white space between tokens is skipped.
struct Characters<'a> {
    rest: std::str::Chars<'a>,
}

impl Characters<'_> {
    fn next(&mut self, in_string: bool) -> Option<char> {
        if in_string {
            return self.rest.next();
        }
        self.rest.find(|character| !is_blank(*character))
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().find(|character| !is_blank(*character))
    }
}

const fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_mostly_spaces_is_left_as_it_came() {
        let text = "[".repeat(1_000) + &"]".repeat(1_000);
        // Nesting grows the text by its square.
        let whole = indent(&text).expose().len();
        assert!(whole > 2_000_000, "{whole}");
        assert!(indent_within(&text, whole).is_some());
        assert!(indent_within(&text, whole / 2).is_none());
    }
}
