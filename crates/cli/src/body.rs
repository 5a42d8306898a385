//! From parsed flags to the JSON body of a call.

use clap::ArgMatches;
use keysherd_wire::{Body, FieldSpec, Shape, Spec, wipe};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::failure::Failure;
use crate::flags::BODY_FILE;
use crate::globals;
use crate::secret_input::{self, Origin, Stdin};

/// The fields of a call. Values are wiped on drop, because some are secrets.
#[derive(Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// The text of a field.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Whether a boolean field is true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }

    /// Any field.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether the field was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Sets a field.
    pub(crate) fn put(&mut self, name: &str, value: Value) {
        if let Some(old) = self.0.insert(name.to_owned(), value) {
            wipe(old);
        }
    }

    /// All fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// The fields as a JSON object.
    pub(crate) fn into_value(mut self) -> Value {
        Value::Object(std::mem::take(&mut self.0))
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        wipe(Value::Object(std::mem::take(&mut self.0)));
    }
}

/// What the flags of a command amount to.
pub(crate) struct Given {
    /// The fields.
    pub(crate) fields: Fields,
    /// The array to send instead, of a batch command.
    pub(crate) batch: Option<Value>,
}

/// Reads the flags of `spec`; asks for required secrets when a person is there to answer.
pub(crate) fn collect(
    spec: &'static Spec,
    matches: &ArgMatches,
    context: &mut Context<'_, '_>,
) -> Result<Given, Failure> {
    let mut given = Given { fields: Fields::default(), batch: None };
    let mut stdin = Stdin::default();
    let mut visible = context.globals.token.is_some() || context.globals.uid_token.is_some();
    for field in own_fields(spec) {
        if secret_input::applies(field) {
            let read = secret_input::read(field, matches, &mut stdin, context.terminal)?;
            if let Some((value, origin)) = read {
                visible |= origin == Origin::Flag;
                given.fields.put(field.documented, Value::from(value.expose().as_str()));
            }
        } else if let Some(value) = plain_value(field, matches) {
            visible |= field.secret;
            given.fields.put(field.documented, value);
        }
    }
    if visible {
        context.warn(
            "a secret on the command line can be seen by other users of this machine; use the \
             flag's -file or -stdin form, '-', or an environment variable for tokens",
        );
    }
    add_globals(spec, context, &mut given.fields);
    if spec.body == Body::Array {
        given.batch = read_batch(matches, &mut stdin, context)?;
    }
    if given.batch.is_none() {
        complete(spec, context, &mut given.fields)?;
    }
    Ok(given)
}

fn own_fields(spec: &'static Spec) -> impl Iterator<Item = &'static FieldSpec> {
    spec.all_fields().filter(|field| !globals::is_global(field.name))
}

fn plain_value(field: &FieldSpec, matches: &ArgMatches) -> Option<Value> {
    let id = field.name;
    match field.shape {
        Shape::Text => matches.get_one::<String>(id).cloned().map(Value::from),
        Shape::Flag => matches.get_one::<bool>(id).copied().map(Value::from),
        Shape::Int => matches.get_one::<i64>(id).copied().map(Value::from),
        Shape::List => {
            matches.get_many::<String>(id).map(|values| values.cloned().map(Value::from).collect())
        }
        Shape::Map => matches.get_many::<(String, String)>(id).map(|pairs| {
            let pairs = pairs.map(|(key, value)| (key.clone(), Value::from(value.as_str())));
            Value::Object(pairs.collect())
        }),
    }
}

/// Global flags that are fields of this command as well.
fn add_globals(spec: &Spec, context: &Context<'_, '_>, fields: &mut Fields) {
    let globals = &context.globals;
    let values = [
        ("json", globals.json.map(Value::from)),
        ("gateway-url", globals.gateway_url.as_deref().map(Value::from)),
        ("debug", globals.debug.then_some(Value::Bool(true))),
    ];
    for (name, value) in values {
        if let (Some(field), Some(value)) = (spec.field(name), value) {
            fields.put(field.documented, value);
        }
    }
}

fn read_batch(
    matches: &ArgMatches,
    stdin: &mut Stdin,
    context: &mut Context<'_, '_>,
) -> Result<Option<Value>, Failure> {
    let Some(path) = matches.get_one::<String>(BODY_FILE) else {
        return Ok(None);
    };
    let text = match path.as_str() {
        "-" => stdin.take(context.terminal)?,
        path => secret_input::read_file(path.as_ref())?,
    };
    match serde_json::from_str(text.expose()) {
        Ok(batch @ Value::Array(_)) => Ok(Some(batch)),
        Ok(other) => {
            wipe(other);
            Err(Failure::local(format!("{path} is not a JSON array")))
        }
        Err(error) => Err(Failure::local(format!(
            "{path} is not JSON: line {}, column {}",
            error.line(),
            error.column()
        ))),
    }
}

/// Asks for required secrets, and refuses when something required is missing.
fn complete(
    spec: &'static Spec,
    context: &mut Context<'_, '_>,
    fields: &mut Fields,
) -> Result<(), Failure> {
    let missing: Vec<_> =
        own_fields(spec).filter(|field| field.required && !fields.has(field.documented)).collect();
    let askable = context.terminal.stdin_is_terminal
        && missing.iter().all(|field| secret_input::applies(field));
    if askable {
        for field in missing {
            let value = secret_input::prompt(field, context.terminal)?;
            fields.put(field.documented, Value::from(value.expose().as_str()));
        }
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|field| format!("--{}", field.documented)).collect();
    match names.as_slice() {
        [] => Ok(()),
        [one] => Err(Failure::usage(format!("the flag {one} is missing"))),
        many => Err(Failure::usage(format!("the flags {} are missing", many.join(" and ")))),
    }
    .map_err(|failure| failure.hint("add --help to see all flags"))
}
