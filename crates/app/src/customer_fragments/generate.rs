//! `keysherd gen-customer-fragment`: makes a customer fragment and adds it to a file.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use keysherd_base::{Rng as _, Secret, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::fragment_file::{
    DESCRIPTION_BYTES_MAX, FRAGMENTS_MAX, FragmentEntry, FragmentFile, FragmentKind,
    NAME_BYTES_MAX, fingerprint_text, id_text,
};
use keysherd_fragments::leg_c::CustomerFragment;
use serde_json::json;

use super::file;
use super::module::{self, ModuleSource};
use crate::exit::Exit;

/// The file when none is named.
pub(super) const FILE_DEFAULT: &str = "customer_fragments.json";

/// The command line of `keysherd gen-customer-fragment`.
pub(crate) fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("gen-customer-fragment")
        .about(
            "Make a customer fragment and add it to a file. Whoever loses the fragment loses \
             everything bound to it: make recovery shares next.",
        )
        .arg(option("name", "NAME", "What people call it").required(true))
        .arg(option("description", "TEXT", "Free text"))
        .arg(
            option("type", "TYPE", "Where the fragment comes from: see the manual")
                .value_parser(["standard", "hsm_wrapped", "hsm_secured"])
                .default_value("standard"),
        )
        .arg(option("hsm-key-label", "LABEL", "Label of the hardware key of an HSM type"))
        .args(module::flags())
        .arg(
            Arg::new("make-hsm-key")
                .long("make-hsm-key")
                .action(ArgAction::SetTrue)
                .requires(module::HSM)
                .help("Make the hardware key first, on the token of --customer-fragments-hsm"),
        )
        .arg(
            option("out", "FILE", "File to add it to, made when missing (0600); - prints it")
                .default_value(FILE_DEFAULT),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print id, fingerprint and file as JSON"),
        )
}

/// Makes the fragment.
///
/// # Errors
/// [`Exit::Configuration`] for flags that do not go together; [`Exit::FragmentFile`].
pub(crate) fn run(flags: &ArgMatches) -> Result<(), Exit> {
    let entry = new_entry(flags)?;
    let (id, kind) = (entry.id, entry.kind.clone());
    let fingerprint = fingerprint(flags, &entry)?;
    let out = PathBuf::from(text(flags, "out"));
    if out == Path::new("-") {
        let file = FragmentFile { entries: vec![entry], problems: Vec::new() };
        return print(file.to_json().expose());
    }
    file::change(&out, |file| {
        if file.entries.len() >= FRAGMENTS_MAX {
            let text = format!("{} has {FRAGMENTS_MAX} fragments already", out.display());
            return Err(Exit::FragmentFile(text));
        }
        if let Some(same) = file.entries.iter().find(|other| other.name == entry.name) {
            let text = format!(
                "{} has a fragment named '{}' already ({}); choose another name",
                out.display(),
                same.name,
                id_text(&same.id)
            );
            return Err(Exit::Configuration(text));
        }
        file.entries.push(entry);
        Ok(())
    })?;
    let file = out.display().to_string();
    let report = if flags.get_flag("json") {
        let report = json!({
            "id": id_text(&id), "fingerprint": fingerprint, "fragment_type": kind.name(),
            "file": file,
        });
        format!("{report}\n")
    } else {
        sentence(&id, fingerprint.as_deref(), &file)
    };
    print(report.as_bytes())
}

/// The fingerprint; that of a fragment in hardware only when its token is named.
fn fingerprint(flags: &ArgMatches, entry: &FragmentEntry) -> Result<Option<String>, Exit> {
    let text = |made: &CustomerFragment| fingerprint_text(&made.check_value());
    let Some(label) = entry.kind.key_label() else {
        return Ok(entry.fragment().ok().as_ref().map(text));
    };
    let Some(module) = ModuleSource::of_flags(flags)? else { return Ok(None) };
    let module = module.module();
    let asked = module.run(|token| {
        if flags.get_flag("make-hsm-key") {
            token.generate_hmac(label)?;
        }
        token.hmac_sha256(label, entry.value.expose())
    });
    let tag = asked.map_err(|why| Exit::FragmentFile(format!("{why}; no fragment was made")))?;
    let made = CustomerFragment::from_module(entry.id, &tag);
    made.map(|made| Some(text(&made))).map_err(|why| Exit::FragmentWrong(why.to_string()))
}

fn new_entry(flags: &ArgMatches) -> Result<FragmentEntry, Exit> {
    let label = text(flags, "hsm-key-label");
    let kind = match (text(flags, "type").as_str(), label.is_empty()) {
        ("hsm_wrapped", false) => FragmentKind::HsmWrapped { key_label: label.clone() },
        ("hsm_secured", false) => FragmentKind::HsmSecured { key_label: label.clone() },
        ("standard", true) => FragmentKind::Standard,
        ("standard", false) => {
            let text = "--hsm-key-label needs --type hsm_wrapped or hsm_secured";
            return Err(Exit::Configuration(text.to_owned()));
        }
        (kind, _) => {
            let text = format!("--type {kind} needs --hsm-key-label, the label of the HSM's key");
            return Err(Exit::Configuration(text));
        }
    };
    let (name, description) = (text(flags, "name"), text(flags, "description"));
    for (flag, text, max) in [
        ("name", &name, NAME_BYTES_MAX),
        ("description", &description, DESCRIPTION_BYTES_MAX),
        ("hsm-key-label", &label, NAME_BYTES_MAX),
    ] {
        if text.len() > max || text.chars().any(char::is_control) {
            return Err(Exit::Configuration(format!(
                "--{flag} must have at most {max} bytes and no control characters"
            )));
        }
    }
    if name.is_empty() {
        return Err(Exit::Configuration("--name must not be empty".to_owned()));
    }
    let mut value = Secret::new([0; 32]);
    let random =
        |_| Exit::FragmentWrong("the random source failed; no fragment was made".to_owned());
    SystemRng.fill(value.expose_mut()).map_err(random)?;
    let id = Uid::random(&SystemRng).map_err(random)?;
    Ok(FragmentEntry { id, name, description, kind, value, backup_verified_at: None })
}

fn sentence(id: &Uid, fingerprint: Option<&str>, file: &str) -> String {
    let id = id_text(id);
    let fingerprint = fingerprint.unwrap_or("shown by the gateway, which asks the HSM for it");
    format!(
        "Customer fragment {id} was added to {file}\n\
         \x20 fingerprint  {fingerprint}\n\n\
         Whoever loses it loses everything bound to it. Next:\n\
         1. keysherd customer-fragment split --file {file} --id {id} --out-dir DIR\n\
         2. start the gateway with --customer-fragments {file} (or send it SIGHUP)\n\
         3. keysherd create-dfc-key --name /KEY --alg AES256GCM --customer-frg-id {id}\n"
    )
}

fn text(flags: &ArgMatches, name: &str) -> String {
    flags.get_one::<String>(name).cloned().unwrap_or_default()
}

fn print(text: &[u8]) -> Result<(), Exit> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text).and_then(|()| out.flush());
    written.map_err(|error| Exit::FragmentFile(format!("standard output: {error}")))
}
