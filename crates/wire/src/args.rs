//! The arguments of one call, and the typed ways to read them.

use serde_json::Value;

use keysherd_base::{Fault, FolderPath, ItemPath, Secret, SecretString};

use crate::command::Spec;
use crate::field::{Field, FieldSpec, Kind, Text};

/// Given arguments by canonical field name. Unknown ones were dropped by the edge.
///
/// Texts are wiped on drop, because some of them are secrets.
#[derive(Default)]
pub struct Args {
    values: Vec<(&'static str, Value)>,
    rows: Option<Vec<Args>>,
}

/// A name as the caller wrote it, with its parsed path.
#[derive(Clone, Debug)]
pub struct Name {
    /// As written.
    pub written: String,
    /// Parsed.
    pub path: ItemPath,
}

impl Args {
    /// No arguments.
    pub fn new() -> Self {
        Self::default()
    }

    /// The arguments of a batch call, one set per element of the array body.
    pub fn from_rows(rows: Vec<Args>) -> Self {
        Self { values: Vec::new(), rows: Some(rows) }
    }

    /// The element calls of a batch body; empty when the body was not an array.
    pub fn rows(&self) -> &[Args] {
        self.rows.as_deref().unwrap_or_default()
    }

    /// Records a given argument; the last of two wins, as in JSON objects.
    pub fn put(&mut self, name: &'static str, value: Value) {
        if let Some((_, old)) = self.values.iter_mut().find(|(known, _)| *known == name) {
            wipe(std::mem::replace(old, value));
        } else {
            self.values.push((name, value));
        }
    }

    /// The raw value of a field, as given.
    pub fn raw(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The names of all given arguments, for the audit record.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.values.iter().map(|(name, _)| *name)
    }

    /// The value of `field`; `None` when it was not given.
    ///
    /// # Errors
    /// A bad request that names the field when the value's type does not fit or the text is not
    /// one of the field's choices.
    pub fn get<K: Kind>(&self, field: &Field<K>) -> Result<Option<K::Value>, Fault> {
        let spec = field.spec();
        let Some(value) = self.raw(spec.name).filter(|value| !spec.is_absent(value)) else {
            return Ok(None);
        };
        check_choice(&spec, value)?;
        K::read(value).map(Some).ok_or_else(|| spec.mistyped())
    }

    /// The value of a field the command cannot do without.
    ///
    /// # Errors
    /// As [`Args::get`], and a bad request when the field was not given.
    pub fn need<K: Kind>(&self, field: &Field<K>) -> Result<K::Value, Fault> {
        self.get(field)?.ok_or_else(|| missing(&field.spec()))
    }

    /// The value of `field`, or `default`.
    ///
    /// # Errors
    /// As [`Args::get`].
    pub fn get_or<K: Kind>(&self, field: &Field<K>, default: K::Value) -> Result<K::Value, Fault> {
        Ok(self.get(field)?.unwrap_or(default))
    }

    /// A required path.
    ///
    /// # Errors
    /// As [`Args::need`], and a bad request when it is not a well-formed path.
    pub fn path(&self, field: &Field<Text>) -> Result<ItemPath, Fault> {
        Ok(ItemPath::parse(&self.need(field)?)?)
    }

    /// An optional path.
    ///
    /// # Errors
    /// As [`Args::get`], and a bad request when it is not a well-formed path.
    pub fn path_opt(&self, field: &Field<Text>) -> Result<Option<ItemPath>, Fault> {
        Ok(self.get(field)?.map(|text| ItemPath::parse(&text)).transpose()?)
    }

    /// A required folder.
    ///
    /// # Errors
    /// As [`Args::need`], and a bad request when it is not a well-formed path.
    pub fn folder(&self, field: &Field<Text>) -> Result<FolderPath, Fault> {
        Ok(FolderPath::parse(&self.need(field)?)?)
    }

    /// A secret text.
    ///
    /// # Errors
    /// As [`Args::get`].
    pub fn secret(&self, field: &Field<Text>) -> Result<Option<SecretString>, Fault> {
        Ok(self.get(field)?.map(Secret::new))
    }

    /// Refuses the call when a given argument has the wrong type or is not one of its field's
    /// choices, whether the command reads it or not: a mistyped argument is a misunderstanding.
    ///
    /// # Errors
    /// A bad request that names the first such argument.
    pub fn check_types(&self, spec: &Spec) -> Result<(), Fault> {
        let mut fields = spec.all_fields().filter(|field| !field.inert);
        fields.try_for_each(|field| match self.raw(field.name) {
            Some(value) if !field.is_absent(value) => {
                check_choice(field, value)?;
                if field.shape.fits(value) { Ok(()) } else { Err(field.mistyped()) }
            }
            _ => Ok(()),
        })
    }

