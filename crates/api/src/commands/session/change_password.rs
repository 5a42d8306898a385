//! `change-admin-account-password`: a new password for the person whose token this is.

use keysherd_base::{Fault, SecretString};
use keysherd_crypto::password::PasswordParams as Stretch;
use keysherd_plane::auth::{
    ChangePassword, LoginSubject, NewPassword, OwnEmail, PURPOSE_CHANGE_PASSWORD, PasswordParams,
    PasswordParamsReply,
};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};

use super::login;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const CURRENT: Field<Text> =
    Field::text("current-password", "The password in force.").required().secret();
const NEW: Field<Text> =
    Field::text("new-password", "The new password, at least 16 characters.").required().secret();
/// Shortest password of a person; length counts for more than kinds of characters.
const PASSWORD_CHARS_MIN: usize = 16;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "change-admin-account-password",
        aliases: &[],
        success: 200,
        summary: "Change your own password.",
        groups: &[&SESSION],
        fields: &[CURRENT.spec(), NEW.spec()],
        reply: "object",
        access: Access::Token,
        body: Body::Object,
        show: Show::Sentence("The password was changed"),
    },
    run: |ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let current = SecretString::new(args.need(&CURRENT)?);
    let new = SecretString::new(args.need(&NEW)?);
    if new.expose().chars().count() < PASSWORD_CHARS_MIN {
        return Err(Fault::bad_request(format!(
            "the new password is too short: at least {PASSWORD_CHARS_MIN} characters are needed"
        )));
    }
    let email = ctx.ask(OwnEmail).await?.email;
    let params = ctx.ask(PasswordParams { email: email.clone() }).await?;
    let key = login::stretched(&ctx, current, params).await?;
    let subject = LoginSubject::Email { email, account: None };
    let proof = login::proof(&ctx, PURPOSE_CHANGE_PASSWORD, &subject, &key)?;
    let stretch = Stretch::default();
    let params = PasswordParamsReply {
        salt: ctx.services().rng.array()?,
        memory_kib: stretch.memory_kib,
        iterations: stretch.iterations,
        parallelism: stretch.parallelism,
    };
    let public_key = login::stretched(&ctx, new, params).await?.public().0;
    ctx.ask(ChangePassword { proof, new: NewPassword { params, public_key } }).await?;
    Ok(Answer::empty())
}
