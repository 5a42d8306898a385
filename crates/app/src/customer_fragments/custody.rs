//! `keysherd customer-fragment`: what people do with fragments after they were made: list them,
//! split them into recovery shares, verify those, restore from them.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use keysherd_fragments::fragment_file::{FragmentFile, fingerprint_text, id_text, parse_id};
use serde_json::json;

use super::{ceremony, file, restore, sealed};
use crate::exit::Exit;
use crate::roles::process::write_stdout;
use crate::secret_source;

/// The command line of `keysherd customer-fragment`.
pub(crate) fn command() -> Command {
    Command::new("customer-fragment")
        .about("List customer fragments; split them into recovery shares; verify and restore.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            list_command(),
            split_command(),
            verify_command(),
            restore_command(),
            seal_command(),
            unseal_command(),
        ])
}

/// Does what was asked.
///
/// # Errors
/// [`Exit`] of the verb.
pub(crate) fn run(flags: &ArgMatches) -> Result<(), Exit> {
    match flags.subcommand() {
        Some(("list", flags)) => list(flags),
        Some(("split", flags)) => ceremony::split(flags),
        Some(("verify", flags)) => restore::verify(flags),
        Some(("restore", flags)) => restore::restore(flags),
        Some(("seal", flags)) => sealed::seal(flags),
        Some(("unseal", flags)) => sealed::unseal(flags),
        _ => Err(Exit::Configuration("a verb is needed; see --help".to_owned())),
    }
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn file_flag() -> Arg {
    option("file", "FILE", "The file of customer fragments")
        .default_value(super::generate::FILE_DEFAULT)
}

fn id_flag() -> Arg {
    option("id", "ID", "The fragment, cf-..; not needed when the file has only one")
}

fn json_flag() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON")
}

fn share_files() -> Arg {
    Arg::new("share")
        .value_name("SHARE")
        .num_args(1..)
        .required(true)
        .help("Files with recovery shares; - asks for each row on standard input")
}

fn list_command() -> Command {
    Command::new("list")
        .about("List the fragments of a file, with fingerprints; no values.")
        .args([file_flag(), json_flag()])
}

fn split_command() -> Command {
    let number = |name, default: &'static str, help| {
        option(name, "NUMBER", help)
            .value_parser(clap::value_parser!(u8).range(2..=15))
            .default_value(default)
    };
    Command::new("split")
        .about(
            "Split a fragment into recovery shares for several people, and prove before you leave \
             that they restore it.",
        )
        .args([
            file_flag(),
            id_flag(),
            number("threshold", "3", "How many shares restore the fragment, 2 to 15"),
            number("shares", "5", "How many shares there are, 2 to 15"),
            option("out-dir", "DIR", "Write each share into a file of its own (0600)")
                .conflicts_with("print"),
            Arg::new("print")
                .long("print")
                .action(ArgAction::SetTrue)
                .help("Show each share on the terminal, then ask for it again"),
        ])
}

fn verify_command() -> Command {
    Command::new("verify")
        .about(
            "Check that recovery shares restore the fragment, and note in its file that they do.",
        )
        .args([file_flag(), share_files()])
}

fn restore_command() -> Command {
    Command::new("restore").about("Restore a fragment from recovery shares into a file.").args([
        file_flag(),
        option("name", "NAME", "What people call it").default_value("restored"),
        option("hsm-key-label", "LABEL", "Label of the hardware key of an HSM type"),
        option("fingerprint", "TEXT", "Refuse a fragment with another fingerprint"),
        share_files(),
    ])
}

fn passphrase_flags() -> [Arg; 2] {
    secret_source::flags("passphrase-file", "passphrase-fd", "the passphrase")
}

fn seal_command() -> Command {
    Command::new("seal")
        .about("Seal a copy of the file under a passphrase; recovery shares are the better backup.")
        .arg(file_flag())
        .arg(option("out", "FILE", "The sealed copy; it must not exist").required(true))
        .args(passphrase_flags())
}

fn unseal_command() -> Command {
    let sealed = Arg::new("sealed").value_name("SEALED").required(true).help("The sealed copy");
    Command::new("unseal")
        .about("Add the fragments of a sealed copy to a file.")
        .arg(file_flag())
        .arg(sealed)
        .args(passphrase_flags())
}

/// The file that `--file` names.
pub(super) fn path(flags: &ArgMatches) -> PathBuf {
    PathBuf::from(flags.get_one::<String>("file").cloned().unwrap_or_default())
}

/// The place in `file` of the fragment that `--id` names, or of the only one.
pub(super) fn chosen(flags: &ArgMatches, file: &FragmentFile) -> Result<usize, Exit> {
    let wrong = |text: &str| Exit::Configuration(format!("--id: {text}"));
    let Some(id) = flags.get_one::<String>("id") else {
        return match file.entries.as_slice() {
            [_] => Ok(0),
            [] => Err(wrong("the file has no fragment")),
            _ => Err(wrong("the file has several fragments; name one, see list")),
        };
    };
    let id = parse_id(id).ok_or_else(|| wrong("it must be cf- and 32 hex digits"))?;
    let place = file.entries.iter().position(|entry| entry.id == id);
    place.ok_or_else(|| wrong("the file has no such fragment; see list"))
}

fn list(flags: &ArgMatches) -> Result<(), Exit> {
    let file = file::read(&path(flags))?;
    let mut text = String::new();
    let mut rows = Vec::new();
    for entry in &file.entries {
        let made = entry.fragment().map(|made| fingerprint_text(&made.check_value())).ok();
        let verified = entry.backup_verified_at.map(|at| at.rfc3339());
        text.push_str(&format!(
            "{}  {}\n  type         {}{}\n  fingerprint  {}\n  backup       {}\n",
            id_text(&entry.id),
            entry.name,
            entry.kind.name(),
            entry.kind.key_label().map(|label| format!(", key {label}")).unwrap_or_default(),
            made.as_deref().unwrap_or("kept in hardware"),
            verified.as_deref().map_or("never verified".to_owned(), |at| format!("verified {at}")),
        ));
        rows.push(json!({
            "id": id_text(&entry.id), "name": entry.name, "description": entry.description,
            "fragment_type": entry.kind.name(), "key_label": entry.kind.key_label(),
            "fingerprint": made, "backup_verified_at": verified,
        }));
    }
    if flags.get_flag("json") {
        text = format!("{}\n", json!({ "customer_fragments": rows }));
    } else if file.entries.is_empty() {
        text.push_str("no customer fragments\n");
    }
    write_stdout(&text);
    Ok(())
}
