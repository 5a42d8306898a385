//! `completions`: a script that lets a shell complete commands and flags.

use clap::Command;
use clap_complete::Shell;
use keysherd_wire::{Field, FieldSpec, Show, Spec};

use super::LocalVerb;
use crate::body::Fields;
use crate::context::Context;
use crate::failure::Failure;
use crate::flags;
use crate::verb;

const FIELDS: &[FieldSpec] = &[Field::text("shell", "The shell to write for.")
    .choices(&["bash", "elvish", "fish", "powershell", "zsh"])
    .required()
    .spec()];

static SPEC: Spec = Spec::open(
    "completions",
    "Prints a script that completes commands and flags in a shell.",
    FIELDS,
    Show::Json,
);

/// `completions`.
pub(super) const VERB: LocalVerb =
    LocalVerb { spec: &SPEC, positional: Some("shell"), run, server_flags: false };

fn run(context: &mut Context<'_, '_>, fields: Fields) -> Result<(), Failure> {
    let shell: Shell = fields
        .text("shell")
        .unwrap_or_default()
        .to_ascii_lowercase()
        .parse()
        .map_err(|_| Failure::usage("there are no completions for this shell"))?;
    let program = context.program;
    let subcommands = verb::all(program).map(|verb| {
        let command = Command::new(verb.name).about(verb.spec.summary).disable_version_flag(true);
        flags::add_arguments(command, verb.spec)
    });
    let mut root = Command::new(program.name)
        .about(program.summary.to_owned())
        .disable_help_subcommand(true)
        .subcommands(subcommands);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut root, program.name, &mut script);
    context.terminal.print_raw(&script)
}
