//! `status`: what the server says about itself, without logging in.

use keysherd_wire::{Show, Spec};
use serde_json::Map;

use super::LocalVerb;
use crate::body::Fields;
use crate::context::Context;
use crate::failure::Failure;
use crate::session::Session;
use crate::show;

static SPEC: Spec = Spec::open(
    "status",
    "Shows what the server says about itself: version, trust domains, space.",
    &[],
    Show::Json,
);

/// `status`.
pub(super) const VERB: LocalVerb =
    LocalVerb { spec: &SPEC, positional: None, run, server_flags: false };

fn run(context: &mut Context<'_, '_>, _given: Fields) -> Result<(), Failure> {
    let answer = Session::open(context)?.probe("status")?;
    let shown = show::render(&SPEC.show, context.globals.format, &Map::new(), &answer.body)?;
    show::print(context, &shown)
}
