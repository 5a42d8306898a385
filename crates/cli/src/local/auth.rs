//! `auth`: logs in, prints the token and keeps it for later runs.

use keysherd_base::SecretString;
use keysherd_wire::{Field, FieldSpec, Show, Spec};
use serde_json::{Map, Value};

use super::LocalVerb;
use crate::body::Fields;
use crate::context::Context;
use crate::credentials::{identity, login_fields, uid_token};
use crate::failure::Failure;
use crate::globals::Format;
use crate::session::Session;
use crate::show;

const ACCESS_ID: Field<keysherd_wire::Text> = Field::text("access-id", "The access id.");
const ACCESS_KEY: Field<keysherd_wire::Text> =
    Field::text("access-key", "The access key.").secret();

/// Flags when the server's list has no command of this name.
const FIELDS: &[FieldSpec] = &[ACCESS_ID.spec(), ACCESS_KEY.spec()];

static SPEC: Spec = Spec::open(
    "auth",
    "Logs in, prints the token and keeps it until it expires.",
    FIELDS,
    Show::Sentence("Authentication succeeded.\nToken: {token}"),
);

/// `auth`.
pub(super) const VERB: LocalVerb =
    LocalVerb { spec: &SPEC, positional: None, run, server_flags: true };

fn run(context: &mut Context<'_, '_>, given: Fields) -> Result<(), Failure> {
    let session = Session::open(context)?;
    let profile_identity = session.credentials().and_then(identity).map(str::to_owned);
    let given_identity = who(&given);
    let other_person = given_identity.is_some() && given_identity != profile_identity;
    let mut fields = match session.credentials() {
        Some(profile) if !other_person => login_fields(context, profile),
        _ => Fields::default(),
    };
    for (name, value) in given.iter() {
        fields.put(name, value.clone());
    }
    add_uid_token(context, &mut fields);
    complete(context, &mut fields)?;
    let logged_in = who(&fields);
    let login = session.log_in_with(context, fields)?;
    let fits = profile_identity.is_none() || profile_identity == logged_in;
    if fits {
        session.keep(context, &login, logged_in.as_deref());
    } else {
        context.warn("the token is not kept, because the profile in use is someone else's");
    }
    if context.globals.format == Format::Text {
        return context.terminal.print(sentence(&login.token).expose());
    }
    let shown = show::render(&SPEC.show, context.globals.format, &Map::new(), &login.answer)?;
    show::print(context, &shown)
}

/// Who logs in with `fields`.
fn who(fields: &Fields) -> Option<String> {
    let text = fields.text("access-id").or_else(|| fields.text("admin-email"))?;
    Some(text.to_owned())
}

/// A universal-identity token is a flag of every command; here it is the credential.
fn add_uid_token(context: &Context<'_, '_>, fields: &mut Fields) {
    if fields.text("access-type") == Some("universal_identity")
        && let Some(token) = uid_token(context)
    {
        fields.put("uid-token", Value::from(token.expose().as_str()));
    }
}

/// Asks for the access key when it is all that is missing.
fn complete(context: &mut Context<'_, '_>, fields: &mut Fields) -> Result<(), Failure> {
    if who(fields).is_none() && fields.text("access-type").is_none() {
        return Err(Failure::local("there is nobody to log in").hint(
            "run 'keysherd configure' once, or give --access-id and --access-key-file, or another \
             --access-type",
        ));
    }
    let by_key = matches!(fields.text("access-type"), None | Some("access_key" | "api_key"));
    let missing = by_key && fields.text("access-id").is_some() && !fields.has("access-key");
    if missing && context.terminal.stdin_is_terminal {
        let value = crate::secret_input::prompt(&ACCESS_KEY.spec(), context.terminal)?;
        fields.put("access-key", Value::from(value.expose().as_str()));
    }
    Ok(())
}

fn sentence(token: &SecretString) -> SecretString {
    SecretString::new(format!("Authentication succeeded.\nToken: {}", token.expose()))
}
