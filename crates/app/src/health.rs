//! `keysherd health`: whether the role of a data directory serves, for probes where there is no
//! shell and no other program.

use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use keysherd_base::SystemClock;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_link::{Identity, KeySet};

use crate::config::data_dir;
use crate::exit::Exit;
use crate::hardening;
use crate::roles::listening::Listening;
use crate::roles::process::write_stdout;

/// Seconds that an answer may take unless told otherwise: less than probes wait.
const SECONDS_DEFAULT: u64 = 4;

/// The command line of `keysherd health`.
pub(crate) fn command() -> Command {
    Command::new("health")
        .about("Say whether the role that runs with a data directory serves: exit code 0 or 69.")
        .arg(data_dir::flag())
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("SECONDS")
                .value_parser(clap::value_parser!(u64).range(1..=60))
                .help("How long an answer may take [default: 4]"),
        )
}

/// Asks the role.
///
/// # Errors
/// [`Exit::Unreachable`] when it does not answer or does not serve; [`Exit::Files`] when no role
/// ever listened with the directory.
pub(crate) fn run(flags: &ArgMatches) -> Result<(), Exit> {
    let dir = data_dir::of(flags, &crate::env)?;
    hardening::conceal()?;
    let listening = Listening::read(&dir)?;
    if let Some(why) = listening.unready() {
        let address = listening.reachable();
        return Err(Exit::Unreachable(format!("{address}: it takes no requests now ({why})")));
    }
    let seconds = flags.get_one("timeout").copied().unwrap_or(SECONDS_DEFAULT);
    crate::runtime()?.block_on(ask(&listening, Duration::from_secs(seconds)))?;
    write_stdout(&format!("serves at {}\n", listening.reachable()));
    Ok(())
}

async fn ask(listening: &Listening, limit: Duration) -> Result<(), Exit> {
    let address = listening.reachable();
    let asked = match listening.key()? {
        None => keysherd_http::probe(address, listening.as_proxy(), limit).await,
        Some(key) => {
            // Nobody: whether the role lets somebody in is not the question.
            let rng = SystemRng::handle();
            let nobody =
                SigningKey::generate(&*rng).map_err(|error| Exit::Damaged(error.to_string()))?;
            let identity = Identity::new(&nobody, "health", Arc::new(SystemClock), rng)?;
            let trust = Arc::new(KeySet::new([key]));
            keysherd_link::probe(address, &identity, trust, limit).await
        }
    };
    asked.map_err(|why| Exit::Unreachable(format!("{address}: {why}")))
}
