//! Templates of names: texts with actions such as `{{ .email | replace "@" "-" | truncate 12 }}`.
//!
//! The language is a small part of Go's text/template, which V2 uses: fields, texts, numbers,
//! calls, pipes and parentheses, and no loops, conditions or variables. A reader of its own is
//! smaller than a whole engine, and nothing in it can run long: templates, calls and texts are
//! bounded.

mod functions;
mod reader;

use keysherd_base::{Clock, Fault, Rng};
use keysherd_wire::bad_setting;

use crate::Wish;

pub(crate) use reader::parse;

#[cfg(test)]
mod tests;

/// Longest template, in bytes.
const TEMPLATE_BYTES_MAX: usize = 1_024;
/// Deepest nesting of parentheses.
const DEPTH_MAX: usize = 8;
/// Most calls, fields and texts of a template.
const OPERANDS_MAX: usize = 64;
/// Longest text in between, in bytes.
const TEXT_BYTES_MAX: usize = 4_096;

/// A template that was read.
#[derive(Debug)]
pub(crate) struct Template {
    field: &'static str,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Action(Pipeline),
}

/// Commands whose results go from one to the next.
type Pipeline = Vec<Command>;

#[derive(Debug)]
enum Command {
    Value(Operand),
    Call(&'static functions::Function, Vec<Operand>),
}

#[derive(Debug)]
enum Operand {
    Text(String),
    Int(i64),
    Field(String),
    Nested(Pipeline),
}

/// What an operand is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Worth {
    Text(String),
    Int(i64),
}

/// What templates may know.
pub(crate) struct Known<'a> {
    pub(crate) wish: &'a Wish<'a>,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) rng: &'a dyn Rng,
}

impl Known<'_> {
    /// A field: the two that V2 documents, or a claim of the caller.
    fn field(&self, name: &str) -> Option<String> {
        let claims = self.wish.sub_claims;
        let claim = claims.get(name).and_then(|values| values.first()).cloned();
        match name {
            "DynamicSecretName" => Some(self.wish.item.leaf().to_owned()),
            "UniqueIdentifier" => {
                let own = claims.get("unique_identifier").and_then(|values| values.first());
                Some(own.cloned().unwrap_or_else(|| self.wish.access_id.to_owned()))
            }
            _ => claim,
        }
    }
}

impl Template {
    /// The text that the template makes of what is known.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the claim that is missing, or the call that makes no sense.
    pub(crate) fn text(&self, known: &Known<'_>) -> Result<String, Fault> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(written) => text.push_str(written),
                Piece::Action(pipeline) => text.push_str(&self.run(pipeline, known)?.text()),
            }
            self.bounded(&text)?;
        }
        Ok(text)
    }

    fn run(&self, pipeline: &Pipeline, known: &Known<'_>) -> Result<Worth, Fault> {
        let mut worth = None;
        for command in pipeline {
            let next = match command {
                Command::Value(operand) => self.worth(operand, known)?,
                Command::Call(function, operands) => {
                    let given = operands.iter().map(|operand| self.worth(operand, known));
                    let given = given.collect::<Result<Vec<_>, _>>()?;
                    let made =
                        (function.run)(functions::Given { given, piped: worth.take() }, known);
                    made?.ok_or_else(|| {
                        let usage = format!("{} is written {}", function.name, function.usage);
                        bad_setting(self.field, &usage)
                    })?
                }
            };
            if let Worth::Text(text) = &next {
                self.bounded(text)?;
            }
            worth = Some(next);
        }
        worth.ok_or_else(|| bad_setting(self.field, "it has an empty {{ }}"))
    }

    fn worth(&self, operand: &Operand, known: &Known<'_>) -> Result<Worth, Fault> {
        match operand {
            Operand::Text(text) => Ok(Worth::Text(text.clone())),
            Operand::Int(number) => Ok(Worth::Int(*number)),
            Operand::Nested(pipeline) => self.run(pipeline, known),
            Operand::Field(name) => known.field(name).map(Worth::Text).ok_or_else(|| {
                Fault::bad_request(format!(
                    "the name of the user is made of the claim '{name}', which the caller does not \
                     have; sign in with an auth method that gives it"
                ))
            }),
        }
    }

    fn bounded(&self, text: &str) -> Result<(), Fault> {
        match text.len() <= TEXT_BYTES_MAX {
            true => Ok(()),
            false => Err(bad_setting(self.field, "it makes a text of more than 4096 bytes")),
        }
    }
}

impl Worth {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Int(number) => number.to_string(),
        }
    }
}
