//! Rust text split into code and string literals, well enough for formatted source.
//!
//! Comments and the inside of literals become spaces in the code, so that a rule that looks for
//! words or braces does not find them where they mean nothing. Lines stay where they are.

/// Rust source, taken apart.
pub(super) struct Lexed {
    /// The text with comments and the inside of literals blanked; same lines, same columns.
    pub(super) code: String,
    /// The string literals with the line (from 1) on which each begins.
    pub(super) literals: Vec<(usize, String)>,
}

impl Lexed {
    /// The lines of the code with their numbers, from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The first line of the inline test module; tests are last in a file.
    pub(super) fn tests_from(&self) -> Option<usize> {
        let lines: Vec<_> = self.lines().collect();
        lines.iter().enumerate().find_map(|(index, (number, line))| {
            let attribute = line.trim_start().starts_with("#[cfg(test)]");
            let next = lines.get(index + 1).map(|(_, next)| next.trim())?;
            (attribute && next.starts_with("mod ") && next.ends_with('{')).then_some(*number)
        })
    }
}

/// Takes `text` apart.
pub(super) fn lex(text: &str) -> Lexed {
    let mut scanner = Scanner {
        rest: text.chars().collect(),
        at: 0,
        line: 1,
        code: String::with_capacity(text.len()),
        literals: Vec::new(),
    };
    while scanner.at < scanner.rest.len() {
        scanner.step();
    }
    Lexed { code: scanner.code, literals: scanner.literals }
}

struct Scanner {
    rest: Vec<char>,
    at: usize,
    line: usize,
    code: String,
    literals: Vec<(usize, String)>,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> char {
        self.rest.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.line_comment(),
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('r', '"' | '#') if self.starts_word() && self.raw_hashes().is_some() => self.raw(),
            ('\'', '\\') => self.escaped_char(),
            ('\'', _) if self.peek(2) == '\'' => self.blank(3),
            _ => self.keep(),
        }
    }

    /// Whether the character here begins a word; `br` and `cr` count as `r`.
    fn starts_word(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).and_then(|at| self.rest.get(at));
        let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
        match before(1) {
            Some('b' | 'c') => !word(before(2)),
            other => !word(other),
        }
    }

    /// The number of `#` of a raw string that begins here.
    fn raw_hashes(&self) -> Option<usize> {
        let hashes = (1..).take_while(|ahead| self.peek(*ahead) == '#').count();
        (self.peek(hashes + 1) == '"').then_some(hashes)
    }

    fn keep(&mut self) {
        let c = self.peek(0);
        self.code.push(c);
        self.line += usize::from(c == '\n');
        self.at += 1;
    }

    fn blank(&mut self, count: usize) {
        for _ in 0..count {
            let c = self.peek(0);
            self.code.push(if c == '\n' { '\n' } else { ' ' });
            self.line += usize::from(c == '\n');
            self.at += 1;
        }
    }

    fn line_comment(&mut self) {
        while self.at < self.rest.len() && self.peek(0) != '\n' {
            self.blank(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.rest.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.blank(1);
                    continue;
                }
            }
            self.blank(2);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        let line = self.line;
        self.keep();
        let mut text = String::new();
        while self.at < self.rest.len() && self.peek(0) != '"' {
            let length = if self.peek(0) == '\\' { 2 } else { 1 };
            for _ in 0..length {
                text.push(self.peek(0));
                self.blank(1);
            }
        }
        self.keep();
        self.literals.push((line, text));
    }

    fn raw(&mut self) {
        let line = self.line;
        let hashes = self.raw_hashes().unwrap_or(0);
        self.blank(1 + hashes);
        self.keep();
        let mut text = String::new();
        while self.at < self.rest.len() && !self.raw_ends(hashes) {
            text.push(self.peek(0));
            self.blank(1);
        }
        self.keep();
        self.blank(hashes);
        self.literals.push((line, text));
    }

    fn raw_ends(&self, hashes: usize) -> bool {
        self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#')
    }

    fn escaped_char(&mut self) {
        self.blank(3);
        while self.at < self.rest.len() && self.peek(0) != '\'' {
            self.blank(1);
        }
        self.blank(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_in_place() {
        let text = "let a = \"{ x\"; // }\nlet b = '{'; /* {\n{ */ let c: &'a str = r#\"\"}\"#;\n";
        let lexed = lex(text);
        assert_eq!(lexed.code.matches(['{', '}']).count(), 0, "{}", lexed.code);
        assert_eq!(lexed.code.lines().count(), text.lines().count());
        assert!(lexed.code.contains("&'a str"));
        assert_eq!(lexed.literals, [(1, "{ x".to_owned()), (3, "\"}".to_owned())]);
    }

    #[test]
    fn escapes_do_not_end_literals() {
        let lexed = lex(r#"f("a\"{", '\'', '\u{7f}', b"\\", br"\") } for x in r {}"#);
        assert_eq!(lexed.code.matches('{').count(), 1, "{}", lexed.code);
        assert_eq!(lexed.literals.len(), 3);
    }

    #[test]
    fn the_inline_test_module_is_found() {
        let lexed = lex("fn a() {}\n#[cfg(test)]\nmod samples;\n\n#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!(lexed.tests_from(), Some(5));
        assert_eq!(lex("#[cfg(test)]\nmod tests;\n").tests_from(), None);
    }
}
