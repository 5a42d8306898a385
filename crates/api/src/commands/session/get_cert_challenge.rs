//! `get-cert-challenge`: what a client signs whose certificate's key stays where it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_authn::Desk;
use keysherd_authn::cert::{CERT_DATA, challenge_subject, presented};
use keysherd_authn::fields::ACCESS_ID;
use keysherd_base::{AccessId, Fault};
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::JSON;
use crate::passwords::wrong_credential;

#[derive(Serialize)]
struct Reply {
    challenge: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "get-cert-challenge",
        aliases: &[],
        success: 200,
        summary: "Get a challenge that the key of a certificate signs, for auth within a minute.",
        groups: &[],
        fields: &[ACCESS_ID.required().spec(), CERT_DATA.required().spec(), JSON.spec()],
        reply: "GetCertChallengeOutput",
        access: Access::Open,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let access_id = AccessId::parse(&args.need(&ACCESS_ID)?).map_err(|_| wrong_credential())?;
    let certificates = presented(&args)?;
    let subject = challenge_subject(certificates.first().map_or(&[], Vec::as_slice));
    let challenge = ctx.challenge(&access_id, subject).await?;
    Answer::json(&Reply { challenge: STANDARD.encode(challenge) })
}
