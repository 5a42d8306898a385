//! What keeps the key of a manager's store.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Command;
use keysherd_base::RngHandle;
use keysherd_crypto::pkcs11::{Token, TokenUri};
use keysherd_manager::{
    AtRestKey, KeyFile, Moving, PassphraseWrapping, SystemdWrapping, TokenWrapping, WrappedKeyFile,
};

use super::settings::{Settings, option, wrong};
use crate::exit::Exit;
use crate::passphrase::PassphraseSource;
use crate::roles::files::DataDir;

const PASSPHRASE_VARIABLE: &str = "KEYSHERD_AT_REST_PASSPHRASE";

/// A keeper of the epoch key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Keeper {
    /// A file in clear.
    KeyFile,
    /// A file under a passphrase.
    Passphrase(PassphraseSource),
    /// A file under the host's credential key.
    Systemd,
    /// A file under a key of a token, whose PIN is the passphrase.
    Token(TokenUri, PassphraseSource),
}

/// What keeps the key of a manager's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AtRest {
    keeper: Keeper,
    before: Option<Keeper>,
}

/// The options of roles with managers.
pub(super) fn at_rest(command: Command) -> Command {
    command
        .arg(option(
            "at-rest",
            "KEEPER",
            "KEYSHERD_AT_REST",
            "What keeps the key of the fragment store: key-file, passphrase, systemd-creds, or a \
             pkcs11: address of an AES key [default: key-file]",
        ))
        .arg(option(
            "at-rest-before",
            "KEEPER",
            "KEYSHERD_AT_REST_BEFORE",
            "What kept it so far: the key is moved at this start",
        ))
        .arg(option(
            "passphrase-file",
            "FILE",
            "KEYSHERD_PASSPHRASE_FILE",
            "File with the passphrase, or the token's PIN; mode 0600",
        ))
        .arg(option(
            "passphrase-fd",
            "NUMBER",
            "KEYSHERD_PASSPHRASE_FD",
            "Open descriptor to read it from, 3 or higher",
        ))
        .arg(option(
            "passphrase-credential",
            "NAME",
            "KEYSHERD_PASSPHRASE_CREDENTIAL",
            "systemd credential of this unit that holds it",
        ))
}

/// Reads the settings.
///
/// # Errors
/// [`Exit::Configuration`].
pub(super) fn load(settings: &Settings<'_>) -> Result<AtRest, Exit> {
    let keeper = settings.text("at-rest")?.unwrap_or_else(|| "key-file".to_owned());
    let before = settings.text("at-rest-before")?;
    let before = before.map(|text| parse(settings, "at-rest-before", &text)).transpose()?;
    Ok(AtRest { keeper: parse(settings, "at-rest", &keeper)?, before })
}

fn parse(settings: &Settings<'_>, name: &str, text: &str) -> Result<Keeper, Exit> {
    match text {
        "key-file" => Ok(Keeper::KeyFile),
        "systemd-creds" => Ok(Keeper::Systemd),
        "passphrase" => Ok(Keeper::Passphrase(source(settings)?)),
        uri if uri.starts_with("pkcs11:") => {
            let what = |error| Exit::Configuration(format!("{name} is '{uri}': {error}"));
            let uri: TokenUri = uri.parse().map_err(what)?;
            uri.key_label().map_err(what)?;
            Ok(Keeper::Token(uri, source(settings)?))
        }
        other => {
            let allowed = "key-file, passphrase, systemd-creds or a pkcs11: address";
            Err(wrong(name, other, allowed))
        }
    }
}

fn source(settings: &Settings<'_>) -> Result<PassphraseSource, Exit> {
    if let Some(path) = settings.text("passphrase-file")? {
        return Ok(PassphraseSource::File(PathBuf::from(path)));
    }
    if let Some(number) = settings.text("passphrase-fd")? {
        let parsed = number.parse().ok().filter(|number| *number >= 3);
        let parsed = parsed.ok_or_else(|| wrong("passphrase-fd", &number, "3 or higher"))?;
        return Ok(PassphraseSource::Descriptor(parsed));
    }
    match settings.text("passphrase-credential")? {
        Some(name) => Ok(PassphraseSource::Credential(name)),
        None => Ok(PassphraseSource::Environment(PASSPHRASE_VARIABLE)),
    }
}

impl Default for AtRest {
    fn default() -> Self {
        Self { keeper: Keeper::KeyFile, before: None }
    }
}

