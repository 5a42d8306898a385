//! The list of commands, as the binary describes itself.

use std::path::Path;

use serde::Deserialize;

use super::run::run;

/// A command.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Spec {
    pub(crate) noun: String,
    pub(crate) name: String,
    pub(crate) success: u16,
    /// `open`, `token`, `admin`, `<rule type> listing` or `<rule type> <capability>`.
    pub(crate) access: String,
    /// `object` or `array`.
    pub(crate) body: String,
    pub(crate) aliases: Vec<Alias>,
    pub(crate) fields: Vec<Field>,
}

/// An older spelling.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) success: u16,
}

/// A field.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) documented: String,
    pub(crate) required: bool,
    pub(crate) secret: bool,
}

impl Spec {
    /// All names with their success status.
    pub(crate) fn names(&self) -> Vec<(&str, u16)> {
        let older = self.aliases.iter().map(|alias| (alias.name.as_str(), alias.success));
        std::iter::once((self.name.as_str(), self.success)).chain(older).collect()
    }

    /// The rule type and capability it needs, where it needs one.
    pub(crate) fn right(&self) -> Option<(&str, &str)> {
        self.access.split_once(' ').filter(|(_, capability)| *capability != "listing")
    }

    /// Whether it has a field.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|known| known.name == field)
    }
}

/// Every command.
pub(crate) fn commands(home: &Path) -> Vec<Spec> {
    let described = run(home, ["describe-commands"]).expect(0).out;
    serde_json::from_str(&described).unwrap()
}
