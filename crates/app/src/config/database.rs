//! Where the control plane's store is, if not in its data directory.

use std::path::Path;

use clap::Command;
use keysherd_store::PostgresSettings;

use super::settings::{Settings, option};
use crate::exit::Exit;
use crate::passphrase::PassphraseSource;

/// Name of the systemd credential with the password.
const CREDENTIAL: &str = "database-password";

/// The options of whatever opens control's store.
pub(super) fn database(command: Command) -> Command {
    command
        .arg(option(
            "database",
            "URL",
            "KEYSHERD_DATABASE",
            "PostgreSQL database for the store instead of the data directory, \
             postgres://USER@HOST[,HOST]/NAME?sslrootcert=FILE",
        ))
        .arg(option(
            "database-password-file",
            "FILE",
            "KEYSHERD_DATABASE_PASSWORD_FILE",
            "File with the database user's password; mode 0600",
        ))
}

/// Reads the settings and the files they name.
///
/// # Errors
/// [`Exit::Configuration`] names the setting and what is wrong with it, without the password.
pub(super) fn load(
    settings: &Settings<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<PostgresSettings>, Exit> {
    let file = settings.text("database-password-file")?;
    let Some(url) = settings.text("database")? else {
        return match file {
            None => Ok(None),
            Some(_) => Err(wrong("database-password-file is set and database is not")),
        };
    };
    // What stands on a command line or in the environment, other processes can read.
    if settings.flags.get_one::<String>("database").is_some() && has_password(&url) {
        return Err(wrong(
            "a URL with a password may stand in a configuration file only; use \
             --database-password-file",
        ));
    }
    let source = PassphraseSource::file_or_credential(file, CREDENTIAL, env);
    let password = source.map(|source| source.read(env)).transpose()?;
    let read = |path: &Path| std::fs::read(path);
    let parsed = PostgresSettings::parse(&url, password.as_ref(), read);
    parsed.map(Some).map_err(|fault| wrong(fault.public()))
}

/// Whether somebody's password is before the hosts.
fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let before_path = rest.split(['/', '?']).next().unwrap_or_default();
    before_path.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

fn wrong(why: &str) -> Exit {
    Exit::Configuration(format!("database: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(args: &[&str], file: &str) -> Result<Option<PostgresSettings>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keysherd.toml");
        std::fs::write(&path, file).unwrap();
        let command = || database(super::super::settings::common(Command::new("test")));
        let mut words = vec!["test", "--config", path.to_str().unwrap()];
        words.extend(args);
        let flags = command().try_get_matches_from(words).unwrap();
        let settings = Settings::load(&command(), &flags).map_err(|exit| exit.to_string())?;
        load(&settings, &|_| None).map_err(|exit| exit.to_string())
    }

    #[test]
    fn a_password_is_not_taken_from_the_command_line() {
        let url = "postgres://me:hunter2@127.0.0.1/store?sslmode=disable";
        let text = loaded(&["--database", url], "").unwrap_err();
        assert!(text.contains("--database-password-file") && !text.contains("hunter2"), "{text}");
        let found = loaded(&[], &format!("database = '{url}'")).unwrap().unwrap();
        assert_eq!(found.shown(), "postgres://me@127.0.0.1/store");
    }

    #[test]
    fn what_is_wrong_is_named_without_the_password() {
        let text = loaded(&["--database-password-file", "/nowhere"], "").unwrap_err();
        assert!(text.contains("database is not"), "{text}");
        let url = "database = 'postgres://me:hunter2@db.example/store?sslmode=prefer'";
        let text = loaded(&[], url).unwrap_err();
        assert!(text.contains("sslmode=prefer") && !text.contains("hunter2"), "{text}");
        assert_eq!(loaded(&[], "").unwrap(), None);
    }
}
