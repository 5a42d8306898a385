//! `transfer-ownership`, `owner-seal`, `owner-unseal`: what the account's owner alone may do.

use keysherd_base::{Fault, SecretString};
use keysherd_plane::accounts::AccountEdit;
use keysherd_plane::auth::{LoginSubject, OwnEmail, PasswordParams};
use keysherd_plane::second_factor::{OwnerSeal, OwnerTransfer, PURPOSE_TRANSFER};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, FieldSpec, Show, Spec, Text};

use crate::commands::ApiCommand;
use crate::commands::session::login;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

const CURRENT: Field<Text> =
    Field::text("current-password", "The owner's password.").required().secret();
const OTP: Field<Text> =
    Field::text("otp", "The code that the owner's app shows, or a recovery code.").secret();
const OTP_NEEDED: Field<Text> =
    Field::text("otp", "The code that the owner's app shows, or a recovery code.")
        .required()
        .secret();

const fn spec(
    name: &'static str,
    summary: &'static str,
    fields: &'static [FieldSpec],
    done: &'static str,
) -> Spec {
    Spec {
        name,
        aliases: &[],
        success: 200,
        summary,
        groups: &[&SESSION],
        fields,
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence(done),
    }
}

/// Gives the account to somebody else.
pub(super) static TRANSFER: ApiCommand = Command {
    spec: spec(
        "transfer-ownership",
        "Make another person the account's owner; the present owner keeps their roles only.",
        &[NAME.spec(), CURRENT.spec(), OTP.spec()],
        "The account's owner is {name}",
    ),
    run: &|ctx, args| Box::pin(transfer(ctx, args)),
};

async fn transfer(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let current = SecretString::new(args.need(&CURRENT)?);
    // Refuses whoever is no administrator before anything about passwords is said.
    ctx.ask(AccountEdit).await?;
    let email = ctx.ask(OwnEmail).await?.email;
    let params = ctx.ask(PasswordParams { email: email.clone(), account: None }).await?;
    let key = login::stretched(&ctx, current, params).await?;
    let subject = LoginSubject::Email { email, account: None };
    let proof = login::proof(&ctx, PURPOSE_TRANSFER, &subject, &key)?;
    ctx.ask(OwnerTransfer { path, proof, otp: args.get(&OTP)? }).await?;
    Ok(Answer::empty())
}

/// Keeps the owner from everything that is kept in the account.
pub(super) static SEAL: ApiCommand = Command {
    spec: spec(
        "owner-seal",
        "Keep the owner from items, keys and granting rights until owner-unseal.",
        &[OTP_NEEDED.spec()],
        "The owner is sealed",
    ),
    run: &|ctx, args| Box::pin(seal(ctx, args, true)),
};

/// Opens the seal.
pub(super) static UNSEAL: ApiCommand = Command {
    spec: spec(
        "owner-unseal",
        "Open the owner's seal, with a code of the second factor.",
        &[OTP_NEEDED.spec()],
        "The owner's seal is open",
    ),
    run: &|ctx, args| Box::pin(seal(ctx, args, false)),
};

async fn seal(ctx: Ctx, args: Args, sealed: bool) -> Result<Answer, Fault> {
    ctx.ask(OwnerSeal { sealed, otp: args.need(&OTP_NEEDED)? }).await?;
    Ok(Answer::empty())
}
