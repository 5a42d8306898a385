//! Reads templates.

use keysherd_base::Fault;
use keysherd_wire::bad_setting;

use super::functions::FUNCTIONS;
use super::{
    Command, DEPTH_MAX, OPERANDS_MAX, Operand, Piece, Pipeline, TEMPLATE_BYTES_MAX, Template,
};

/// Reads a template.
///
/// # Errors
/// [`Fault::bad_request`] names the field and what is wrong.
pub(crate) fn parse(field: &'static str, text: &str) -> Result<Template, Fault> {
    let bad = |why: &str| bad_setting(field, why);
    if text.len() > TEMPLATE_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(bad("it is longer than 1024 bytes, or has a control character"));
    }
    let (mut pieces, mut rest, mut left) = (Vec::new(), text, OPERANDS_MAX);
    while let Some(begin) = rest.find("{{") {
        let (before, mut action) = rest.split_at(begin);
        action = &action[2..];
        // As in Go: dashes take the spaces on that side away.
        let trimmed = action.strip_prefix("- ");
        let before = if trimmed.is_some() { before.trim_end() } else { before };
        pieces.push(Piece::Text(before.to_owned()));
        let mut reader = Reader { rest: trimmed.unwrap_or(action), left };
        let pipeline = reader.pipeline(0).map_err(|why| bad(&why))?;
        let after = reader.rest.trim_start();
        left = reader.left;
        pieces.push(Piece::Action(pipeline));
        rest = match (after.strip_prefix("-}}"), after.strip_prefix("}}")) {
            (Some(after), _) => after.trim_start(),
            (None, Some(after)) => after,
            (None, None) => return Err(bad("a {{ in it has no }} where one should be")),
        };
    }
    if rest.contains("}}") {
        return Err(bad("there is a }} without {{"));
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(Template { field, pieces })
}

struct Reader<'a> {
    rest: &'a str,
    /// How many operands there may still be.
    left: usize,
}

impl Reader<'_> {
    fn pipeline(&mut self, depth: usize) -> Result<Pipeline, String> {
        if depth > DEPTH_MAX {
            return Err("its parentheses are nested too deep".to_owned());
        }
        let mut commands = vec![self.command(depth)?];
        loop {
            self.rest = self.rest.trim_start();
            let Some(rest) = self.rest.strip_prefix('|') else { break };
            self.rest = rest;
            let next = self.command(depth)?;
            if matches!(next, Command::Value(_)) {
                return Err("what comes after | must be a function".to_owned());
            }
            commands.push(next);
        }
        Ok(commands)
    }

    fn command(&mut self, depth: usize) -> Result<Command, String> {
        self.rest = self.rest.trim_start();
        let function = match self.word() {
            Some(name) => name,
            None => {
                let value = self.operand(depth)?.ok_or("it has an empty {{ }}")?;
                return Ok(Command::Value(value));
            }
        };
        let function = called(&function)?;
        let mut operands = Vec::new();
        while let Some(operand) = self.operand(depth)? {
            operands.push(operand);
        }
        Ok(Command::Call(function, operands))
    }

    /// The next operand; `None`: there is none.
    fn operand(&mut self, depth: usize) -> Result<Option<Operand>, String> {
        self.rest = self.rest.trim_start();
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let ends = ['|', ')', '}'].contains(&first) || self.rest.starts_with("-}}");
        if ends {
            return Ok(None);
        }
        self.left = self.left.checked_sub(1).ok_or("it has more than 64 parts")?;
        match first {
            '(' => {
                self.rest = &self.rest[1..];
                let nested = self.pipeline(depth + 1)?;
                self.rest = self.rest.trim_start();
                self.rest = self.rest.strip_prefix(')').ok_or("a ( in it has no )")?;
                Ok(Some(Operand::Nested(nested)))
            }
            '"' | '`' => self.quoted(first).map(Operand::Text).map(Some),
            '.' => {
                self.rest = &self.rest[1..];
                let name = self.word().ok_or("a dot must have a name after it")?;
                Ok(Some(Operand::Field(name)))
            }
            '0'..='9' | '-' => {
                let end = self.rest[1..].find(|c: char| !c.is_ascii_digit());
                let (number, rest) = self.rest.split_at(end.map_or(self.rest.len(), |end| end + 1));
                self.rest = rest;
                let number = number.parse().map_err(|_| "it has a number that is none")?;
                Ok(Some(Operand::Int(number)))
            }
            _ => {
                let name = self.word().ok_or("it has something that is no part of a template")?;
                // A function among operands is called with nothing.
                Ok(Some(Operand::Nested(vec![Command::Call(called(&name)?, Vec::new())])))
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let (mut text, mut chars) = (String::new(), self.rest[1..].char_indices());
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.rest = &self.rest[1 + at + c.len_utf8()..];
                return Ok(text);
            }
            match c {
                '\\' if quote == '"' => match chars.next() {
                    Some((_, c @ ('"' | '\\'))) => text.push(c),
                    _ => return Err("after a backslash only \" or \\ may follow".to_owned()),
                },
                c => text.push(c),
            }
        }
        Err("a text in it has no end".to_owned())
    }

    /// A name at the beginning of the rest.
    fn word(&mut self) -> Option<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if !word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return None;
        }
        self.rest = rest;
        Some(word.to_owned())
    }
}

fn called(name: &str) -> Result<&'static super::functions::Function, String> {
    FUNCTIONS.iter().find(|function| function.name == name).ok_or_else(|| {
        let known: Vec<_> = FUNCTIONS.iter().map(|function| function.name).collect();
        format!("there is no function '{name}'; there are {}", known.join(", "))
    })
}
