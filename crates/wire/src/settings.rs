//! The settings of something that is kept for long: the fields of its command, as texts.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use keysherd_base::{Fault, Secret, SecretBuffer, SecretBytes, SecretString};
use serde_json::{Map, Value};

use crate::args::Args;
use crate::field::{self, Field, FieldSpec, Flag, Group, Int, Kind as _, List, Shape, Text};

#[cfg(test)]
mod tests;

/// Longest setting, in bytes: a certificate chain, or long statements.
pub const SETTING_BYTES_MAX: usize = 24 * 1024;

/// Settings by field name. Some are secrets, so all are wiped on drop and none is printed.
#[derive(Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// What the arguments give, and where they give nothing, what was there. Secrets that were
    /// there stay only while the settings in `whereabouts` do, which say where secrets go and who
    /// is believed to be there: otherwise whoever may change those could have them sent elsewhere.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn merged(
        fields: &Group,
        given: &Args,
        mut old: Self,
        whereabouts: &[&str],
    ) -> Result<Self, Fault> {
        let (mut merged, mut kept, mut changed) = (Self::default(), Vec::new(), false);
        for field in fields.fields.iter().filter(|field| !field.inert) {
            let absent = |text: &str| text.is_empty() || field.sentinel == Some(text);
            let given = given
                .raw(field.name)
                .filter(|value| !value.is_null() && !value.as_str().is_some_and(absent));
            let was = old.0.remove(field.name);
            let value = match given {
                Some(value) => Some(as_text(field, value).ok_or_else(|| field.mistyped())?),
                None if field.secret => {
                    kept.extend(was.map(|was| (field.name.to_owned(), was)));
                    continue;
                }
                None => was.clone(),
            };
            changed |= whereabouts.contains(&field.name) && value != was;
            if let Some(value) = value {
                if value.len() > SETTING_BYTES_MAX {
                    return Err(bad_setting(field.documented, "it is longer than 24 KiB"));
                }
                merged.0.insert(field.name.to_owned(), value);
            }
        }
        if changed {
            kept.into_iter().for_each(|(_, secret)| drop(Secret::new(secret)));
        } else {
            merged.0.extend(kept);
        }
        Ok(merged)
    }

    /// A fingerprint of the settings of these names, to be compared with another one's.
    pub fn fingerprint(&self, names: &[&str]) -> u64 {
        let mut hasher = DefaultHasher::new();
        names.iter().for_each(|name| self.0.get(*name).hash(&mut hasher));
        hasher.finish()
    }

    /// Reads what [`Self::to_value`] wrote.
    ///
    /// # Errors
    /// [`Fault::internal`] for anything else.
    pub fn from_value(value: &Value) -> Result<Self, Fault> {
        let map = value.as_object().ok_or_else(unreadable)?;
        let mut settings = Self::default();
        for (name, value) in map {
            let value = value.as_str().ok_or_else(unreadable)?;
            settings.0.insert(name.clone(), value.to_owned());
        }
        Ok(settings)
    }

    /// As they are kept, secrets included: seal it, and wipe it with [`crate::wipe`].
    pub fn to_value(&self) -> Value {
        let pairs = self.0.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        Value::Object(pairs.collect())
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`Fault::internal`] for anything else.
    pub fn from_json(json: &[u8]) -> Result<Self, Fault> {
        // The error's text could quote a value.
        serde_json::from_slice(json).map(Self).map_err(|_| unreadable())
    }

    /// The JSON of [`Self::to_value`]. Nothing of it is left in memory but what is returned.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn to_json(&self) -> Result<SecretBytes, Fault> {
        let mut buffer = SecretBuffer::with_capacity(256);
        serde_json::to_writer(&mut buffer, &self.0).map_err(Fault::internal)?;
        Ok(buffer.finish())
    }

    /// What is shown of them: names with the settings that stand behind them. No secret.
    pub fn show(&self, fields: &Group, content: &[(&str, &str)]) -> Map<String, Value> {
        let mut shown = Map::new();
        for (name, setting) in content {
            let field = fields.fields.iter().find(|field| field.name == *setting);
            let Some(field) = field.filter(|field| !field.secret) else { continue };
            if let Some(value) = self.value(field) {
                shown.insert((*name).to_owned(), value);
            }
        }
        shown
    }

    /// A setting in the shape of its field, secret or not: wipe it with [`crate::wipe`] if it is.
    pub fn value(&self, field: &FieldSpec) -> Option<Value> {
        let text = self.0.get(field.name)?;
        Some(match field.shape {
            Shape::Flag => text.eq_ignore_ascii_case("true").into(),
            Shape::Int => text.parse::<i64>().ok()?.into(),
            Shape::List | Shape::Map => serde_json::from_str(text).ok()?,
            Shape::Text => text.clone().into(),
        })
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A text.
    pub fn text(&self, field: &Field<Text>) -> Option<&str> {
        self.0.get(field.name()).map(String::as_str)
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn need(&self, field: &Field<Text>) -> Result<&str, Fault> {
        self.text(field).ok_or_else(|| {
            Fault::bad_request(format!("missing required field '{}'", field.spec().documented))
        })
    }

    /// A secret that must be there.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn secret(&self, field: &Field<Text>) -> Result<SecretString, Fault> {
        self.need(field).map(|text| Secret::new(text.to_owned()))
    }

    /// A flag, or what it is when nobody said.
    pub fn flag(&self, field: &Field<Flag>, default: bool) -> bool {
        self.0.get(field.name()).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether a flag was given at all.
    pub fn says(&self, field: &Field<Flag>) -> Option<bool> {
        self.0.get(field.name()).map(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A number.
    pub fn int(&self, field: &Field<Int>) -> Option<i64> {
        self.0.get(field.name())?.parse().ok()
    }

    /// A list; empty when it was not given.
    pub fn list(&self, field: &Field<List>) -> Vec<String> {
        let text = self.0.get(field.name());
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// One of a few words, in lower case.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field and what it may be.
    pub fn choice(
        &self,
        field: &Field<Text>,
        choices: &[&'static str],
        default: &'static str,
    ) -> Result<&'static str, Fault> {
        let Some(given) = self.text(field) else { return Ok(default) };
        let known = choices.iter().find(|choice| choice.eq_ignore_ascii_case(given));
        known.copied().ok_or_else(|| {
            bad_setting(field.name(), &format!("it must be one of {}", choices.join(", ")))
        })
    }
}

/// A setting that makes no sense.
pub fn bad_setting(field: &str, want: &str) -> Fault {
    Fault::bad_request(format!("invalid value of '{field}': {want}"))
}

fn unreadable() -> Fault {
    Fault::internal("settings that were kept cannot be read")
}

/// A given value as it is kept: lists and maps as JSON.
fn as_text(field: &FieldSpec, value: &Value) -> Option<String> {
    match field.shape {
        Shape::List => serde_json::to_string(&List::read(value)?).ok(),
        Shape::Map => serde_json::to_string(&field::Map::read(value)?).ok(),
        Shape::Int => Int::read(value).map(|number| number.to_string()),
        Shape::Text | Shape::Flag => Text::read(value),
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        std::mem::take(&mut self.0).into_values().for_each(|text| drop(Secret::new(text)));
    }
}

impl std::fmt::Debug for Settings {
    // By hand, because some are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
