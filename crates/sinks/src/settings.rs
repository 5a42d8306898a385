//! The settings of a log target: the fields of its command, kept as texts.

use std::collections::BTreeMap;

use keysherd_base::{Fault, Secret, SecretString};
use keysherd_wire::{Args, Field, Flag, Group, Kind as _, Text};
use serde_json::{Map, Value};

use crate::member::Shown;

/// Longest setting, in bytes: a certificate chain.
const SETTING_BYTES_MAX: usize = 24 * 1024;

/// The settings of all targets that say where records go, and who is believed to be there.
const WHERE: [&str; 14] = [
    "cloud-id",
    "dns",
    "enable-tls",
    "endpoint-url",
    "host",
    "network",
    "nodes",
    "otlp-url",
    "protocol",
    "region",
    "server-type",
    "splunk-url",
    "tls-certificate",
    "webhook-url",
];

/// Settings by field name. Some are secrets, so all are wiped on drop and none is printed.
#[derive(Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// What the arguments give, and where they give nothing, what was there. Secrets that were
    /// there stay only while what says where records go does: otherwise whoever may change that
    /// could have them sent elsewhere.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn merged(fields: &Group, given: &Args, mut old: Self) -> Result<Self, Fault> {
        let (mut merged, mut kept, mut changed) = (Self::default(), Vec::new(), false);
        for field in fields.fields.iter().filter(|field| !field.inert) {
            let absent = |text: &str| text.is_empty() || field.sentinel == Some(text);
            let given = given
                .raw(field.name)
                .filter(|value| !value.is_null() && !value.as_str().is_some_and(absent));
            let was = old.0.remove(field.name);
            let value = match given {
                Some(value) => Text::read(value),
                None if field.secret => {
                    kept.extend(was.map(|was| (field.name.to_owned(), was)));
                    continue;
                }
                None => was.clone(),
            };
            changed |= WHERE.contains(&field.name) && value != was;
            if let Some(value) = value {
                if value.len() > SETTING_BYTES_MAX {
                    return Err(bad(field.documented, "it is longer than 24 KiB"));
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

    /// Reads what [`Self::to_value`] wrote.
    ///
    /// # Errors
    /// [`Fault::internal`] for anything else.
    pub fn from_value(value: &Value) -> Result<Self, Fault> {
        let unreadable = || Fault::internal("settings of a log target cannot be read");
        let map = value.as_object().ok_or_else(unreadable)?;
        let mut settings = Self::default();
        for (name, value) in map {
            let value = value.as_str().ok_or_else(unreadable)?;
            settings.0.insert(name.clone(), value.to_owned());
        }
        Ok(settings)
    }

    /// As they are kept, secrets included: seal it, and wipe it with [`keysherd_wire::wipe`].
    pub fn to_value(&self) -> Value {
        let pairs = self.0.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        Value::Object(pairs.collect())
    }

    /// What is shown of them in V2's shape. No secret.
    pub fn show(&self, fields: &Group, shown: &Shown) -> Value {
        let mut content = Map::new();
        for (name, setting) in shown.content {
            let field = fields.fields.iter().find(|field| field.name == *setting);
            let (Some(field), Some(value)) = (field, self.0.get(*setting)) else { continue };
            if field.secret {
                continue;
            }
            let value = match field.shape {
                keysherd_wire::Shape::Flag => (value == "true").into(),
                _ => value.clone().into(),
            };
            content.insert((*name).to_owned(), value);
        }
        Value::Object(content)
    }

    /// A text.
    pub(crate) fn text(&self, field: &Field<Text>) -> Option<&str> {
        self.0.get(field.name()).map(String::as_str)
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(crate) fn need(&self, field: &Field<Text>) -> Result<&str, Fault> {
        self.text(field).ok_or_else(|| {
            Fault::bad_request(format!("missing required field '{}'", field.spec().documented))
        })
    }

    /// A secret that must be there.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(crate) fn secret(&self, field: &Field<Text>) -> Result<SecretString, Fault> {
        self.need(field).map(|text| Secret::new(text.to_owned()))
    }

    /// A flag, or what it is when nobody said.
    pub(crate) fn flag(&self, field: &Field<Flag>, default: bool) -> bool {
        self.0.get(field.name()).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// One of a few words, in lower case.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field and what it may be.
    pub(crate) fn choice(
        &self,
        field: &Field<Text>,
        choices: &[&'static str],
        default: &'static str,
    ) -> Result<&'static str, Fault> {
        let Some(given) = self.text(field) else { return Ok(default) };
        let known = choices.iter().find(|choice| choice.eq_ignore_ascii_case(given));
        known
            .copied()
            .ok_or_else(|| bad(field.name(), &format!("it must be one of {}", choices.join(", "))))
    }
}

/// A setting that makes no sense.
pub(crate) fn bad(field: &str, want: &str) -> Fault {
    Fault::bad_request(format!("invalid value of '{field}': {want}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Field<Text> = Field::text("token", "The token.").secret();
    const URL: Field<Text> = Field::text("otlp-url", "Where.");
    const INDEX: Field<Text> = Field::text("index", "Which.");
    static FIELDS: Group =
        Group { title: "Target", fields: &[URL.spec(), INDEX.spec(), TOKEN.spec()] };

    fn merged(given: &[(&'static str, &str)], old: Settings) -> Settings {
        let mut args = Args::new();
        for (name, value) in given {
            args.put(name, (*value).into());
        }
        Settings::merged(&FIELDS, &args, old).unwrap()
    }

    fn old() -> Settings {
        merged(&[("otlp-url", "https://a"), ("token", "secret")], Settings::default())
    }

    #[test]
    fn a_kept_secret_goes_nowhere_else() {
        for given in [&[][..], &[("otlp-url", "https://a")]] {
            let same = merged(given, old());
            assert_eq!((same.text(&URL), same.text(&TOKEN)), (Some("https://a"), Some("secret")));
        }
        let moved = merged(&[("otlp-url", "https://b")], old());
        assert_eq!((moved.text(&URL), moved.text(&TOKEN)), (Some("https://b"), None));
        let given = merged(&[("otlp-url", "https://b"), ("token", "other")], old());
        assert_eq!(given.text(&TOKEN), Some("other"));
        assert_eq!(merged(&[("index", "x")], old()).text(&TOKEN), Some("secret"));
    }

    #[test]
    fn every_target_with_a_kept_secret_says_where_it_is() {
        let groups = crate::all().iter().map(|sink| sink.kind().fields);
        for group in groups.filter(|group| group.fields.iter().any(|field| field.secret)) {
            // Of these the secret is the address itself.
            let placed = group.fields.iter().any(|field| WHERE.contains(&field.name));
            assert!(placed || group.title == "Sumo Logic", "{}", group.title);
        }
    }
}
