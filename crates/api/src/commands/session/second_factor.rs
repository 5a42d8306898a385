//! `mfa-enroll`, `mfa-confirm`, `mfa-remove`: a person's one-time codes. Each takes the password
//! afresh, so that a token alone changes nothing.

use keysherd_base::Fault;
use keysherd_plane::second_factor::{
    FactorConfirm, FactorEnroll, FactorRemove, PURPOSE_SECOND_FACTOR,
};
use keysherd_wire::{Answer, Args, Command, Field, FieldSpec, Show, Spec, Text};
use serde::Serialize;

use super::login::{self, ACCOUNT_ID, ADMIN_EMAIL, ADMIN_PASSWORD};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;

const OTP: Field<Text> =
    Field::text("otp", "The code that the app shows, or a recovery code.").required().secret();

const PERSON: &[FieldSpec] = &[ADMIN_EMAIL.spec(), ADMIN_PASSWORD.spec(), ACCOUNT_ID.spec()];
const PERSON_WITH_CODE: &[FieldSpec] =
    &[ADMIN_EMAIL.spec(), ADMIN_PASSWORD.spec(), ACCOUNT_ID.spec(), OTP.spec()];

#[derive(Serialize)]
struct Seed {
    secret: String,
    uri: String,
}

/// Makes a seed.
pub(super) static ENROLL: ApiCommand = Command {
    spec: Spec::open(
        "mfa-enroll",
        "Make the seed of a second factor; mfa-confirm puts it in force.",
        PERSON,
        Show::Sentence(
            "Type this into your authenticator app, or show it as a QR code:\n- Secret: {secret}\n\
             - Address: {uri}\nThen run mfa-confirm with the code that the app shows.",
        ),
    ),
    run: &|ctx, args| Box::pin(enroll(ctx, args)),
};

async fn enroll(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let (subject, proof) = login::prove_person(&ctx, &args, PURPOSE_SECOND_FACTOR).await?;
    let made = ctx.ask(FactorEnroll { subject, proof }).await?;
    Answer::json(&Seed { secret: made.secret, uri: made.uri })
}

#[derive(Serialize)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

/// Puts a seed in force.
pub(super) static CONFIRM: ApiCommand = Command {
    spec: Spec::open(
        "mfa-confirm",
        "Put a second factor in force, and show its recovery codes once.",
        PERSON_WITH_CODE,
        Show::Json,
    ),
    run: &|ctx, args| Box::pin(confirm(ctx, args)),
};

async fn confirm(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let otp = args.need(&OTP)?;
    let (subject, proof) = login::prove_person(&ctx, &args, PURPOSE_SECOND_FACTOR).await?;
    let recovery_codes = ctx.ask(FactorConfirm { subject, proof, otp }).await?.recovery_codes;
    Answer::json(&RecoveryCodes { recovery_codes })
}

/// Takes a second factor away.
pub(super) static REMOVE: ApiCommand = Command {
    spec: Spec::open(
        "mfa-remove",
        "Take your second factor away; where one is demanded, the next login asks for another.",
        PERSON_WITH_CODE,
        Show::Sentence("The second factor was taken away"),
    ),
    run: &|ctx, args| Box::pin(remove(ctx, args)),
};

async fn remove(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let otp = args.need(&OTP)?;
    let (subject, proof) = login::prove_person(&ctx, &args, PURPOSE_SECOND_FACTOR).await?;
    ctx.ask(FactorRemove { subject, proof, otp }).await?;
    Ok(Answer::empty())
}
