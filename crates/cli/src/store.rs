//! Where profiles and settings are on this machine.
//!
//! Ours: `$KEYSHERD_CONFIG_DIR`, else `$XDG_CONFIG_HOME/keysherd`, else `~/.config/keysherd`, with
//! `profiles/<name>.toml`, `tokens/<name>.json` and `settings.toml`. Profiles of the older place
//! `~/.akeyless` are read when ours are missing, and never written.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use keysherd_base::{Secret, SecretString};
use toml::{Table, Value};

use crate::context::Env;
use crate::failure::Failure;
use crate::private_file;
use crate::profile::{Profile, check_name};

/// Address of a server that was started without changing anything.
pub(crate) const DEFAULT_URL: &str = "https://localhost:8000";
/// Name of the profile when nobody names one.
const DEFAULT_PROFILE: &str = "default";
/// Largest profile or settings file.
pub(crate) const FILE_BYTES_MAX: usize = 256 * 1024;

/// The directories; either may be unknown when the environment has no home.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    own: Option<PathBuf>,
    older: Option<PathBuf>,
}

/// A profile that was found.
pub(crate) struct Found {
    pub(crate) profile: Profile,
    /// Its file.
    pub(crate) path: PathBuf,
}

impl Places {
    /// The places that the environment names.
    pub(crate) fn locate(env: Env<'_>) -> Self {
        let path = |name: &str| {
            env(name)
                .map(PathBuf::from)
                // As the XDG base directory specification demands.
                .filter(|path| path.is_absolute())
        };
        let home = path("HOME");
        let own = path("KEYSHERD_CONFIG_DIR")
            .or_else(|| path("XDG_CONFIG_HOME").map(|base| base.join("keysherd")))
            .or_else(|| home.as_ref().map(|home| home.join(".config/keysherd")));
        Self { own, older: home.map(|home| home.join(".akeyless")) }
    }

    /// Our directory.
    fn own(&self) -> Result<&Path, Failure> {
        self.own.as_deref().ok_or_else(|| {
            Failure::local("there is no place for profiles: HOME is not set")
                .hint("set KEYSHERD_CONFIG_DIR to an absolute path")
        })
    }

    /// The file of a profile.
    pub(crate) fn profile_path(&self, name: &str) -> Result<PathBuf, Failure> {
        check_name(name)?;
        Ok(self.own()?.join("profiles").join(format!("{name}.toml")))
    }

    /// The file of a profile's cached token; `None` without a place for it.
    pub(crate) fn token_path(&self, name: &str) -> Option<PathBuf> {
        check_name(name).ok()?;
        let own = self.own.as_ref()?;
        Some(own.join("tokens").join(format!("{name}.json")))
    }

    /// The profile `name`, ours or the older one.
    pub(crate) fn load(&self, name: &str) -> Result<Option<Found>, Failure> {
        check_name(name)?;
        let file = Path::new("profiles").join(format!("{name}.toml"));
        for directory in [&self.own, &self.older].into_iter().flatten() {
            let path = directory.join(&file);
            let Some(text) = read_text(&path)? else {
                continue;
            };
            let profile = Profile::parse(text.expose(), name).map_err(|why| {
                Failure::local(format!("cannot read profile {}: {why}", path.display()))
                    .hint(format!("write it again: keysherd configure --profile {name}"))
            });
            return Ok(Some(Found { profile: profile?, path }));
        }
        Ok(None)
    }

    /// Writes the profile `name`.
    pub(crate) fn save(&self, name: &str, profile: &Profile) -> Result<(), Failure> {
        let path = self.profile_path(name)?;
        private_file::write(&path, profile.render(name).expose().as_bytes())
            .map_err(|error| cannot_write(&path, &error))
    }

    /// Removes our profile `name`; whether there was one.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, Failure> {
        let path = self.profile_path(name)?;
        private_file::remove(&path).map_err(|error| cannot_write(&path, &error))
    }

    /// The names of all profiles in either place, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>, Failure> {
        let mut names = BTreeSet::new();
        for directory in [&self.own, &self.older].into_iter().flatten() {
            let directory = directory.join("profiles");
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(cannot_read(&directory, &error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| cannot_read(&directory, &error))?;
                let file = entry.file_name().into_string().unwrap_or_default();
                if let Some(name) = file.strip_suffix(".toml")
                    && check_name(name).is_ok()
                {
                    names.insert(name.to_owned());
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The profile that settings name as default, ours before the older ones.
    pub(crate) fn default_in_settings(&self) -> Result<Option<String>, Failure> {
        let own = self.own.as_ref().map(|own| own.join("settings.toml"));
        let older = self.older.as_ref().map(|older| older.join("settings"));
        for path in [own, older].into_iter().flatten() {
            let Some(text) = read_text(&path)? else {
                continue;
            };
            let settings = parse_settings(&path, text.expose())?;
            if let Some(Value::String(name)) = settings.get("default_profile")
                && !name.is_empty()
            {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }

    /// Writes or removes the default profile of our settings.
    pub(crate) fn set_default(&self, name: Option<&str>) -> Result<(), Failure> {
        let path = self.own()?.join("settings.toml");
        let mut settings = match read_text(&path)? {
            Some(text) => parse_settings(&path, text.expose())?,
            None => Table::new(),
        };
        match name {
            Some(name) => settings.insert("default_profile".to_owned(), name.into()),
            None => settings.remove("default_profile"),
        };
        let text = toml::to_string(&settings).unwrap_or_default();
        private_file::write(&path, text.as_bytes()).map_err(|error| cannot_write(&path, &error))
    }

    /// The name of the profile in use: flag, environment, settings, `default`.
    pub(crate) fn chosen(&self, flag: Option<&str>, env: Env<'_>) -> Result<String, Failure> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let named = flag
            .map(str::to_owned)
            .or_else(|| set("KEYSHERD_PROFILE"))
            .or_else(|| set("AKEYLESS_DEFAULT_PROFILE"));
        let name = match named {
            Some(name) => name,
            None => self.default_in_settings()?.unwrap_or_else(|| DEFAULT_PROFILE.to_owned()),
        };
        check_name(&name)?;
        Ok(name)
    }
}

fn parse_settings(path: &Path, text: &str) -> Result<Table, Failure> {
    toml::from_str(text)
        .map_err(|_| Failure::local(format!("the settings {} are not TOML", path.display())))
}

fn read_text(path: &Path) -> Result<Option<SecretString>, Failure> {
    let bytes =
        private_file::read(path, FILE_BYTES_MAX).map_err(|error| cannot_read(path, &error))?;
    let Some(mut bytes) = bytes else {
        return Ok(None);
    };
    String::from_utf8(std::mem::take(bytes.expose_mut()))
        .map(|text| Some(Secret::new(text)))
        .map_err(|_| Failure::local(format!("{} is not UTF-8 text", path.display())))
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::local(format!("cannot read {}: {error}", path.display()))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::local(format!("cannot write {}: {error}", path.display()))
}
