//! The command line of `keysherd owner`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use keysherd_base::{AccountId, Uid};
use keysherd_crypto::fingerprint::Fingerprint;
use keysherd_crypto::pkcs11::TokenUri;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::order::{FreezeScope, ORDER_LIFE_MS_MAX, OrderAction};

use super::enlist::{Add, CapsOf, GivenCaps};
use super::key::OwnerSecrets;
use super::recovery::Custody;
use super::sign::Consent;
use crate::config::data_dir_default;
use crate::exit::Exit;
use crate::secret_source::{self, SecretSource};

/// Days for which managers take an order unless told otherwise.
const ORDER_DAYS_DEFAULT: &str = "7";

/// What is to be done, and with what.
pub(super) struct OwnerTask {
    /// The owner's directory.
    pub(super) dir: PathBuf,
    /// Whether it is that of a server on one machine.
    pub(super) server: bool,
    pub(super) secrets: OwnerSecrets,
    pub(super) consent: Consent,
    pub(super) task: Task,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Init { token: Option<TokenUri> },
    Show { file: Option<PathBuf>, json: bool },
    Add(Add),
    Remove { machines: Vec<String> },
    SetCaps { of: CapsOf, caps: GivenCaps },
    AllowFragments { cluster: Option<String>, ids: Vec<Uid> },
    Sign { file: Option<PathBuf> },
    Adopt { file: PathBuf },
    Rotate { token: Option<TokenUri> },
    ChangePassphrase,
    RecoveryKey(Custody),
    Move { to: PathBuf },
    Order { verb: String, action: OrderAction, valid_days: i64, out: Option<PathBuf> },
}

impl Task {
    /// Whether it changes the bundle or the key.
    pub(super) const fn writes(&self) -> bool {
        !matches!(self, Self::Show { .. } | Self::Order { .. })
    }
}

/// The command line.
pub(crate) fn command() -> Command {
    Command::new("owner")
        .about("The owner's key, and what it signs: whom machines believe, orders to managers.")
        .subcommand_required(true)
        .subcommands([
            with_secrets(place(Command::new("init")))
                .about("Make an owner: a key in a new directory, and an empty draft.")
                .arg(token_flag()),
            place(Command::new("show"))
                .about("Show the owner's fingerprint and the newest bundle, or a file.")
                .arg(json_flag())
                .arg(file("file", "A bundle or a request to show instead", false)),
            agreed("add", "Let machines in by the request files that enroll wrote; sign.")
                .arg(file("request", "Request files", true).num_args(1..))
                .arg(option("cluster", "NAME", "Cluster that gateways join"))
                .arg(option("replace", "NAME", "Manager whose place the new machine takes"))
                .arg(
                    option("fingerprint", "FINGERPRINT", "What the machine showed; repeatable")
                        .action(ArgAction::Append)
                        .value_parser(clap::value_parser!(Fingerprint)),
                ),
            agreed("remove", "Take machines out, by name or fingerprint; sign.").arg(
                Arg::new("machine")
                    .value_name("NAME")
                    .required(true)
                    .num_args(1..)
                    .help("Name or fingerprint of a machine"),
            ),
            caps_command(),
            agreed("allow-fragment", "Let a cluster use customer fragments; sign.")
                .arg(option("cluster", "NAME", "The cluster, where there are several"))
                .arg(
                    Arg::new("id")
                        .value_name("ID")
                        .required(true)
                        .num_args(1..)
                        .help("Ids of customer fragments"),
                ),
            agreed("sign", "Sign the draft after it was edited.").arg(file(
                "file",
                "A draft to sign instead of the one in the directory",
                false,
            )),
            agreed("adopt", "Take over a newer bundle of this owner, when this is an older copy.")
                .arg(file("file", "The newer bundle", true)),
            agreed("rotate", "Replace the owner's key by a new one that machines follow.")
                .arg(token_flag()),
            with_secrets(place(Command::new("change-passphrase")))
                .about("Put the key under another passphrase."),
            agreed("move", "Take the owner's key off a server on one machine.")
                .arg(option("to", "DIR", "The new owner's directory").required(true)),
            recovery_command(),
            order_command(),
        ])
}

