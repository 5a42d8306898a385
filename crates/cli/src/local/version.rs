//! `version`.

use keysherd_wire::{Show, Spec};

use super::LocalVerb;
use crate::program::Program;

static SPEC: Spec = Spec::open("version", "Prints the version of this program.", &[], Show::Json);

/// `version`.
pub(super) const VERB: LocalVerb = LocalVerb {
    spec: &SPEC,
    positional: None,
    run: |context, _| {
        let line = version_line(context.program);
        context.terminal.print(&line)
    },
    server_flags: false,
};

/// What `version` and `--version` print.
pub(crate) fn version_line(program: &Program<'_>) -> String {
    format!("Version: {}", program.version)
}
