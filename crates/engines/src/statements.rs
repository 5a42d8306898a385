//! Statements with holes in them: divided at semicolons before anything is filled in, and filled
//! in so that what stands around a hole stays what it was.
//!
//! Names come from people's claims and passwords from chance; neither may end a quote. So a text is
//! read as its dialect does, each hole's surroundings are remembered, and what fills it is escaped
//! for them. What no escape is certain for is refused: control characters and backslashes anywhere,
//! and everything but plain characters where text is read again (dollar quotes, comments).

use keysherd_base::{Fault, Secret, SecretString};
use keysherd_wire::bad_setting;

#[cfg(test)]
mod tests;

/// Most statements of one setting.
const STATEMENTS_MAX: usize = 64;
/// Longest thing that fills a hole, in bytes.
const VALUE_BYTES_MAX: usize = 1_024;
/// Longest name between braces, in bytes.
const HOLE_BYTES_MAX: usize = 32;

/// Whose quotes and comments they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Standard strings, `E''` strings, dollar quotes, comments in comments.
    Postgres,
    /// As PostgreSQL 8: backslashes escape in every string.
    Redshift,
    /// Backslashes escape in strings, which double quotes are, too; backticks around names.
    Mysql,
    /// Standard strings, brackets around names, comments in comments.
    Mssql,
    /// Standard strings, dollar quotes without names, comments that begin with two slashes.
    Cassandra,
    /// Standard strings; passwords are written as names are.
    Hana,
}

/// What fills a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hole {
    /// `{{name}}` or `{{username}}`: the temporary user.
    Name,
    /// `{{password}}`: that user's password.
    Password,
    /// `{{userHost}}`: the user that runs the statements.
    UserHost,
}

/// Where a hole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Between words.
    Bare,
    /// Inside of quotes of this kind.
    Quoted(char),
    /// In a text that is read again, or by nobody.
    Verbatim,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Hole(Hole, Position),
}

/// One statement.
#[derive(Debug)]
pub(crate) struct Statement {
    dialect: Dialect,
    parts: Vec<Part>,
    /// What is neither quoted nor a comment; each of those is one space.
    code: String,
}

/// What holes are filled with.
pub(crate) struct Values<'a> {
    pub(crate) name: &'a str,
    /// `None`: of a user that goes.
    pub(crate) password: Option<&'a SecretString>,
    pub(crate) user_host: &'a str,
}

impl Statement {
    /// What is neither quoted nor a comment.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// Everything that the author wrote, without holes.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Hole(..) => None,
        })
    }

    /// Whether it has this hole.
    pub(crate) fn has(&self, hole: Hole) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Hole(own, _) if *own == hole))
    }

    /// The statement with its holes filled.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when something cannot be where its hole is.
    pub(crate) fn filled(&self, values: &Values<'_>) -> Result<SecretString, Fault> {
        let length = |part: &Part| match part {
            Part::Text(text) => text.len(),
            Part::Hole(..) => 2 * VALUE_BYTES_MAX + 2,
        };
        // In one piece from the beginning: a text that grows leaves copies behind.
        let room = self.parts.iter().map(length).sum();
        let mut text = Secret::new(String::with_capacity(room));
        for part in &self.parts {
            match part {
                Part::Text(written) => text.expose_mut().push_str(written),
                Part::Hole(hole, position) => {
                    let value = self.value(*hole, values)?;
                    fill(text.expose_mut(), self.dialect, *hole, *position, value)?;
                }
            }
        }
        Ok(text)
    }

    fn value<'a>(&self, hole: Hole, values: &Values<'a>) -> Result<&'a str, Fault> {
        match hole {
            Hole::Name => Ok(values.name),
            Hole::UserHost => Ok(values.user_host),
            Hole::Password => values.password.map(|text| text.expose().as_str()).ok_or_else(|| {
                Fault::bad_request("{{password}} is not known any more when a user is removed")
            }),
        }
    }
}

fn fill(
    text: &mut String,
    dialect: Dialect,
    hole: Hole,
    position: Position,
    value: &str,
) -> Result<(), Fault> {
    let shown = match hole {
        Hole::Name => "{{name}}",
        Hole::Password => "{{password}}",
        Hole::UserHost => "{{userHost}}",
    };
    let refused = |why: &str| Fault::bad_request(format!("what stands for {shown} {why}"));
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return Err(refused("is empty or longer than 1024 bytes"));
    }
    if value.chars().any(|c| c.is_control() || c == '\\') {
        return Err(refused("has a control character or a backslash, which no statement gets"));
    }
    let quote = match (position, hole, dialect) {
        (Position::Quoted(quote), ..) => {
            push_doubled(text, quote, value);
            return Ok(());
        }
        (Position::Verbatim, ..) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_.-@".contains(c);
            if !value.chars().all(plain) {
                return Err(refused(
                    "has characters that cannot stand in a comment or between dollar signs",
                ));
            }
            text.push_str(value);
            return Ok(());
        }
        (Position::Bare, Hole::Password, Dialect::Hana) => '"',
        (Position::Bare, Hole::Password, _) => '\'',
        (Position::Bare, _, Dialect::Mysql) => '`',
        (Position::Bare, _, Dialect::Mssql) => ']',
        (Position::Bare, _, _) => '"',
    };
    text.push(if quote == ']' { '[' } else { quote });
    push_doubled(text, quote, value);
    text.push(quote);
    Ok(())
}

