//! The secrets of a person at a command: from where [`PassphraseSource`] finds them, or typed.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Arg, ArgMatches};
use keysherd_base::SecretString;
use keysherd_cli::Terminal;

use crate::exit::Exit;
use crate::passphrase::PassphraseSource;

/// Where one secret comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretSource {
    /// What it is, such as `passphrase`; also the beginning of the flags.
    name: &'static str,
    /// `None`: a person types it.
    source: Option<PassphraseSource>,
}

/// The flags `--<name>-file` and `--<name>-fd`.
pub(crate) fn flags(file: &'static str, descriptor: &'static str, what: &str) -> [Arg; 2] {
    [
        Arg::new(file).long(file).value_name("FILE").help(format!("File with {what}; mode 0600")),
        Arg::new(descriptor)
            .long(descriptor)
            .value_name("NUMBER")
            .value_parser(clap::value_parser!(u32))
            .conflicts_with(file)
            .help(format!("Open file descriptor to read {what} from")),
    ]
}

impl SecretSource {
    /// What the flags, the credentials and the environment say, in that order. `name` is the
    /// beginning of the flags, `credential` the name of the systemd credential.
    pub(crate) fn of(
        name: &'static str,
        credential: &str,
        variable: &'static str,
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let file = flags.try_get_one::<String>(&format!("{name}-file")).ok().flatten();
        let number = flags.try_get_one::<u32>(&format!("{name}-fd")).ok().flatten();
        let credential = PassphraseSource::Credential(credential.to_owned());
        let credential = credential.path(env).filter(|path| path.is_file()).map(|_| credential);
        let source = file
            .map(|path| PassphraseSource::File(PathBuf::from(path)))
            .or_else(|| number.map(|number| PassphraseSource::Descriptor(*number)))
            .or(credential)
            .or_else(|| env(variable).map(|_| PassphraseSource::Environment(variable)));
        Self { name, source }
    }

    /// Reads the secret, or asks a person for it. With `twice`, a person types it two times.
    ///
    /// # Errors
    /// [`Exit::Configuration`] when it cannot be read, is empty, or nobody is there to ask.
    pub(crate) fn read(&self, question: &str, twice: bool) -> Result<SecretString, Exit> {
        let secret = match &self.source {
            None => self.ask(question, twice)?,
            Some(source) => {
                if matches!(source, PassphraseSource::Environment(_)) {
                    self.warn();
                }
                source.read(&crate::env)?
            }
        };
        match secret.expose().as_str() {
            "" => Err(Exit::Configuration(format!("the {} is empty", self.name))),
            text if text.contains('\n') => {
                Err(Exit::Configuration(format!("the {} has several lines", self.name)))
            }
            _ => Ok(secret),
        }
    }

    fn ask(&self, question: &str, twice: bool) -> Result<SecretString, Exit> {
        let name = self.name;
        Terminal::of_process(|terminal| {
            if !terminal.stdin_is_terminal {
                return Err(Exit::Configuration(format!(
                    "nobody is there to type the {name}; give --{name}-file or --{name}-fd"
                )));
            }
            let failed = |error: std::io::Error| {
                Exit::Configuration(format!("the {name} cannot be asked for: {error}"))
            };
            let first = (terminal.prompt)(&format!("{question}: ")).map_err(failed)?;
            if twice {
                let again = (terminal.prompt)(&format!("{question}, once more: "));
                if again.map_err(failed)?.expose() != first.expose() {
                    return Err(Exit::Configuration(format!("the {name} was typed differently")));
                }
            }
            Ok(first)
        })
    }

    /// A command has no log to warn in.
    fn warn(&self) {
        let _closed = writeln!(
            std::io::stderr(),
            "keysherd: warning: the {} comes from the environment, which other processes of this \
             user can read; a file or a descriptor is better",
            self.name
        );
    }
}
