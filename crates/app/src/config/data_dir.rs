//! Where the server keeps everything unless told otherwise.

use std::path::PathBuf;

use clap::{Arg, ArgMatches};

use crate::exit::Exit;

/// The flag that names the directory.
pub(crate) fn flag() -> Arg {
    Arg::new("data-dir").long("data-dir").value_name("DIR").env("KEYSHERD_DATA_DIR").help(
        "Directory for everything the server keeps [default: keysherd in the user's data \
             directory]",
    )
}

/// The directory that the flag names, or the default.
pub(crate) fn of(
    flags: &ArgMatches,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<PathBuf, Exit> {
    match flags.get_one::<String>("data-dir") {
        Some(dir) => Ok(PathBuf::from(dir)),
        None => default(env),
    }
}

/// `keysherd` in the user's data directory.
pub(crate) fn default(env: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, Exit> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_DATA_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("keysherd"))
        .ok_or_else(|| Exit::Configuration("neither HOME nor --data-dir is set".to_owned()))
}
