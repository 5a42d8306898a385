//! A profile: how one person or machine logs in to one server, as a TOML table.

use keysherd_base::{Secret, SecretString};
use toml::{Table, Value};

use crate::failure::Failure;

/// Longest name of a profile.
const NAME_BYTES_MAX: usize = 64;

/// Keys of a profile's table (V2 reference, section 8; `ca_file` is ours).
pub(crate) mod key {
    pub(crate) const ACCESS_ID: &str = "access_id";
    pub(crate) const ACCESS_KEY: &str = "access_key";
    pub(crate) const ACCESS_TYPE: &str = "access_type";
    pub(crate) const ACCOUNT_ID: &str = "account_id";
    pub(crate) const ADMIN_EMAIL: &str = "admin_email";
    pub(crate) const ADMIN_PASSWORD: &str = "admin_password";
    pub(crate) const CA_FILE: &str = "ca_file";
    pub(crate) const GATEWAY_URL: &str = "gateway_url";
}

/// A profile. Keys this program does not know are kept. Texts are wiped on drop.
#[derive(Default)]
pub(crate) struct Profile(Table);

impl Profile {
    /// The profile `name` in the text of a profile file.
    ///
    /// Error texts name the place, never the content: it holds secrets.
    pub(crate) fn parse(text: &str, name: &str) -> Result<Self, String> {
        let mut file: Table = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.unwrap_or_default().matches('\n').count() + 1;
            format!("line {line} is not TOML")
        })?;
        let found = file.remove(name);
        wipe(Value::Table(file));
        match found {
            Some(Value::Table(table)) => Ok(Self(table)),
            _ => Err(format!("it has no table [{name}]")),
        }
    }

    /// The text of a profile file.
    pub(crate) fn render(&self, name: &str) -> SecretString {
        // A table of texts and what a file had is always TOML.
        let mut file = Table::new();
        file.insert(name.to_owned(), Value::Table(self.0.clone()));
        let text = toml::to_string(&file).unwrap_or_default();
        wipe(Value::Table(file));
        Secret::new(text)
    }

    /// A text of the profile; empty counts as absent.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// All entries that are not tables or lists, as JSON values.
    pub(crate) fn scalars(&self) -> impl Iterator<Item = (&String, serde_json::Value)> {
        self.0.iter().filter_map(|(key, value)| {
            let value = match value {
                Value::String(text) if !text.is_empty() => text.as_str().into(),
                Value::Integer(number) => (*number).into(),
                Value::Boolean(flag) => (*flag).into(),
                _ => return None,
            };
            Some((key, value))
        })
    }

    /// Sets an entry.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        if let Some(old) = self.0.insert(key.to_owned(), value) {
            wipe(old);
        }
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, key: &str) {
        if let Some(old) = self.0.remove(key) {
            wipe(old);
        }
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        wipe(Value::Table(std::mem::take(&mut self.0)));
    }
}

fn wipe(value: Value) {
    match value {
        Value::String(text) => drop(SecretString::new(text)),
        Value::Array(values) => values.into_iter().for_each(wipe),
        Value::Table(table) => table.into_iter().for_each(|(_, value)| wipe(value)),
        _ => {}
    }
}

/// Refuses names that could not be file names everywhere.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    let plain =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if plain && !name.is_empty() && !name.starts_with('.') && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "'{name}' cannot be the name of a profile: use letters, digits, '-', '_' and '.'"
    )))
}
