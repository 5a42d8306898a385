//! The binary `keysherd`: the server roles, and the command line for everything else.

mod audit;
mod config;
mod customer_fragments;
mod db;
mod describe;
mod doctor;
mod exit;
mod hardening;
mod health;
mod logging;
mod manager_logs;
mod owner;
mod passphrase;
mod private_file;
mod processes;
mod recovery;
mod roles;
mod secret_source;
mod server;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::ArgMatches;
use exit::Exit;
use hardening::Confinement;
use keysherd_base::SystemClock;
use keysherd_cli::Terminal;
use roles::files::DataDir;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The roles of this binary, with a sentence each.
const ROLES: &[(&str, &str)] = &[
    ("server", "Run control plane, fragment managers and gateway on this machine."),
    ("control", "Run the control plane, which stores and authorizes and cannot read."),
    ("fragments", "Run one fragment manager."),
    ("gateway", "Run a gateway: the only place where plaintext meets a key."),
    ("owner", "The owner's key: let machines in, set caps, sign bundles and orders."),
    ("health", "Say whether the role of a data directory serves; for probes."),
    ("account", "Create a further account in a data directory whose server is stopped."),
    ("gen-customer-fragment", "Make a customer fragment and add it to a file."),
    ("customer-fragment", "List customer fragments; make, verify and use recovery shares."),
    ("db", "Check, migrate, export or import the database of a control plane."),
    ("audit", "List or verify the audit log of a data directory, or verify an export of it."),
];

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let verb = args.get(1).and_then(|word| word.to_str()).unwrap_or_default();
    let rest = || args.iter().skip(1).cloned();
    let outcome = match verb {
        "server" => role(config::server::command(), rest(), serve),
        "control" => role(config::control::command(), rest(), control),
        "fragments" => role(config::fragments::command(), rest(), fragments),
        "gateway" => role(config::gateway::command(), rest(), gateway),
        "owner" => role(owner::command(), rest(), of_owner),
        "health" => role(health::command(), rest(), health::run),
        "account" => role(config::account::command(), rest(), account),
        "gen-customer-fragment" => {
            let command = customer_fragments::generate::command();
            role(command, rest(), customer_fragments::generate::run)
        }
        "customer-fragment" => {
            role(customer_fragments::custody::command(), rest(), customer_fragments::custody::run)
        }
        "audit" => role(config::audit::command(), rest(), audit::run),
        "db" => role(config::db::command(), rest(), db::run),
        "describe-commands" => describe::commands(),
        "describe-openapi" => describe::openapi(),
        "describe-reference" => describe::reference(),
        _ => return ExitCode::from(command_line(args)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            let _closed = writeln!(std::io::stderr(), "keysherd: {exit}");
            ExitCode::from(exit.code())
        }
    }
}

fn command_line(args: Vec<OsString>) -> u8 {
    let specs = keysherd_api::commands::specs();
    let program = keysherd_cli::Program {
        name: "keysherd",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Secrets, keys and access that the service cannot read.",
        specs: &specs,
        roles: ROLES,
        waits: keysherd_cli::WAITS,
    };
    Terminal::of_process(|terminal| {
        keysherd_cli::run(&program, args.into_iter(), &env, &SystemClock, terminal)
    })
}

/// Parses the command line of a role. Help goes to standard output; a wrong flag is a wrong
/// configuration.
fn role(
    command: clap::Command,
    args: impl Iterator<Item = OsString>,
    run: fn(&ArgMatches) -> Result<(), Exit>,
) -> Result<(), Exit> {
    let name = format!("keysherd {}", command.get_name());
    match command.bin_name(name).try_get_matches_from(args) {
        Ok(matches) => run(&matches),
        Err(error) if !error.use_stderr() => {
            let _closed = error.print();
            Ok(())
        }
        Err(error) => Err(Exit::Configuration(error.render().to_string())),
    }
}

fn serve(flags: &ArgMatches) -> Result<(), Exit> {
    let config = config::server::ServerConfig::load(flags, &env)?;
    if flags.get_flag("check-config") {
        config.serving.customer_fragments.check()?;
    }
    if only_checked(flags, &config) {
        return Ok(());
    }
    let runtime = prepare(config.log_json, &config.confinement)?;
    remark_environment();
    runtime.block_on(server::run(config))
}

