//! Keeps commands about items to items: targets are stored among them, in a place of their own,
//! and have commands of their own.

use keysherd_base::{Fault, FolderPath};
use keysherd_domain::target::is_stored_path;
use keysherd_wire::{Args, Command, Run};
use serde_json::Value;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;

/// The fields of such commands that name items or folders.
const NAMES: [&str; 8] =
    ["name", "names", "path", "source", "target", "new-name", "key-name", "protection-key"];

/// The same commands, which refuse names in the place of targets.
pub(super) fn from_targets(commands: &'static [&'static ApiCommand]) -> Vec<&'static ApiCommand> {
    commands.iter().map(|command| guarded(command)).collect()
}

fn guarded(command: &'static ApiCommand) -> &'static ApiCommand {
    let run = move |ctx: Ctx, args: Args| -> Run {
        Box::pin(async move {
            NAMES.iter().try_for_each(|field| check(args.raw(field).unwrap_or(&Value::Null)))?;
            (command.run)(ctx, args).await
        })
    };
    Box::leak(Box::new(Command { spec: command.spec, run: Box::leak(Box::new(run)) }))
}

fn check(value: &Value) -> Result<(), Fault> {
    match value {
        Value::Array(values) => values.iter().try_for_each(check),
        Value::String(text) if is_targets(text) => Err(Fault::bad_request(
            "names below /.targets are those of targets; use target-get, target-update-db and \
             so on",
        )),
        _ => Ok(()),
    }
}

/// However it is written.
fn is_targets(text: &str) -> bool {
    FolderPath::parse(text).is_ok_and(|folder| is_stored_path(folder.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_targets_is_found_however_it_is_written() {
        for text in ["/.targets", ".targets", "/.targets/", "/.targets/db", ".targets/db/prod"] {
            assert!(is_targets(text), "{text}");
        }
        for text in ["/", "", "/targets", "/a/.targets", "/.targetsx", "/.target"] {
            assert!(!is_targets(text), "{text}");
        }
    }
}
