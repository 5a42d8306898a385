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
use crate::strength;

const CURRENT: Field<Text> =
    Field::text("current-password", "The password in force.").required().secret();
const NEW: Field<Text> =
    Field::text("new-password", "The new password, at least 16 characters.").required().secret();

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
    let email = ctx.ask(OwnEmail).await?.email;
    let new = strength::strong(new, vec![email.clone()]).await?;
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