fn control(flags: &ArgMatches) -> Result<(), Exit> {
    if let Some((errand, dir)) = config::control::errand(flags, &env)? {
        return processes::control::errand(&errand, &dir);
    }
    let settings = config::control::ControlSettings::load(flags, &env)?;
    if only_checked(flags, &settings) {
        return Ok(());
    }
    prepare(settings.log_json, &settings.confinement)?.block_on(processes::control::run(settings))
}

fn fragments(flags: &ArgMatches) -> Result<(), Exit> {
    if let Some(("enroll", flags)) = flags.subcommand() {
        let (request, manager) = config::fragments::enrolling(flags, &env)?;
        hardening::conceal()?;
        return processes::enroll::fragments(&request, &manager);
    }
    if let Some((name, flags)) = flags.subcommand() {
        if let Some(errand) = config::recovery::RecoveryErrand::load(name, flags, &env)? {
            hardening::conceal()?;
            return recovery::run(&errand);
        }
        return manager_logs::run(name, flags);
    }
    let settings = config::fragments::FragmentsSettings::load(flags, &env)?;
    if only_checked(flags, &settings) {
        return Ok(());
    }
    prepare(settings.log_json, &settings.confinement)?.block_on(processes::fragments::run(settings))
}

fn gateway(flags: &ArgMatches) -> Result<(), Exit> {
    if let Some(("enroll", flags)) = flags.subcommand() {
        let request = config::enroll::EnrollSettings::of_role("gateway", flags, &env)?;
        return processes::enroll::gateway(&request);
    }
    if let Some((name @ ("endpoints" | "doctor"), flags)) = flags.subcommand() {
        let settings = config::gateway::GatewaySettings::looked_at(flags, &env)?;
        hardening::conceal()?;
        return match name {
            "endpoints" => doctor::endpoints(settings, flags),
            _ => runtime()?.block_on(doctor::doctor(settings, flags.get_flag("json"))),
        };
    }
    if let Some(("recipient", flags)) = flags.subcommand() {
        hardening::conceal()?;
        let (key, public) = config::carry::recipient_files(flags);
        return processes::carry::recipient(&key, &public);
    }
    if let Some((name @ ("export" | "import" | "clone"), flags)) = flags.subcommand() {
        let settings = config::carry::CarrySettings::load(name, flags, &env)?;
        logging::start(settings.gateway.log_json);
        hardening::conceal()?;
        return runtime()?.block_on(processes::carry::run(settings));
    }
    if let Some((_, flags)) = flags.subcommand() {
        let settings = config::gateway::SetupSettings::load(flags, &env)?;
        if only_checked(flags, &settings) {
            return Ok(());
        }
        let (log_json, confinement) = (settings.gateway.log_json, settings.confinement());
        return prepare(log_json, &confinement)?.block_on(processes::setup::run(settings));
    }
    let settings = config::gateway::GatewaySettings::load(flags, &env)?;
    if flags.get_flag("check-config") {
        settings.serving.customer_fragments.check()?;
    }
    if only_checked(flags, &settings) {
        return Ok(());
    }
    let runtime = prepare(settings.log_json, &settings.confinement)?;
    remark_environment();
    runtime.block_on(processes::gateway::run(settings))
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Warns about names in the environment that look as if they meant something.
fn remark_environment() {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for remark in config::environment::remarks(names) {
        tracing::warn!("environment: {remark}");
    }
}

/// Prints the configuration when that is all that is wanted.
fn only_checked(flags: &ArgMatches, config: &dyn std::fmt::Debug) -> bool {
    let only = flags.get_flag("check-config");
    if only {
        let _closed = writeln!(std::io::stdout(), "{config:#?}");
    }
    only
}

/// Starts the log, confines the process to its data directory, and makes the runtime of a role.
fn prepare(log_json: bool, confinement: &Confinement) -> Result<tokio::runtime::Runtime, Exit> {
    logging::start(log_json);
    // A sandbox leaves open only what is there.
    for dir in &confinement.writable {
        if !dir.exists() {
            DataDir::open(dir)?;
        }
    }
    hardening::confine(confinement)?;
    runtime()
}

/// The owner's key is in this process for a moment.
fn of_owner(flags: &ArgMatches) -> Result<(), Exit> {
    hardening::conceal()?;
    owner::run(flags)
}

fn account(flags: &ArgMatches) -> Result<(), Exit> {
    let config = config::account::AccountConfig::load(flags, &env)?;
    logging::start(false);
    hardening::conceal()?;
    runtime()?.block_on(server::create_account(config))
}

fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::Damaged(error.to_string()))
}
