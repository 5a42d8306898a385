//! Verbs about profiles: list them, choose one, remove one.

use keysherd_base::SecretBytes;
use keysherd_wire::{Field, FieldSpec, Show, Spec};
use serde_json::{Map, Value, json};

use super::LocalVerb;
use crate::body::Fields;
use crate::context::Context;
use crate::credentials::{chosen_profile, no_profile};
use crate::failure::Failure;
use crate::profile::key;
use crate::show;
use crate::token_cache;

static LIST_SPEC: Spec = Spec::open(
    "list-profiles",
    "Lists the profiles of this machine.",
    &[],
    Show::Table(
        "profiles",
        &[
            ("Profile", "name"),
            ("Default", "default"),
            ("Access ID", "access_id"),
            ("Server", "gateway_url"),
            ("File", "file"),
        ],
    ),
);

/// `list-profiles`.
pub(super) const LIST: LocalVerb =
    LocalVerb { spec: &LIST_SPEC, positional: None, run: list, server_flags: false };

static GET_DEFAULT_SPEC: Spec = Spec::open(
    "get-default-profile",
    "Prints the name of the profile that is used when none is named.",
    &[],
    Show::Value,
);

/// `get-default-profile`.
pub(super) const GET_DEFAULT: LocalVerb = LocalVerb {
    spec: &GET_DEFAULT_SPEC,
    positional: None,
    run: |context, _| {
        let name = chosen_profile(context)?;
        answer(context, &GET_DEFAULT_SPEC, &json!({ "profile": name }))
    },
    server_flags: false,
};

const NAME: &[FieldSpec] = &[Field::text("name", "The profile.").short('n').required().spec()];

static SET_DEFAULT_SPEC: Spec = Spec::open(
    "set-default-profile",
    "Chooses the profile that is used when none is named.",
    NAME,
    Show::Sentence("Profile {name} successfully set as default"),
);

/// `set-default-profile`.
pub(super) const SET_DEFAULT: LocalVerb = LocalVerb {
    spec: &SET_DEFAULT_SPEC,
    positional: Some("name"),
    run: set_default,
    server_flags: false,
};

static UNCONFIGURE_SPEC: Spec = Spec::open(
    "unconfigure",
    "Removes a profile and its token from this machine.",
    &[],
    Show::Sentence("Profile {name} successfully removed"),
);

/// `unconfigure`.
pub(super) const UNCONFIGURE: LocalVerb = LocalVerb {
    spec: &UNCONFIGURE_SPEC,
    positional: None,
    run: |context, _| unconfigure(context),
    server_flags: false,
};

/// Prints what a local verb has to say, in the format of the flags.
pub(super) fn answer(
    context: &mut Context<'_, '_>,
    spec: &Spec,
    answer: &Value,
) -> Result<(), Failure> {
    let body = SecretBytes::new(answer.to_string().into_bytes());
    let shown = show::render(&spec.show, context.globals.format, &Map::new(), &body)?;
    show::print(context, &shown)
}

fn list(context: &mut Context<'_, '_>, _: Fields) -> Result<(), Failure> {
    let default = chosen_profile(context)?;
    let mut rows = Vec::new();
    for name in context.places.names()? {
        let mut row = json!({ "name": name, "default": if name == default { "yes" } else { "" } });
        match context.places.load(&name) {
            Ok(Some(found)) => {
                row["access_id"] = json!(found.profile.text(key::ACCESS_ID));
                row["gateway_url"] = json!(found.profile.text(key::GATEWAY_URL));
                row["file"] = json!(found.path.display().to_string());
            }
            Ok(None) => {}
            // One broken file must not hide the others.
            Err(failure) => context.terminal.note(&failure.render(None)),
        }
        rows.push(row);
    }
    if rows.is_empty() {
        context.terminal.note("There are no profiles; make one with: keysherd configure");
    }
    answer(context, &LIST_SPEC, &json!({ "profiles": rows }))
}

fn set_default(context: &mut Context<'_, '_>, fields: Fields) -> Result<(), Failure> {
    let name = fields.text("name").unwrap_or_default();
    if context.places.load(name)?.is_none() {
        return Err(no_profile(name));
    }
    context.places.set_default(Some(name))?;
    answer(context, &SET_DEFAULT_SPEC, &json!({ "name": name }))
}

fn unconfigure(context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let name = chosen_profile(context)?;
    token_cache::forget(&context.places, &name);
    if !context.places.remove(&name)? {
        return Err(no_profile(&name));
    }
    if context.places.default_in_settings()?.as_deref() == Some(name.as_str()) {
        context.places.set_default(None)?;
    }
    answer(context, &UNCONFIGURE_SPEC, &json!({ "name": name }))
}