impl AtRest {
    /// Whether another program is needed, which a sandbox would forbid.
    pub(crate) fn starts_programs(&self) -> bool {
        self.keeper == Keeper::Systemd || self.before == Some(Keeper::Systemd)
    }

    /// The files that are read at the start.
    pub(crate) fn paths(&self, env: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        let keepers = [Some(&self.keeper), self.before.as_ref()];
        let sources = keepers.into_iter().flatten().filter_map(|keeper| match keeper {
            Keeper::Passphrase(source) | Keeper::Token(_, source) => source.path(env),
            Keeper::KeyFile | Keeper::Systemd => None,
        });
        sources.collect()
    }

    /// The same for several directories: what can be read once only is read here.
    ///
    /// # Errors
    /// [`Exit::Configuration`] when a passphrase cannot be read or a token not opened.
    pub(crate) fn open(
        &self,
        rng: &RngHandle,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Keepers, Exit> {
        let before = self.before.as_ref().map(|keeper| Opened::new(keeper, env)).transpose()?;
        Ok(Keepers { now: Opened::new(&self.keeper, env)?, before, rng: rng.clone() })
    }
}

/// Keepers whose secrets were read.
pub(crate) struct Keepers {
    now: Opened,
    before: Option<Opened>,
    rng: RngHandle,
}

enum Opened {
    KeyFile,
    Passphrase(keysherd_base::SecretString),
    Systemd,
    Token(Arc<Token>, String),
}

impl Opened {
    fn new(keeper: &Keeper, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Exit> {
        Ok(match keeper {
            Keeper::KeyFile => Self::KeyFile,
            Keeper::Systemd => Self::Systemd,
            Keeper::Passphrase(source) => Self::Passphrase(source.read(env)?),
            Keeper::Token(uri, source) => {
                let wrong = |error| Exit::Configuration(format!("at-rest: {error}"));
                let label = uri.key_label().map_err(wrong)?.to_owned();
                Self::Token(Arc::new(Token::open(uri, source.read(env)?).map_err(wrong)?), label)
            }
        })
    }

    fn file(&self) -> &'static str {
        match self {
            Self::KeyFile => "epoch.key",
            Self::Passphrase(_) => "epoch.key.passphrase",
            Self::Systemd => "epoch.key.systemd",
            Self::Token(..) => "epoch.key.token",
        }
    }

    fn at(&self, dir: &DataDir, rng: &RngHandle) -> Arc<dyn AtRestKey> {
        let path = dir.join(self.file());
        match self {
            Self::KeyFile => Arc::new(KeyFile::new(path)),
            Self::Systemd => Arc::new(WrappedKeyFile::new(path, SystemdWrapping::default())),
            Self::Passphrase(text) => {
                let text = keysherd_base::SecretString::new(text.expose().clone());
                let wrapping = PassphraseWrapping::new(text, rng.clone());
                Arc::new(WrappedKeyFile::new(path, wrapping))
            }
            Self::Token(token, label) => {
                let wrapping = TokenWrapping::new(token.clone(), label.clone(), rng.clone());
                Arc::new(WrappedKeyFile::new(path, wrapping))
            }
        }
    }
}

impl Keepers {
    /// The keeper of the manager in `dir`.
    ///
    /// # Errors
    /// [`Exit::Configuration`] when another keeper has the key and was not named as the one before.
    pub(crate) fn at(&self, dir: &DataDir) -> Result<Arc<dyn AtRestKey>, Exit> {
        let now = self.now.at(dir, &self.rng);
        let Some(before) = &self.before else {
            self.refuse_others(dir)?;
            return Ok(now);
        };
        Ok(Arc::new(Moving::new(before.at(dir, &self.rng), now)))
    }

    /// A store whose key another keeper has would seem to have lost it.
    fn refuse_others(&self, dir: &DataDir) -> Result<(), Exit> {
        let others = [
            ("epoch.key", "key-file"),
            ("epoch.key.passphrase", "passphrase"),
            ("epoch.key.systemd", "systemd-creds"),
            ("epoch.key.token", "the pkcs11: address"),
        ];
        if dir.join(self.now.file()).exists() {
            return Ok(());
        }
        match others.into_iter().find(|(file, _)| dir.join(file).exists()) {
            None => Ok(()),
            Some((file, keeper)) => Err(Exit::Configuration(format!(
                "the epoch key is in {}: start with --at-rest {keeper}, or move it with \
                 --at-rest-before {keeper}",
                dir.join(file).display()
            ))),
        }
    }
}
