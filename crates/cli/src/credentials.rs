//! What a run logs in with, and whom it trusts: flags, environment and profile, in this order.

use std::path::PathBuf;

use keysherd_base::{Secret, SecretString};
use keysherd_client::Trust;
use keysherd_wire::wipe;

use crate::body::Fields;
use crate::context::Context;
use crate::failure::Failure;
use crate::profile::{Profile, key};
use crate::store::DEFAULT_URL;

/// Name of the command that logs in.
pub(crate) const AUTH: &str = "auth";

/// The address of the server.
pub(crate) fn server_url(context: &Context<'_, '_>, profile: Option<&Profile>) -> String {
    context
        .globals
        .gateway_url
        .clone()
        .or_else(|| context.env_any(&["KEYSHERD_URL", "AKEYLESS_GATEWAY_URL"]))
        .or_else(|| Some(profile?.text(key::GATEWAY_URL)?.to_owned()))
        .unwrap_or_else(|| DEFAULT_URL.to_owned())
}

/// The name of the profile in use.
pub(crate) fn chosen_profile(context: &Context<'_, '_>) -> Result<String, Failure> {
    context.places.chosen(context.globals.profile.as_deref(), context.env)
}

/// Nobody can use a profile that is not there.
pub(crate) fn no_profile(name: &str) -> Failure {
    Failure::local(format!("there is no profile '{name}'"))
        .hint(format!("make it: keysherd configure --profile {name}"))
}

/// Who logs in with `profile`.
pub(crate) fn identity(profile: &Profile) -> Option<&str> {
    profile.text(key::ACCESS_ID).or_else(|| profile.text(key::ADMIN_EMAIL))
}

/// The fields of the login command that `profile` has.
pub(crate) fn login_fields(context: &Context<'_, '_>, profile: &Profile) -> Fields {
    let auth = context.program.specs.iter().find(|spec| spec.name == AUTH);
    let mut fields = Fields::default();
    for (name, value) in profile.scalars() {
        let dashed = name.replace('_', "-");
        // Where the server is and whom to trust is ours to know.
        if dashed == "gateway-url" || dashed == "ca-file" {
            continue;
        }
        match auth.and_then(|spec| spec.field(&dashed)) {
            Some(field) => fields.put(field.documented, value),
            None if auth.is_none() => fields.put(&dashed, value),
            None => wipe(value),
        }
    }
    fields
}

/// The token of the flags, or of the environment when no flag names a profile.
pub(crate) fn explicit_token(context: &Context<'_, '_>) -> Option<SecretString> {
    let globals = &context.globals;
    let copy = |token: &SecretString| Secret::new(token.expose().clone());
    if let Some(token) = globals.token.as_ref().or(globals.uid_token.as_ref()) {
        return Some(copy(token));
    }
    if globals.profile.is_some() {
        return None;
    }
    context
        .env_any(&["KEYSHERD_TOKEN", "KEYSHERD_UID_TOKEN", "AKEYLESS_UID_TOKEN"])
        .map(Secret::new)
}

/// The universal-identity token of the flags or of the environment.
pub(crate) fn uid_token(context: &Context<'_, '_>) -> Option<SecretString> {
    let flag = context.globals.uid_token.as_ref();
    let flag = flag.map(|token| Secret::new(token.expose().clone()));
    flag.or_else(|| context.env_any(&["KEYSHERD_UID_TOKEN", "AKEYLESS_UID_TOKEN"]).map(Secret::new))
}

/// Credentials of the environment, for machines without a profile.
pub(crate) fn environment_credentials(context: &Context<'_, '_>) -> Option<Profile> {
    let id = context.env_any(&["KEYSHERD_ACCESS_ID", "AKEYLESS_ACCESS_ID"])?;
    let mut profile = Profile::default();
    profile.set(key::ACCESS_ID, id.into());
    let others = [
        (key::ACCESS_KEY, ["KEYSHERD_ACCESS_KEY", "AKEYLESS_ACCESS_KEY"]),
        (key::ACCESS_TYPE, ["KEYSHERD_ACCESS_TYPE", "AKEYLESS_ACCESS_TYPE"]),
    ];
    for (name, variables) in others {
        if let Some(value) = context.env_any(&variables) {
            profile.set(name, value.into());
        }
    }
    Some(profile)
}

/// The certificates to trust: those of the flag, the environment or the profile.
pub(crate) fn trust(context: &Context<'_, '_>, profile: Option<&Profile>) -> Trust {
    let chosen = context
        .globals
        .ca_file
        .clone()
        .or_else(|| context.env("KEYSHERD_CA_FILE").map(PathBuf::from));
    if let Some(path) = chosen {
        return Trust::Only(path);
    }
    // Of that name people expect an addition to the system's certificates.
    if let Some(path) = context.env("AKEYLESS_TRUSTED_TLS_CERTIFICATE_FILE") {
        return Trust::Also(path.into());
    }
    match profile.and_then(|profile| profile.text(key::CA_FILE)) {
        Some(path) => Trust::Only(path.into()),
        None => Trust::System,
    }
}
