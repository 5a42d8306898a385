//! Passphrases and PINs from where nobody else sees them: a file, an open descriptor, a systemd
//! credential. The environment is accepted and warned about; the command line never is.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use keysherd_base::{SecretBuffer, SecretString};

use crate::exit::Exit;
use crate::private_file;

/// Longest passphrase file, in bytes.
const BYTES_MAX: usize = 4 * 1024;
/// Where systemd puts a unit's credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Where a passphrase comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PassphraseSource {
    /// A file that others cannot read.
    File(PathBuf),
    /// An open descriptor, read once.
    Descriptor(u32),
    /// A systemd credential of the unit, by name.
    Credential(String),
    /// A variable of the environment, by name.
    Environment(&'static str),
}

impl PassphraseSource {
    /// The file that is named, or the systemd credential when this process has it.
    pub(crate) fn file_or_credential(
        file: Option<String>,
        credential: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let credential = Self::Credential(credential.to_owned());
        let credential = credential.path(env).filter(|path| path.is_file()).map(|_| credential);
        file.map(|file| Self::File(PathBuf::from(file))).or(credential)
    }

    /// The file it is read from.
    pub(crate) fn path(&self, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Credential(name) => Some(Path::new(&env(CREDENTIALS_DIRECTORY)?).join(name)),
            Self::Descriptor(_) | Self::Environment(_) => None,
        }
    }

    /// Reads the passphrase. One line break at its end does not belong to it.
    ///
    /// # Errors
    /// [`Exit::Configuration`] says what cannot be read and why, and nothing of the content.
    pub(crate) fn read(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<SecretString, Exit> {
        let wrong = |what: String, why: String| Exit::Configuration(format!("{what}: {why}"));
        match self {
            Self::File(path) => {
                let shown = path.display();
                let file = private_file::open(path).map_err(Exit::Configuration)?;
                read(file).map_err(|why| wrong(shown.to_string(), why))
            }
            Self::Descriptor(number) => {
                // Linux shows a process its own descriptors as files.
                let file = File::open(format!("/proc/self/fd/{number}"));
                let text = file.map_err(|error| error.to_string()).and_then(read);
                text.map_err(|why| wrong(format!("descriptor {number}"), why))
            }
            Self::Credential(name) => {
                let shown = format!("systemd credential {name}");
                let dir = env(CREDENTIALS_DIRECTORY).ok_or_else(|| {
                    let why = "this process has none; load it in its unit (LoadCredential=)";
                    wrong(shown.clone(), why.to_owned())
                })?;
                let file = File::open(Path::new(&dir).join(name));
                let text = file.map_err(|error| error.to_string()).and_then(read);
                text.map_err(|why| wrong(shown, why))
            }
            Self::Environment(name) => {
                tracing::warn!(
                    variable = name,
                    "a passphrase comes from the environment, which other programs may see; \
                     prefer a file, a descriptor or a systemd credential"
                );
                let text = env(name).filter(|text| !text.is_empty());
                let missing = || wrong((*name).to_owned(), "it is not set".to_owned());
                text.map(SecretString::new).ok_or_else(missing)
            }
        }
    }
}

fn read(file: File) -> Result<SecretString, String> {
    let mut bytes = SecretBuffer::with_capacity(BYTES_MAX + 1);
    let limit = u64::try_from(BYTES_MAX + 1).unwrap_or(u64::MAX);
    std::io::copy(&mut file.take(limit), &mut bytes).map_err(|error| error.to_string())?;
    let bytes = bytes.finish();
    let text = bytes.expose().as_slice();
    if text.len() > BYTES_MAX {
        return Err(format!("longer than {BYTES_MAX} bytes"));
    }
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let text = std::str::from_utf8(text).map_err(|_| "not text in UTF-8".to_owned())?;
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(SecretString::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_passphrase_is_one_private_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        let source = PassphraseSource::File(path.clone());
        let nothing = |_: &str| None;
        let put = |text: &[u8], mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        put(b"open sesame\n", 0o600);
        assert_eq!(source.read(&nothing).unwrap().expose(), "open sesame");
        for (text, mode, word) in [
            (&b"open sesame"[..], 0o644, "chmod 600"),
            (b"\n", 0o600, "empty"),
            (b"\xff", 0o600, "UTF-8"),
            (&[b'x'; BYTES_MAX + 1], 0o600, "longer"),
        ] {
            put(text, mode);
            let refused = source.read(&nothing).unwrap_err().to_string();
            assert!(refused.contains(word) && !refused.contains("sesame"), "{refused}");
        }
    }

    #[test]
    fn a_credential_is_read_from_the_unit_s_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("epoch"), "from systemd").unwrap();
        let path = dir.path().display().to_string();
        let env = |name: &str| (name == CREDENTIALS_DIRECTORY).then(|| path.clone());
        let source = PassphraseSource::Credential("epoch".to_owned());
        assert_eq!(source.read(&env).unwrap().expose(), "from systemd");
        let refused = source.read(&|_| None).unwrap_err().to_string();
        assert!(refused.contains("LoadCredential"), "{refused}");
    }
}
