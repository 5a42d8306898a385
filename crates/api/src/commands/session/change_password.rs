//! `change-admin-account-password`: a new password for the person whose token this is.

use keysherd_base::{Fault, SecretString};
use keysherd_plane::auth::{
    ChangePassword, LoginSubject, OwnEmail, PURPOSE_CHANGE_PASSWORD, PasswordParams,
};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};

use super::login;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::passwords;

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
    run: &|ctx, args| Box::pin(run(ctx, args)),
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
    let params = ctx.ask(PasswordParams { email: email.clone(), account: None }).await?;
    let key = login::stretched(&ctx, current, params).await?;
    let subject = LoginSubject::Email { email, account: None };
    let proof = login::proof(&ctx, PURPOSE_CHANGE_PASSWORD, &subject, &key)?;
    let new = {
        let _turn = ctx.services().stretching.take().await?;
        passwords::new_password(&*ctx.services().rng, new).await?
    };
    ctx.ask(ChangePassword { proof, new }).await?;
    Ok(Answer::empty())
}