fn place(command: Command) -> Command {
    command
        .arg(
            option(
                "dir",
                "DIR",
                "The owner's directory [default: keysherd-owner beside the \
                                   user's data directories]",
            )
            .env("KEYSHERD_OWNER_DIR"),
        )
        .arg(
            option(
                "data-dir",
                "DIR",
                "Data directory of a server on one machine, whose owner is \
                                        meant instead",
            )
            .conflicts_with("dir"),
        )
}

fn with_secrets(command: Command) -> Command {
    command
        .args(secret_source::flags("passphrase-file", "passphrase-fd", "the key's passphrase"))
        .args(secret_source::flags(
            "new-passphrase-file",
            "new-passphrase-fd",
            "the passphrase of a new key, where it is another",
        ))
        .args(secret_source::flags("pin-file", "pin-fd", "the token's PIN"))
}

/// A command that shows what it would do, asks, and signs.
fn agreed(name: &'static str, about: &'static str) -> Command {
    with_secrets(place(Command::new(name)))
        .about(about)
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Show what would change, and change nothing"),
        )
        .arg(Arg::new("yes").long("yes").action(ArgAction::SetTrue).help("Do not ask"))
        .arg(option(
            "current",
            "FILE",
            "The bundle that is in force, where this directory may be an older copy",
        ))
}

fn caps_command() -> Command {
    let cap = |name: &'static str, help: &'static str| option(name, "NUMBER|none", help);
    agreed("set-caps", "Set how much may be derived; what is not given stays; sign.")
        .arg(option("cluster", "NAME", "Caps of a cluster"))
        .arg(option("group", "NAME", "Caps of a key group together"))
        .arg(option("group-keys", "NAME", "Caps of each key of a group"))
        .arg(
            Arg::new("account")
                .long("account")
                .action(ArgAction::SetTrue)
                .help("Caps of each account"),
        )
        .group(
            clap::ArgGroup::new("of")
                .args(["cluster", "group", "group-keys", "account"])
                .required(true),
        )
        .arg(cap("per-second", "Derivations per second"))
        .arg(cap("items-per-hour", "Distinct items per hour"))
        .arg(cap("items-per-day", "Distinct items per day"))
}

fn recovery_command() -> Command {
    let count = |name: &'static str, value: &'static str, help: &'static str| {
        option(name, value, help).required(true).value_parser(clap::value_parser!(u8).range(2..=15))
    };
    agreed("recovery-key", "Make the key that managers seal their fragments to; share it; sign.")
        .arg(count("shares", "M", "How many custodians are needed"))
        .arg(count("of", "N", "How many custodians there are"))
        .arg(option("out-dir", "DIR", "A new directory for their shares").required(true))
}

fn order_command() -> Command {
    let common = |name: &'static str, about: &'static str| {
        agreed(name, about)
            .arg(
                option("valid-days", "DAYS", "Days for which managers take it, 1 to 30")
                    .default_value(ORDER_DAYS_DEFAULT)
                    .value_parser(
                        clap::value_parser!(i64).range(1..=ORDER_LIFE_MS_MAX / 86_400_000),
                    ),
            )
            .arg(option("out", "FILE", "The file for the signed order"))
            .arg(option("account", "ID", "The account, acc- and its digits"))
            .arg(option("key", "ID", "The protection key, 32 hexadecimal digits"))
    };
    let versioned = |name, about| {
        common(name, about).arg(
            option("version", "N", "Its version")
                .required(true)
                .value_parser(clap::value_parser!(u32).range(1..)),
        )
    };
    let scoped = |name, about| common(name, about).arg(option("group", "NAME", "A key group"));
    Command::new("order")
        .about("Sign an order that only the owner can give.")
        .subcommand_required(true)
        .subcommands([
            versioned("destroy", "Destroy a key version for good, after the bundle's delay."),
            versioned("cancel-destroy", "Do not destroy it after all."),
            scoped("freeze", "Let nothing be derived under a key or a group."),
            scoped("unfreeze", "Let it be derived again."),
        ])
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn file(name: &'static str, help: &'static str, required: bool) -> Arg {
    Arg::new(name).value_name("FILE").required(required).help(help)
}

fn json_flag() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON")
}