fn push_doubled(text: &mut String, quote: char, value: &str) {
    for c in value.chars() {
        if c == quote {
            text.push(c);
        }
        text.push(c);
    }
}

/// What the reader is inside of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Inside {
    Code,
    Quotes { quote: char, backslashes: bool },
    Line,
    Block(u32),
    Dollars(String),
}

/// Divides a setting into statements.
///
/// # Errors
/// [`Fault::bad_request`] names the field and what is wrong in it.
pub(crate) fn parse(field: &str, text: &str, dialect: Dialect) -> Result<Vec<Statement>, Fault> {
    let mut reader = Reader {
        field,
        dialect,
        inside: Inside::Code,
        done: Vec::new(),
        parts: Vec::new(),
        written: String::new(),
        code: String::new(),
        last: ' ',
    };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_control() && !c.is_ascii_whitespace() {
            return Err(bad_setting(field, "it has a control character"));
        }
        let length = reader.step(c, rest)?;
        rest = &rest[length..];
    }
    if !matches!(reader.inside, Inside::Code | Inside::Line) {
        return Err(bad_setting(field, "a quote or a comment in it has no end"));
    }
    reader.end_statement()?;
    if reader.done.is_empty() {
        return Err(bad_setting(field, "there is no statement in it"));
    }
    Ok(reader.done)
}

struct Reader<'a> {
    field: &'a str,
    dialect: Dialect,
    inside: Inside,
    done: Vec<Statement>,
    parts: Vec<Part>,
    written: String,
    code: String,
    /// The character before, as code has it.
    last: char,
}

