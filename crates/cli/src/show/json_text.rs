//! JSON text with line ends and indentation, otherwise as the server wrote it.
//!
//! Working on the text keeps the order of keys and the spelling of numbers, which a value tree
//! would change, and leaves no parsed copies of secrets behind.

use keysherd_base::{Secret, SecretString};

/// Spaces per level (V2 reference, section 8).
const STEP: usize = 3;

/// `text`, which is JSON, indented.
pub(super) fn indent(text: &str) -> SecretString {
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
    }
    writer.out
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
