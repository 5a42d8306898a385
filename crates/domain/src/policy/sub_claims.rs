//! Whether the sub-claims an association requires are met by those of a token.
//!
//! Every required claim must be met (AND). Of the list of a claim's values one must be met (OR). A
//! value may hold operators, the words `AND` and `OR` between backquotes, which are applied from
//! left to right without precedence: ``ops `AND` eu `OR` root`` is (ops and eu) or root, each of
//! them being met by any value of the bearer's claim. `*` and `?` are wildcards in required values;
//! in the bearer's they are ordinary characters. Claim names are compared exactly.

use std::fmt;

use keysherd_base::Fault;
use keysherd_base::limits::{
    CLAIM_NAME_BYTES_MAX, CLAIM_VALUE_BYTES_MAX, CLAIMS_PER_ASSOC_MAX, LIST_LEN_MAX,
};

use super::case::Case;
use super::wildcard;
use crate::claims::SubClaims;

const AND: &str = "`AND`";
const OR: &str = "`OR`";

/// Whether the bearer's claims meet the required ones; nothing required is always met.
pub fn matches(required: &SubClaims, case_sensitive: bool, bearer: &SubClaims) -> bool {
    unmet(required, case_sensitive, bearer).next().is_none()
}

/// Whether the whole of `text` matches `pattern`, in which `*` is any characters and `?` is one.
/// Wildcards in `text` are ordinary characters; letter case counts.
pub fn fits_pattern(pattern: &str, text: &str) -> bool {
    wildcard::matches(pattern, text, Case::from_flag(true))
}

/// The required claims that the bearer's do not meet, by name.
pub fn unmet<'r>(
    required: &'r SubClaims,
    case_sensitive: bool,
    bearer: &'r SubClaims,
) -> impl Iterator<Item = (&'r str, &'r [String])> {
    let case = Case::from_flag(case_sensitive);
    let claims = required.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()));
    claims.filter(move |(name, values)| {
        let held = bearer.values(name);
        !values.iter().any(|value| is_met(value, case, held))
    })
}

/// Whether a value holds an operator: the V2 field `is_subclaims_with_operator`.
pub fn uses_operators(required: &SubClaims) -> bool {
    required.0.values().flatten().any(|value| next_operator(value).is_some())
}

/// Why required sub-claims were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSubClaims {
    /// Over [`CLAIMS_PER_ASSOC_MAX`].
    TooMany(usize),
    /// A claim without a name, or one over [`CLAIM_NAME_BYTES_MAX`] or with a control character.
    Name,
    /// The claim is given twice.
    Repeated(String),
    /// The claim has no value, or an operator lacks one beside it.
    NoValue(String),
    /// A value is over [`CLAIM_VALUE_BYTES_MAX`] or holds a control character.
    Value(String),
    /// The claim has over [`LIST_LEN_MAX`] values.
    TooManyValues(String),
    /// A list of values of which one holds the operator AND: which goes first would be a guess.
    AndInList(String),
}

impl fmt::Display for BadSubClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid sub-claims: ")?;
        match self {
            Self::TooMany(n) => {
                write!(f, "{n} claims; at most {CLAIMS_PER_ASSOC_MAX} are allowed")
            }
            Self::Name => write!(
                f,
                "a claim needs a name of at most {CLAIM_NAME_BYTES_MAX} bytes without control \
                 characters"
            ),
            Self::Repeated(name) => {
                write!(f, "'{name}' is given twice; write its values as one list")
            }
            Self::NoValue(name) => {
                write!(f, "'{name}' lacks a value; write * to accept any")
            }
            Self::Value(name) => write!(
                f,
                "a value of '{name}' is over {CLAIM_VALUE_BYTES_MAX} bytes or holds a control \
                 character"
            ),
            Self::TooManyValues(name) => {
                write!(f, "'{name}' has over {LIST_LEN_MAX} values; use wildcards")
            }
            Self::AndInList(name) => write!(
                f,
                "'{name}' mixes a comma list with {AND}; write {OR} in place of the commas"
            ),
        }
    }
}