impl Reader<'_> {
    /// Takes what is at the beginning of `rest`; gives its length in bytes.
    fn step(&mut self, c: char, rest: &str) -> Result<usize, Fault> {
        if rest.starts_with("{{") {
            return self.hole(rest);
        }
        match self.inside.clone() {
            Inside::Code => self.code(c, rest),
            Inside::Quotes { quote, backslashes } => self.quoted(c, rest, quote, backslashes),
            Inside::Line => {
                self.written.push(c);
                if c == '\n' {
                    self.inside = Inside::Code;
                }
                Ok(c.len_utf8())
            }
            Inside::Block(depth) => Ok(self.block(c, rest, depth)),
            Inside::Dollars(tag) => {
                if rest.starts_with(&tag) {
                    self.written.push_str(&tag);
                    self.inside = Inside::Code;
                    return Ok(tag.len());
                }
                self.written.push(c);
                Ok(c.len_utf8())
            }
        }
    }

    fn hole(&mut self, rest: &str) -> Result<usize, Fault> {
        let known = "known are {{name}}, {{username}}, {{password}} and {{userHost}}";
        let end = rest.find("}}").filter(|end| *end <= HOLE_BYTES_MAX);
        let end =
            end.ok_or_else(|| bad_setting(self.field, &format!("{{{{ has no end; {known}")))?;
        let hole = match rest[2..end].trim() {
            "name" | "username" => Hole::Name,
            "password" => Hole::Password,
            "userHost" => Hole::UserHost,
            _ => {
                return Err(bad_setting(
                    self.field,
                    &format!("it has an unknown {{{{..}}}}; {known}"),
                ));
            }
        };
        if self.written.ends_with('\\') && !matches!(self.inside, Inside::Code) {
            return Err(bad_setting(self.field, "there is a backslash right before {{"));
        }
        let position = match &self.inside {
            Inside::Code => Position::Bare,
            Inside::Quotes { quote, .. } => Position::Quoted(*quote),
            Inside::Line | Inside::Block(_) | Inside::Dollars(_) => Position::Verbatim,
        };
        if !self.written.is_empty() {
            self.parts.push(Part::Text(std::mem::take(&mut self.written)));
        }
        self.parts.push(Part::Hole(hole, position));
        if self.inside == Inside::Code {
            // So that two words on its sides do not become one.
            self.code.push('?');
            self.last = '?';
        }
        Ok(end + 2)
    }

    fn code(&mut self, c: char, rest: &str) -> Result<usize, Fault> {
        if c == ';' {
            self.end_statement()?;
            return Ok(1);
        }
        let mysql = self.dialect == Dialect::Mysql;
        let next = rest.chars().nth(1);
        let begins = match c {
            '\'' => Some(Inside::Quotes { quote: c, backslashes: self.escapes_strings() }),
            '"' => Some(Inside::Quotes { quote: c, backslashes: mysql }),
            '`' if mysql => Some(Inside::Quotes { quote: c, backslashes: false }),
            '[' if self.dialect == Dialect::Mssql => {
                Some(Inside::Quotes { quote: ']', backslashes: false })
            }
            '#' if mysql => Some(Inside::Line),
            // MySQL wants a space after it; `5--1` is a sum there.
            '-' if next == Some('-') => {
                let third = rest.chars().nth(2);
                (!mysql || third.is_none_or(|c| c.is_whitespace())).then_some(Inside::Line)
            }
            // Such a comment is code to some servers, and unreadable to others.
            '/' if mysql && (rest.starts_with("/*!") || rest.starts_with("/*M!")) => {
                return Err(bad_setting(self.field, "it has a comment of the form /*! */"));
            }
            '/' if next == Some('*') => {
                self.written.push_str("/*");
                self.inside = Inside::Block(1);
                self.separate();
                return Ok(2);
            }
            '$' if self.has_dollars() && !is_word(self.last) => {
                dollar_tag(rest).map(Inside::Dollars)
            }
            '$' if self.dialect == Dialect::Cassandra && next == Some('$') => {
                Some(Inside::Dollars("$$".to_owned()))
            }
            '/' if self.dialect == Dialect::Cassandra && next == Some('/') => Some(Inside::Line),
            _ => None,
        };
        let taken = match &begins {
            Some(Inside::Dollars(tag)) => tag.clone(),
            _ => c.to_string(),
        };
        self.written.push_str(&taken);
        match begins {
            Some(inside) => {
                self.inside = inside;
                self.separate();
            }
            None => {
                self.code.push(c);
                self.last = c;
            }
        }
        Ok(taken.len())
    }

    /// Whether texts may stand between dollar signs.
    fn has_dollars(&self) -> bool {
        matches!(self.dialect, Dialect::Postgres | Dialect::Redshift)
    }

    /// Whether a backslash in the string that begins here escapes what follows.
    fn escapes_strings(&self) -> bool {
        match self.dialect {
            Dialect::Redshift | Dialect::Mysql => true,
            Dialect::Mssql | Dialect::Cassandra | Dialect::Hana => false,
            Dialect::Postgres => {
                let before = self.code.strip_suffix(['e', 'E']);
                before.is_some_and(|before| !before.ends_with(is_word))
                    && !self.last.is_whitespace()
            }
        }
    }

    fn quoted(
        &mut self,
        c: char,
        rest: &str,
        quote: char,
        backslashes: bool,
    ) -> Result<usize, Fault> {
        self.written.push(c);
        let mut length = c.len_utf8();
        if backslashes && c == '\\' {
            if rest[length..].starts_with("{{") {
                return Err(bad_setting(self.field, "there is a backslash right before {{"));
            }
            if let Some(next) = rest[length..].chars().next() {
                self.written.push(next);
                length += next.len_utf8();
            }
        } else if c == quote {
            match rest[length..].starts_with(quote) {
                true => {
                    self.written.push(quote);
                    length += quote.len_utf8();
                }
                false => self.inside = Inside::Code,
            }
        }
        Ok(length)
    }

    fn block(&mut self, c: char, rest: &str, depth: u32) -> usize {
        if rest.starts_with("*/") {
            self.written.push_str("*/");
            self.inside = if depth == 1 { Inside::Code } else { Inside::Block(depth - 1) };
            return 2;
        }
        let nests = matches!(self.dialect, Dialect::Postgres | Dialect::Redshift | Dialect::Mssql);
        if nests && rest.starts_with("/*") {
            self.written.push_str("/*");
            self.inside = Inside::Block(depth + 1);
            return 2;
        }
        self.written.push(c);
        c.len_utf8()
    }

    /// A quote or a comment begins: to code it is a space, though to a string right after it no
    /// prefix.
    fn separate(&mut self) {
        self.code.push(' ');
        self.last = ' ';
    }

    fn end_statement(&mut self) -> Result<(), Fault> {
        if !self.written.is_empty() {
            self.parts.push(Part::Text(std::mem::take(&mut self.written)));
        }
        let (parts, code) = (std::mem::take(&mut self.parts), std::mem::take(&mut self.code));
        self.last = ' ';
        if code.trim().is_empty() {
            // Comments, or nothing.
            return Ok(());
        }
        if self.done.len() == STATEMENTS_MAX {
            return Err(bad_setting(self.field, "it has more than 64 statements"));
        }
        self.done.push(Statement { dialect: self.dialect, parts, code });
        Ok(())
    }
}

/// Statements with their holes filled.
///
/// # Errors
/// As [`Statement::filled`].
pub(crate) fn filled(
    statements: &[Statement],
    values: &Values<'_>,
) -> Result<Vec<SecretString>, Fault> {
    statements.iter().map(|statement| statement.filled(values)).collect()
}

/// Demands that the statements are about the user.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn need_name(field: &str, statements: &[Statement]) -> Result<(), Fault> {
    match statements.iter().any(|statement| statement.has(Hole::Name)) {
        true => Ok(()),
        false => Err(bad_setting(field, "none of its statements has {{name}}")),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// `$$` or `$tag$` at the beginning of `rest`.
fn dollar_tag(rest: &str) -> Option<String> {
    let end = rest[1..].find('$')? + 1;
    let tag = &rest[1..end];
    let fits = !tag.starts_with(|c: char| c.is_ascii_digit())
        && tag.chars().all(|c| c.is_alphanumeric() || c == '_');
    fits.then(|| rest[..=end].to_owned())
}
