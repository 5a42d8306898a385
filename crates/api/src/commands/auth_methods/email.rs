//! `auth-method-create-email`, `auth-method-update-email`: people with a password.
//!
//! No mail is sent: the first password is made here, shown once as `access_key`, and replaced by
//! the person with `change-admin-account-password`, or by an administrator with
//! `reset-access-key`.

use keysherd_base::{Fault, SecretString};
use keysherd_crypto::access_key::AccessKey;
use keysherd_domain::auth_method::{MethodDetail, SecondFactor};
use keysherd_plane::auth::NewPassword;
use keysherd_plane::auth_methods::{MethodCreate, MethodCreateReply, MethodUpdate};
use keysherd_wire::{
    Access, Answer, Args, Body, Command, Field, FieldSpec, Flag, Group, Show, Spec, Text,
};
use serde::Serialize;

use super::shared::{self, SHARED};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, NEW_NAME, SESSION};
use crate::passwords;

const EMAIL: Field<Text> = Field::text("email", "The person's e-mail address.").required();
const ENABLE_MFA: Field<Flag> =
    Field::flag("enable-mfa", "Demand a one-time code beside the password.");
const MFA_TYPE: Field<Text> = Field::text(
    "mfa-type",
    "Where codes come from: auth-app. Codes by e-mail are not served, since no mail is sent.",
)
.default("email");

static MFA: Group = Group { title: "Second factor", fields: &[ENABLE_MFA.spec(), MFA_TYPE.spec()] };

const GROUPS: &[&Group] = &[&SESSION, &MFA, &SHARED];
const CREATE_FIELDS: &[FieldSpec] = &[NAME.spec(), EMAIL.spec()];

#[derive(Serialize)]
struct Created<'a> {
    name: &'a str,
    access_id: &'a str,
    access_key: &'a str,
}

#[derive(Serialize)]
struct CreatedOlder<'a> {
    access_id: &'a str,
}

#[derive(Serialize)]
struct Updated<'a> {
    name: &'a str,
}

const fn create_spec(name: &'static str, success: u16, reply: &'static str, show: Show) -> Spec {
    Spec {
        name,
        aliases: &[],
        success,
        summary: "Create an auth method of a person with a password; the first one is shown once.",
        groups: GROUPS,
        fields: CREATE_FIELDS,
        reply,
        access: Access::Right("auth-method-rule", "create"),
        body: Body::Object,
        show,
    }
}

/// Creates.
pub(super) static CREATE: ApiCommand = Command {
    spec: create_spec(
        "auth-method-create-email",
        201,
        "AuthMethodCreateOutput",
        Show::Sentence(
            "Auth Method {name} successfully created\n- Access ID: {access_id}\n\
             - First password: {access_key}",
        ),
    ),
    run: &|ctx, args| Box::pin(create(ctx, args)),
};

async fn create(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let (created, password) = create_method(&ctx, &args).await?;
    let reply = Answer::json(&Created {
        name: path.bare(),
        access_id: created.access_id.as_str(),
        access_key: password.expose(),
    })?;
    Ok(reply.with_warnings(created.warnings))
}

/// Creates, in the older spelling, whose answer has no place for the password.
pub(super) static CREATE_OLDER: ApiCommand = Command {
    spec: create_spec(
        "create-auth-method-email",
        200,
        "CreateAuthMethodEmailOutput",
        Show::Sentence("Auth Method {name} successfully created\n- Access ID: {access_id}"),
    ),
    run: &|ctx, args| Box::pin(create_older(ctx, args)),
};

async fn create_older(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let (created, _) = create_method(&ctx, &args).await?;
    let mut warnings = created.warnings;
    warnings.push("this answer has no place for the password; reset-access-key makes one".into());
    let reply = Answer::json(&CreatedOlder { access_id: created.access_id.as_str() })?;
    Ok(reply.with_warnings(warnings))
}

async fn create_method(ctx: &Ctx, args: &Args) -> Result<(MethodCreateReply, SecretString), Fault> {
    let email = args.need(&EMAIL)?;
    let second_factor = match demanded(args)? {
        Some(true) => SecondFactor::Demanded,
        Some(false) | None => SecondFactor::None,
    };
    let password = AccessKey::generate(&*ctx.services().rng)?.text();
    let NewPassword { params, public_key } = passwords::random_password(ctx, &password).await?;
    let detail = MethodDetail::Email {
        email,
        public_key,
        salt: params.salt,
        memory_kib: params.memory_kib,
        iterations: params.iterations,
        parallelism: params.parallelism,
        password_set: ctx.services().clock.now(),
        second_factor,
    };
    let shared = shared::read(args)?;
    let created = ctx.ask(MethodCreate { path: args.path(&NAME)?, shared, detail }).await?;
    Ok((created, password))
}

/// What is demanded beside the password; `None` leaves it.
fn demanded(args: &Args) -> Result<Option<bool>, Fault> {
    let wanted = args.get(&ENABLE_MFA)?;
    let source = args.get_or(&MFA_TYPE, "email".to_owned())?;
    if wanted == Some(true) && !source.eq_ignore_ascii_case("auth-app") {
        return Err(Fault::bad_request(format!(
            "codes of mfa-type '{}' are not served, since no mail is sent; use mfa-type auth-app",
            source.escape_default()
        )));
    }
    Ok(wanted)
}

/// Changes.
pub(super) static UPDATE: ApiCommand = Command {
    spec: Spec {
        name: "auth-method-update-email",
        aliases: &[],
        success: 201,
        summary: "Replace what is known about a person's method; the password stays.",
        groups: GROUPS,
        fields: &[NAME.spec(), NEW_NAME.spec()],
        reply: "AuthMethodUpdateOutput",
        access: Access::Right("auth-method-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Auth Method {name} successfully updated"),
    },
    run: &|ctx, args| Box::pin(update(ctx, args)),
};

async fn update(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let new_path = args.path_opt(&NEW_NAME)?;
    let update = MethodUpdate {
        path: path.clone(),
        new_path: new_path.clone(),
        shared: Some(shared::read(&args)?),
        kind: "email".to_owned(),
        settings: None,
        demand_second_factor: demanded(&args)?,
    };
    let updated = ctx.ask(update).await?;
    let reply = Answer::json(&Updated { name: new_path.unwrap_or(path).bare() })?;
    Ok(reply.with_warnings(updated.warnings))
}