    /// Refuses the call when a required field is missing; names all that are.
    ///
    /// # Errors
    /// A bad request with every missing field.
    pub fn check_required(&self, spec: &Spec) -> Result<(), Fault> {
        let absent: Vec<_> = spec
            .all_fields()
            .filter(|field| field.required)
            .filter(|field| self.raw(field.name).is_none_or(|value| field.is_absent(value)))
            .map(|field| field.documented)
            .collect();
        match absent.as_slice() {
            [] => Ok(()),
            [one] => Err(Fault::bad_request(format!("missing required field '{one}'"))),
            many => {
                Err(Fault::bad_request(format!("missing required fields '{}'", many.join("', '"))))
            }
        }
    }
}

fn missing(spec: &FieldSpec) -> Fault {
    Fault::bad_request(format!("missing required field '{}'", spec.documented))
}

fn check_choice(spec: &FieldSpec, value: &Value) -> Result<(), Fault> {
    let Value::String(text) = value else {
        return Ok(());
    };
    let allowed = spec.choices.is_empty()
        || spec.choices.iter().any(|choice| choice.eq_ignore_ascii_case(text));
    if allowed {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "invalid value of '{}': it must be one of {}",
        spec.documented,
        spec.choices.join(", ")
    )))
}

impl Drop for Args {
    fn drop(&mut self) {
        for (_, value) in self.values.drain(..) {
            wipe(value);
        }
    }
}

/// Drops `value` and overwrites every text in it. For values that may hold secrets.
pub fn wipe(value: Value) {
    match value {
        Value::String(text) => drop(SecretString::new(text)),
        Value::Array(values) => values.into_iter().for_each(wipe),
        Value::Object(map) => map.into_iter().for_each(|(_, value)| wipe(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl std::fmt::Debug for Args {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::{Access, Body, Show};
    use crate::field::{Flag, Int, List, Map};

    const NAME: Field<Text> = Field::text("name", "A name.").required();
    const COUNT: Field<Int> = Field::int("count", "A number.");
    const FORCE: Field<Flag> = Field::flag("force", "A flag.");
    const TAGS: Field<List> = Field::list("tags", "Some texts.");
    const MORE: Field<Map> = Field::map("more", "Some pairs.");
    const KIND: Field<Text> = Field::text("kind", "A choice.").choices(&["one", "two"]);
    const OLD: Field<Int> = Field::int("old", "Has no effect.").inert();

    static SPEC: Spec = Spec {
        name: "toy",
        aliases: &[],
        success: 200,
        summary: "A toy.",
        groups: &[],
        fields: &[
            NAME.spec(),
            COUNT.spec(),
            FORCE.spec(),
            TAGS.spec(),
            MORE.spec(),
            KIND.spec(),
            OLD.spec(),
        ],
        reply: "object",
        access: Access::Open,
        body: Body::Object,
        show: Show::Json,
    };

    fn args(name: &'static str, value: Value) -> Args {
        let mut args = Args::new();
        args.put(name, value);
        args
    }

    #[test]
    fn types_are_checked_whether_the_command_reads_them_or_not() {
        for (name, value) in [
            ("name", json!(["a"])),
            ("name", json!({"a": 1})),
            ("count", json!("many")),
            ("count", json!(1.5)),
            ("force", json!(1)),
            ("force", json!("yes")),
            ("tags", json!({"a": "b"})),
            ("tags", json!([["a"]])),
            ("more", json!(["a"])),
            ("more", json!({"a": ["b"]})),
            ("kind", json!("three")),
        ] {
            let fault = args(name, value.clone()).check_types(&SPEC).unwrap_err();
            assert!(fault.public().contains(name), "{name} {value}: {fault}");
        }
    }

    #[test]
    fn what_clients_send_in_place_of_a_type_is_accepted() {
        for (name, value) in [
            ("name", json!(5)),
            ("name", json!("")),
            ("count", json!("7")),
            ("count", json!(null)),
            ("force", json!("True")),
            ("tags", json!("one")),
            ("tags", json!([1, true, "x"])),
            ("more", json!({"a": 1})),
            ("kind", json!("ONE")),
            ("old", json!("whatever")),
        ] {
            let outcome = args(name, value.clone()).check_types(&SPEC);
            assert!(outcome.is_ok(), "{name} {value}: {outcome:?}");
        }
    }

    #[test]
    fn all_missing_fields_are_named() {
        assert_eq!(
            Args::new().check_required(&SPEC).unwrap_err().public(),
            "missing required field 'name'"
        );
    }
}