impl std::error::Error for BadSubClaims {}

impl From<BadSubClaims> for Fault {
    fn from(bad: BadSubClaims) -> Self {
        Self::bad_request(bad.to_string())
    }
}

/// Reads the claims an association is to require: names with comma lists of values. Blanks around
/// names, values and commas do not count, and neither do empty list elements.
///
/// # Errors
/// [`BadSubClaims`] says which rule is broken, and by which claim.
pub fn parse_sub_claims<'a>(
    given: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<SubClaims, BadSubClaims> {
    let mut claims = SubClaims::default();
    for (name, list) in given {
        let name = name.trim();
        let well_formed = !name.is_empty() && name.len() <= CLAIM_NAME_BYTES_MAX;
        if !well_formed || name.chars().any(char::is_control) {
            return Err(BadSubClaims::Name);
        }
        if claims.0.insert(name.to_owned(), parse_values(name, list)?).is_some() {
            return Err(BadSubClaims::Repeated(name.to_owned()));
        }
        if claims.0.len() > CLAIMS_PER_ASSOC_MAX {
            return Err(BadSubClaims::TooMany(claims.0.len()));
        }
    }
    Ok(claims)
}

fn parse_values(name: &str, list: &str) -> Result<Vec<String>, BadSubClaims> {
    let mut values = Vec::new();
    for value in list.split(',').map(str::trim).filter(|value| !value.is_empty()) {
        if value.len() > CLAIM_VALUE_BYTES_MAX || value.chars().any(char::is_control) {
            return Err(BadSubClaims::Value(name.to_owned()));
        }
        if Operands::of(value).any(|(_, operand)| operand.is_empty()) {
            return Err(BadSubClaims::NoValue(name.to_owned()));
        }
        if values.len() == LIST_LEN_MAX {
            return Err(BadSubClaims::TooManyValues(name.to_owned()));
        }
        values.push(value.to_owned());
    }
    if values.is_empty() {
        return Err(BadSubClaims::NoValue(name.to_owned()));
    }
    if values.len() > 1 && values.iter().any(|value| value.contains(AND)) {
        return Err(BadSubClaims::AndInList(name.to_owned()));
    }
    Ok(values)
}

fn is_met(value: &str, case: Case, held: &[String]) -> bool {
    let met = |operand: &str| {
        !operand.is_empty() && held.iter().any(|text| wildcard::matches(operand, text, case))
    };
    Operands::of(value).fold(false, |so_far, (operator, operand)| match operator {
        Operator::Or => so_far || met(operand),
        Operator::And => so_far && met(operand),
    })
}

#[derive(Clone, Copy)]
enum Operator {
    And,
    Or,
}

/// The operands of a value, each with the operator before it; the first counts as OR with nothing.
struct Operands<'v> {
    rest: Option<(Operator, &'v str)>,
}

impl<'v> Operands<'v> {
    const fn of(value: &'v str) -> Self {
        Self { rest: Some((Operator::Or, value)) }
    }
}

impl<'v> Iterator for Operands<'v> {
    type Item = (Operator, &'v str);

    fn next(&mut self) -> Option<Self::Item> {
        let (operator, text) = self.rest.take()?;
        let operand = match next_operator(text) {
            Some((before, next, after)) => {
                self.rest = Some((next, after));
                before
            }
            None => text,
        };
        Some((operator, operand.trim()))
    }
}

/// The first operator of `text`: what is before it, which it is, and what is after it.
fn next_operator(text: &str) -> Option<(&str, Operator, &str)> {
    let and = text.split_once(AND).map(|(before, after)| (before, Operator::And, after));
    let or = text.split_once(OR).map(|(before, after)| (before, Operator::Or, after));
    match (and, or) {
        (Some(and), Some(or)) => Some(if and.0.len() < or.0.len() { and } else { or }),
        (and, or) => and.or(or),
    }
}

#[cfg(test)]
mod tests;
