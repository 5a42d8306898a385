//! `audit-export`: all pages of an export, one line after the other, for a file.

use keysherd_wire::{Show, Spec};
use serde_json::Value;

use super::LocalVerb;
use crate::body::Fields;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;

const NAME: &str = "audit-export";

static SPEC: Spec = Spec::open(
    NAME,
    "Exports audit records as signed JSON lines, all pages of them, to standard output.",
    &[],
    Show::Lines,
);

/// `audit-export`.
pub(super) const VERB: LocalVerb =
    LocalVerb { spec: &SPEC, positional: None, run, server_flags: true };

fn run(context: &mut Context<'_, '_>, given: Fields) -> Result<(), Failure> {
    let session = Session::open(context)?;
    let specs = context.program.specs;
    let spec = specs.iter().find(|spec| spec.name == NAME).copied().unwrap_or(&SPEC);
    let mut body = given.into_value();
    loop {
        let response = session.run(context, spec, NAME, body.clone())?;
        let bad = || Failure::new(Exit::ServerError, "the server's answer is no export");
        let answer: Value = serde_json::from_slice(response.body.expose()).map_err(|_| bad())?;
        let lines = answer["lines"].as_array().ok_or_else(bad)?;
        let lines: Vec<_> = lines.iter().filter_map(Value::as_str).collect();
        if !lines.is_empty() {
            context.terminal.print(&lines.join("\n"))?;
        }
        let next = answer["next_page"].as_str().unwrap_or_default();
        let state = if next.is_empty() { "exported and sealed" } else { "so far" };
        context.terminal.note(&format!("{} audit records {state}", answer["records"]));
        if next.is_empty() {
            return Ok(());
        }
        body["pagination-token"] = next.into();
    }
}
