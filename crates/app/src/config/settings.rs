//! Settings of a role from flags, environment and an optional TOML file, read in one way.
//!
//! A flag wins over the environment, the environment over the file, the file over the default. A
//! key of the file is the name of the flag; keys that no flag has are errors.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use toml::{Table, Value};

use super::data_dir;
use crate::exit::Exit;

/// Longest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Flags that say how the program runs, not what it runs with.
const NOT_IN_FILES: &[&str] = &["config", "check-config", "customer-fragments-fd", "help"];

/// What was set, by the names of the flags.
pub(super) struct Settings<'a> {
    /// What the command line and the environment say.
    pub(super) flags: &'a ArgMatches,
    file: Table,
    shown: String,
}

/// An option with a value.
pub(super) fn option(
    name: &'static str,
    value: &'static str,
    env: &'static str,
    help: &'static str,
) -> Arg {
    Arg::new(name).long(name).value_name(value).env(env).help(help)
}

/// An option that may be given several times.
pub(super) fn options(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).action(ArgAction::Append).help(help)
}

/// An option without a value.
pub(super) fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// The options of every role.
pub(super) fn common(command: Command) -> Command {
    super::confinement::confined(command)
        .arg(option("config", "FILE", "KEYSHERD_CONFIG", "TOML file with these settings"))
        .arg(data_dir::flag())
        .arg(switch("log-json", "Write log lines as JSON").env("KEYSHERD_LOG_JSON"))
        .arg(switch("check-config", "Validate the configuration, print it, and exit"))
}

impl<'a> Settings<'a> {
    /// Flags alone, for commands without a file.
    pub(super) fn of_flags(flags: &'a ArgMatches) -> Self {
        Self { flags, file: Table::new(), shown: String::new() }
    }

    /// Reads the file that the flags name, if any. `command` says which keys there are.
    pub(super) fn load(command: &Command, flags: &'a ArgMatches) -> Result<Self, Exit> {
        let path = flags.get_one::<String>("config");
        let file = match path {
            Some(path) => read(Path::new(path))?,
            None => Table::new(),
        };
        let shown = path.cloned().unwrap_or_default();
        let known = |key: &str| {
            !NOT_IN_FILES.contains(&key) && command.get_arguments().any(|arg| arg.get_id() == key)
        };
        if let Some(unknown) = file.keys().find(|key| !known(key)) {
            let keys: Vec<&str> =
                command.get_arguments().map(|arg| arg.get_id().as_str()).collect();
            let keys: Vec<&str> = keys.into_iter().filter(|key| known(key)).collect();
            return Err(Exit::Configuration(format!(
                "in {shown}: unknown key '{unknown}'; known are {}",
                keys.join(", ")
            )));
        }
        Ok(Self { flags, file, shown })
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Exit> {
        if let Some(text) = self.flags.get_one::<String>(name) {
            return Ok(Some(text.clone()));
        }
        match self.file.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Integer(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(self.mistyped(name, "a text or a number")),
        }
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &str, what: &str) -> Result<String, Exit> {
        self.text(name)?.ok_or_else(|| Exit::Configuration(format!("--{name} is missing: {what}")))
    }

    /// Texts: those of the file, then those of the flags.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Exit> {
        let mut texts = Vec::new();
        match self.file.get(name) {
            None => {}
            Some(Value::String(text)) => texts.push(text.clone()),
            Some(Value::Array(values)) => {
                for value in values {
                    let text = value.as_str().ok_or_else(|| self.mistyped(name, "texts"))?;
                    texts.push(text.to_owned());
                }
            }
            Some(_) => return Err(self.mistyped(name, "a list of texts")),
        }
        texts.extend(self.flags.get_many::<String>(name).into_iter().flatten().cloned());
        Ok(texts)
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &self,
        name: &str,
        allowed: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, Exit> {
        let Some(text) = self.text(name)? else { return Ok(default) };
        let number = text.parse().ok().filter(|number| allowed.contains(number));
        number
            .ok_or_else(|| wrong(name, &text, &format!("{} to {}", allowed.start(), allowed.end())))
    }

    /// Something that is parsed from a text; `what` says how it looks.
    pub(super) fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        default: &str,
        what: &str,
    ) -> Result<T, Exit> {
        let text = self.text(name)?.unwrap_or_else(|| default.to_owned());
        text.parse().map_err(|_| wrong(name, &text, what))
    }

    /// A yes or no.
    pub(super) fn is_set(&self, name: &str) -> Result<bool, Exit> {
        match self.file.get(name) {
            None => Ok(self.flags.get_flag(name)),
            Some(Value::Boolean(set)) => Ok(*set || self.flags.get_flag(name)),
            Some(_) => Err(self.mistyped(name, "true or false")),
        }
    }

    /// The data directory; `role` is the name of the default one.
    pub(super) fn data_dir(
        &self,
        role: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<PathBuf, Exit> {
        match self.text("data-dir")? {
            Some(dir) => Ok(PathBuf::from(dir)),
            None => Ok(data_dir::default(env)?.with_file_name(format!("keysherd-{role}"))),
        }
    }

    fn mistyped(&self, name: &str, what: &str) -> Exit {
        Exit::Configuration(format!("in {}: {name} must be {what}", self.shown))
    }
}

fn read(path: &Path) -> Result<Table, Exit> {
    let unreadable = |error: std::io::Error| {
        Exit::Configuration(format!("cannot read the file {}: {error}", path.display()))
    };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(Exit::Configuration(format!(
            "{} has {bytes} bytes; a configuration has at most {FILE_BYTES_MAX}",
            path.display()
        )));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    text.parse().map_err(|error| Exit::Configuration(format!("in {}: {error}", path.display())))
}

/// A setting with a value that is not allowed.
pub(super) fn wrong(name: &str, value: &str, allowed: &str) -> Exit {
    Exit::Configuration(format!("{name} is '{value}'; it must be {allowed}"))
}