fn token_flag() -> Arg {
    option("pkcs11", "URI", "Keep the key on a token: pkcs11:token=T;object=K?module-path=FILE")
        .value_parser(clap::value_parser!(TokenUri))
}

/// Reads the command line.
///
/// # Errors
/// [`Exit::Configuration`] names the flag.
pub(super) fn parse(
    matches: &ArgMatches,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<OwnerTask, Exit> {
    let (verb, flags) = matches
        .subcommand()
        .ok_or_else(|| Exit::Configuration("say what to do: owner --help".to_owned()))?;
    let (verb, flags) = match flags.subcommand() {
        Some((order, flags)) => (order, flags),
        None => (verb, flags),
    };
    let server = text(flags, "data-dir");
    let dir = match (text(flags, "dir"), &server) {
        (_, Some(server)) => PathBuf::from(server).join("owner"),
        (Some(dir), None) => PathBuf::from(dir),
        (None, None) => data_dir_default(env)?.with_file_name("keysherd-owner"),
    };
    let consent = match flags.try_get_one::<bool>("yes") {
        Ok(Some(_)) => Consent::of(flags),
        _ => Consent::default(),
    };
    let source =
        |name| SecretSource::of(name, "owner-passphrase", "KEYSHERD_OWNER_PASSPHRASE", flags, env);
    let given = |name: &str| {
        ["file", "fd"].iter().any(|kind| {
            let flag = format!("{name}-{kind}");
            flags.try_contains_id(&flag).is_ok_and(|there| there)
        })
    };
    let new = if given("new-passphrase") { "new-passphrase" } else { "passphrase" };
    let secrets = OwnerSecrets {
        passphrase: source("passphrase"),
        new_passphrase: source(new),
        pin: SecretSource::of("pin", "owner-pin", "KEYSHERD_OWNER_PIN", flags, env),
    };
    let server = server.is_some();
    Ok(OwnerTask { dir, server, secrets, consent, task: task(verb, flags)? })
}

fn task(verb: &str, flags: &ArgMatches) -> Result<Task, Exit> {
    let path = |name: &str| text(flags, name).map(PathBuf::from);
    let texts = |name: &str| -> Vec<String> {
        flags.get_many::<String>(name).into_iter().flatten().cloned().collect()
    };
    let token = || flags.get_one::<TokenUri>("pkcs11").cloned();
    Ok(match verb {
        "init" => Task::Init { token: token() },
        "show" => Task::Show { file: path("file"), json: flags.get_flag("json") },
        "add" => Task::Add(Add {
            requests: texts("request").into_iter().map(PathBuf::from).collect(),
            cluster: text(flags, "cluster"),
            replace: text(flags, "replace"),
            fingerprints: flags.get_many("fingerprint").into_iter().flatten().copied().collect(),
        }),
        "remove" => Task::Remove { machines: texts("machine") },
        "set-caps" => Task::SetCaps { of: caps_of(flags), caps: given_caps(flags)? },
        "allow-fragment" => {
            let id = |text: &String| {
                Uid::parse(text.strip_prefix("cf-").unwrap_or(text)).map_err(|_| {
                    wrong("the id of a customer fragment", text, "cf- and 32 hexadecimal digits")
                })
            };
            let ids = texts("id").iter().map(id).collect::<Result<_, _>>()?;
            Task::AllowFragments { cluster: text(flags, "cluster"), ids }
        }
        "sign" => Task::Sign { file: path("file") },
        "adopt" => Task::Adopt { file: path("file").unwrap_or_default() },
        "rotate" => Task::Rotate { token: token() },
        "change-passphrase" => Task::ChangePassphrase,
        "recovery-key" => Task::RecoveryKey(Custody {
            threshold: flags.get_one::<u8>("shares").copied().unwrap_or_default(),
            shares: flags.get_one::<u8>("of").copied().unwrap_or_default(),
            out_dir: path("out-dir").unwrap_or_default(),
        }),
        "move" => Task::Move { to: path("to").unwrap_or_default() },
        _ => Task::Order {
            verb: verb.to_owned(),
            action: action(verb, flags)?,
            valid_days: flags.get_one::<i64>("valid-days").copied().unwrap_or_default(),
            out: path("out"),
        },
    })
}

fn caps_of(flags: &ArgMatches) -> CapsOf {
    match (text(flags, "cluster"), text(flags, "group"), text(flags, "group-keys")) {
        (Some(name), ..) => CapsOf::Cluster(name),
        (_, Some(name), _) => CapsOf::Group(name),
        (.., Some(name)) => CapsOf::GroupKeys(name),
        _ => CapsOf::Account,
    }
}

fn given_caps(flags: &ArgMatches) -> Result<GivenCaps, Exit> {
    let cap = |name: &str| {
        let Some(text) = text(flags, name) else { return Ok(None) };
        if text == "none" {
            return Ok(Some(None));
        }
        let allowed = "a whole number, or none for no cap";
        text.parse().map(|cap| Some(Some(cap))).map_err(|_| wrong(name, &text, allowed))
    };
    Ok(GivenCaps {
        derivations_per_second: cap("per-second")?,
        items_per_hour: cap("items-per-hour")?,
        items_per_day: cap("items-per-day")?,
    })
}

fn action(verb: &str, flags: &ArgMatches) -> Result<OrderAction, Exit> {
    let key = || -> Result<(AccountId, Uid), Exit> {
        let missing = |name: &str| Exit::Configuration(format!("--{name} is missing"));
        let account = text(flags, "account").ok_or_else(|| missing("account"))?;
        let id = text(flags, "key").ok_or_else(|| missing("key"))?;
        Ok((
            AccountId::parse(&account)
                .map_err(|_| wrong("account", &account, "acc- and 32 hexadecimal digits"))?,
            Uid::parse(&id).map_err(|_| wrong("key", &id, "32 hexadecimal digits"))?,
        ))
    };
    let version = || -> Result<KeyVersion, Exit> {
        let (account, id) = key()?;
        let version = flags.get_one::<u32>("version").copied().unwrap_or_default();
        Ok(KeyVersion { account, id, version })
    };
    let scope = || -> Result<FreezeScope, Exit> {
        match (text(flags, "group"), text(flags, "key")) {
            (Some(name), None) => Ok(FreezeScope::Group(name)),
            (None, _) => key().map(|(account, id)| FreezeScope::Key { account, id }),
            (Some(_), Some(_)) => {
                Err(Exit::Configuration("give --group, or --account and --key".to_owned()))
            }
        }
    };
    Ok(match verb {
        "destroy" => OrderAction::DestroyVersion { key: version()? },
        "cancel-destroy" => OrderAction::CancelDestroy { key: version()? },
        "freeze" => OrderAction::Freeze { scope: scope()? },
        _ => OrderAction::Unfreeze { scope: scope()? },
    })
}

fn text(flags: &ArgMatches, name: &str) -> Option<String> {
    flags.try_get_one::<String>(name).ok().flatten().cloned()
}

fn wrong(name: &str, value: &str, allowed: &str) -> Exit {
    Exit::Configuration(format!("{name} is '{value}'; it must be {allowed}"))
}
