//! From the path of a request to what it asks for.

use std::collections::HashMap;

use http::StatusCode;
use keysherd_base::Fault;
use keysherd_wire::Command;

/// Longest command name; the longest of the V2 API has 55 bytes.
const NAME_BYTES_MAX: usize = 96;
/// Longest part of an unknown name that is repeated to the caller.
const SHOWN_BYTES_MAX: usize = 128;
/// The prefixes under which the commands are served besides `/` (V2 reference, section 1.3).
const PREFIXES: [&str; 2] = ["api/v2", "v2"];

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The bare base URL, which some clients probe.
    Base,
    /// Readiness.
    Health,
    /// Status.
    Status,
    /// A command by the name as written; not necessarily one that exists.
    Command(&'a str),
}

/// Reads the path of a URL.
///
/// Letter case and slashes at the ends do not matter, neither does a second slash after the
/// prefix, which clients make of a base URL that ends in one.
pub fn route(path: &str) -> Target<'_> {
    let whole = path.trim_matches('/');
    let name = PREFIXES.iter().find_map(|prefix| without_prefix(whole, prefix)).unwrap_or(whole);
    if name.is_empty() {
        Target::Base
    } else if name.eq_ignore_ascii_case("health") {
        Target::Health
    } else if name.eq_ignore_ascii_case("status") {
        Target::Status
    } else {
        Target::Command(name)
    }
}

/// `path` without `prefix`, when that is its first part.
fn without_prefix<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = path.split_at_checked(prefix.len())?;
    let whole_segments = rest.is_empty() || rest.starts_with('/');
    (whole_segments && start.eq_ignore_ascii_case(prefix)).then(|| rest.trim_start_matches('/'))
}

/// A name as far as it can be repeated to the caller: printable ASCII of bounded length.
pub(crate) fn shown(name: &str) -> String {
    name.chars()
        .take(SHOWN_BYTES_MAX)
        .map(|c| match c {
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}

/// A command under one of its names.
#[derive(Debug)]
pub(crate) struct Found<C: 'static> {
    pub(crate) command: &'static Command<C>,
    pub(crate) name: &'static str,
    pub(crate) success: StatusCode,
}

impl<C> Clone for Found<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Found<C> {}

/// All commands by all their names, in lower case.
#[derive(Debug)]
pub(crate) struct Routes<C: 'static> {
    by_name: HashMap<Box<[u8]>, Found<C>>,
}

impl<C> Routes<C> {
    /// # Errors
    /// [`Fault::internal`] when a name is too long, reserved or taken, or a status is not one of
    /// success. All of these are defects of the list.
    pub(crate) fn new(commands: &'static [&'static Command<C>]) -> Result<Self, Fault> {
        let mut by_name = HashMap::new();
        for &command in commands {
            for (name, success) in command.spec.names() {
                let found = Found { command, name, success: success_status(name, success)? };
                if route(name) != Target::Command(name) || name.len() > NAME_BYTES_MAX {
                    let text = format!("command '{name}': the name cannot be a route");
                    return Err(Fault::internal(text));
                }
                let key = name.to_ascii_lowercase().into_bytes().into_boxed_slice();
                if by_name.insert(key, found).is_some() {
                    let text = format!("command '{name}': the name is taken twice");
                    return Err(Fault::internal(text));
                }
            }
        }
        Ok(Self { by_name })
    }

    /// The command called `name` in any letter case.
    pub(crate) fn find(&self, name: &str) -> Option<Found<C>> {
        let mut lower = [0; NAME_BYTES_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        self.by_name.get(&*lower).copied()
    }
}

fn success_status(name: &str, code: u16) -> Result<StatusCode, Fault> {
    StatusCode::from_u16(code)
        .ok()
        .filter(StatusCode::is_success)
        .ok_or_else(|| Fault::internal(format!("command '{name}': {code} is not a success status")))
}

#[cfg(test)]
mod tests;
