//! Lengths of lines, files and functions.

use super::Finding;
use super::lexer::Lexed;
use super::tree::{File, Tree, has_extension};

/// Most lines of a Rust file.
const FILE_LINES_MAX: usize = 500;
/// Most lines of a function, from its signature to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Endings of files whose lines are limited.
const LANGUAGES: &[&str] = &["rs", "py", "mjs", "js", "ts", "sh"];
/// Most characters of a line of code.
const LINE_COLUMNS_MAX: usize = 100;

pub(super) fn check_files(tree: &Tree, found: &mut Vec<Finding>) {
    for (file, _) in tree.rust() {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            let text = format!("{lines} lines; at most {FILE_LINES_MAX}");
            found.push(finding(file, 0, "file-length", lines, text));
        }
    }
}

pub(super) fn check_columns(tree: &Tree, found: &mut Vec<Finding>) {
    let is_code = |file: &&File| LANGUAGES.iter().any(|ending| has_extension(&file.path, ending));
    for file in tree.files().iter().filter(is_code) {
        for (index, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > LINE_COLUMNS_MAX {
                let text = format!("{columns} columns; at most {LINE_COLUMNS_MAX}");
                found.push(finding(file, index + 1, "line-length", columns, text));
            }
        }
    }
}

pub(super) fn check_functions(tree: &Tree, found: &mut Vec<Finding>) {
    for (file, rust) in tree.rust() {
        for function in functions(rust) {
            if function.lines > FUNCTION_LINES_MAX {
                let text = format!(
                    "function {} has {} lines; at most {FUNCTION_LINES_MAX}",
                    function.name, function.lines
                );
                found.push(finding(file, function.line, "function-length", function.lines, text));
            }
        }
    }
}

fn finding(file: &File, line: usize, rule: &'static str, value: usize, text: String) -> Finding {
    Finding { path: file.path.clone(), line, rule, value: Some(value), text }
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// The functions with a body: where each begins and how long it is.
fn functions(rust: &Lexed) -> Vec<Function> {
    let code = rust.code.as_str();
    let starts = code.match_indices("fn ").filter(|(at, _)| {
        let before = code.get(..*at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    });
    starts.filter_map(|(at, _)| function(code, at)).collect()
}

fn function(code: &str, at: usize) -> Option<Function> {
    let text = code.get(at..)?;
    let after = text.strip_prefix("fn ")?;
    let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return None;
    }
    let body = body_offset(after)?;
    let end = body + braces_length(after.get(body..)?)?;
    let newlines = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count();
    Some(Function {
        name,
        line: newlines(code.get(..at)?) + 1,
        lines: newlines(after.get(..end)?) + 1,
    })
}

/// The opening brace of the body; `None` when a semicolon comes first.
fn body_offset(signature: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in signature.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// Bytes up to and with the brace that closes the one at the start.
fn braces_length(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn a_long_file_is_found() {
        let text = "//! A.\n".repeat(501);
        expect(check_files, &[("a.rs", &text)], &[("a.rs", 0, "501 lines")]);
        expect(check_files, &[("a.rs", &text[7..]), ("a.md", &text)], &[]);
    }

    #[test]
    fn a_long_line_is_found_by_its_characters() {
        let line = |n: usize| format!("//! A.\n{}\n", "ä".repeat(n));
        expect(check_columns, &[("a.rs", &line(101))], &[("a.rs", 2, "101 columns")]);
        expect(check_columns, &[("a.py", &line(101))], &[("a.py", 2, "101 columns")]);
        expect(check_columns, &[("a.rs", &line(100)), ("a.md", &line(200))], &[]);
    }

    #[test]
    fn a_long_function_is_found() {
        let body = |n: usize| {
            let lines = "    f(\"{\"); // {\n".repeat(n);
            let declared = "trait T {\n    fn a(x: [u8; 2]);\n}\n";
            format!("{declared}pub fn b(x: [u8; 2])\nwhere\n{{\n{lines}}}\n")
        };
        expect(check_functions, &[("a.rs", &body(67))], &[("a.rs", 4, "function b has 71 lines")]);
        expect(check_functions, &[("a.rs", &body(66))], &[]);
    }

    #[test]
    fn a_function_pointer_is_no_function() {
        let text = "struct S { run: fn(u8) -> u8, }\n".to_owned() + &"\n".repeat(80);
        expect(check_functions, &[("a.rs", &text)], &[]);
    }
}
