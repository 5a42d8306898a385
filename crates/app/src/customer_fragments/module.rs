//! The hardware module that keeps the keys of customer fragments: which one, its PIN, asking it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Arg, ArgMatches};
use keysherd_base::{Secret, SecretString};
use keysherd_crypto::pkcs11::{Token, TokenError, TokenName, TokenUri};
use keysherd_gateway::FragmentModule;

use super::source::read_file;
use crate::exit::Exit;

/// The flag with the token's address.
pub(crate) const HSM: &str = "customer-fragments-hsm";
/// The flag with the file of its PIN.
pub(crate) const PIN_FILE: &str = "customer-fragments-hsm-pin-file";
/// The variable with the PIN, as other gateways name it.
const PIN_VARIABLE: &str = "HSM_PIN";
/// The systemd credential with the PIN.
const PIN_CREDENTIAL: &str = "customer-fragments-hsm-pin";

/// A token and its PIN, as the configuration names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModuleSource {
    uri: TokenUri,
    pin: PinSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PinSource {
    File(PathBuf),
    Environment,
}

/// The flags that name the module.
pub(crate) fn flags() -> [Arg; 2] {
    [
        Arg::new(HSM).long(HSM).value_name("URI").env("KEYSHERD_CUSTOMER_FRAGMENTS_HSM").help(
            "Token that keeps the keys of hsm_wrapped and hsm_secured fragments: \
             pkcs11:token=LABEL?module-path=FILE",
        ),
        Arg::new(PIN_FILE)
            .long(PIN_FILE)
            .value_name("FILE")
            .env("KEYSHERD_CUSTOMER_FRAGMENTS_HSM_PIN_FILE")
            .help(
                "File with the token's PIN; without it the systemd credential \
                 customer-fragments-hsm-pin, then HSM_PIN from the environment",
            ),
    ]
}

impl ModuleSource {
    /// The module that is configured, if one is. `text` gives a setting from flags or file.
    ///
    /// # Errors
    /// [`Exit::Configuration`] for an address that is none, or a token without a PIN.
    pub(crate) fn choose(
        text: &dyn Fn(&str) -> Result<Option<String>, Exit>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Exit> {
        let wrong = |why: String| Exit::Configuration(format!("{HSM}: {why}"));
        let uri = match text(HSM)? {
            Some(uri) => uri.parse().map_err(|why: TokenError| wrong(why.to_string()))?,
            None => match of_variables(env) {
                Some(uri) => uri,
                None => return Ok(None),
            },
        };
        let credential =
            env("CREDENTIALS_DIRECTORY").map(|dir| Path::new(&dir).join(PIN_CREDENTIAL));
        let pin = if let Some(path) = text(PIN_FILE)? {
            PinSource::File(PathBuf::from(path))
        } else if let Some(path) = credential.filter(|path| path.exists()) {
            PinSource::File(path)
        } else if env(PIN_VARIABLE).is_some() {
            PinSource::Environment
        } else {
            return Err(wrong(format!("the token has no PIN; give --{PIN_FILE}")));
        };
        Ok(Some(Self { uri, pin }))
    }

    /// The same for a command that has no configuration file.
    ///
    /// # Errors
    /// As [`Self::choose`].
    pub(crate) fn of_flags(flags: &ArgMatches) -> Result<Option<Self>, Exit> {
        let text = |name: &str| Ok(flags.get_one::<String>(name).cloned());
        Self::choose(&text, &|name| std::env::var(name).ok())
    }

    /// What has to be readable for as long as the role runs. Where the module keeps its own files
    /// only its vendor knows.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.uri.module.clone()];
        if let PinSource::File(path) = &self.pin {
            paths.push(path.clone());
        }
        paths
    }

    /// The module; it is asked for nothing yet.
    pub(crate) fn module(self) -> Arc<HardwareModule> {
        if self.pin == PinSource::Environment {
            tracing::warn!(
                "the PIN of the customer fragments' token comes from the environment, which other \
                 programs may see; prefer a file or a systemd credential"
            );
        }
        Arc::new(HardwareModule { source: self, token: Mutex::new(Opened::NotYet) })
    }

    fn pin(&self) -> Result<SecretString, String> {
        match &self.pin {
            PinSource::Environment => {
                std::env::var(PIN_VARIABLE).map(Secret::new).map_err(|why| why.to_string())
            }
            PinSource::File(path) => pin_in(path),
        }
    }
}

/// What other gateways are told by the environment.
fn of_variables(env: &dyn Fn(&str) -> Option<String>) -> Option<TokenUri> {
    let module = env("PKCS11_LIB_PATH").map(PathBuf::from)?;
    let label = env("HSM_TOKEN_LABEL").map(TokenName::Label);
    let token = label.or_else(|| env("HSM_TOKEN_SERIAL").map(TokenName::Serial))?;
    Some(TokenUri { module, token, object: None })
}

fn pin_in(path: &Path) -> Result<SecretString, String> {
    let bytes = read_file(path)?;
    let text = std::str::from_utf8(bytes.expose());
    let text = text.map_err(|_| format!("{}: not text", path.display()))?;
    // Editors and echo put a line end after it.
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The module while the gateway runs. It is opened when it is first needed, and again when it was
/// not there; a PIN that it refused is not tried again.
pub(crate) struct HardwareModule {
    source: ModuleSource,
    token: Mutex<Opened>,
}

enum Opened {
    NotYet,
    Open(Box<Token>),
    /// Tokens lock themselves after a few wrong PINs.
    PinRefused(String),
}

impl HardwareModule {
    /// Runs `ask` on the open token.
    ///
    /// # Errors
    /// What failed, for people.
    pub(crate) fn run<T>(
        &self,
        ask: impl FnOnce(&Token) -> Result<T, TokenError>,
    ) -> Result<T, String> {
        let mut opened = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Opened::NotYet = &*opened {
            *opened = match Token::open(&self.source.uri, self.source.pin()?) {
                Ok(token) => Opened::Open(Box::new(token)),
                Err(error @ TokenError::PinRefused { .. }) => Opened::PinRefused(error.to_string()),
                Err(error) => return Err(error.to_string()),
            };
        }
        match &*opened {
            Opened::Open(token) => ask(token).map_err(|error| error.to_string()),
            Opened::PinRefused(why) => Err(format!("{why}; correct it and restart")),
            Opened::NotYet => Err("the token is not open".to_owned()),
        }
    }
}

impl FragmentModule for HardwareModule {
    fn hmac_sha256(&self, key_label: &str, message: &[u8]) -> Result<Secret<[u8; 32]>, String> {
        self.run(|token| token.hmac_sha256(key_label, message))
    }
}
