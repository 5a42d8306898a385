//! `reset-access-key`: replaces the access key of an API-key method.

use keysherd_base::Fault;
use keysherd_crypto::access_key::AccessKey;
use keysherd_plane::auth_methods::AccessKeyReset;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

#[derive(Serialize)]
struct Reply<'a> {
    access_key: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "reset-access-key",
        aliases: &[],
        success: 200,
        summary: "Replace the access key of an auth method; tokens of the old one die.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "ResetAuthMethodAccessKeyOutput",
        access: Access::Right("auth-method-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("- Access Key: {access_key}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let key = AccessKey::generate(&*ctx.services().rng)?;
    let public_key = key.signing_key().public().0;
    ctx.ask(AccessKeyReset { path: args.path(&NAME)?, public_key }).await?;
    Answer::json(&Reply { access_key: key.text().expose() })
}
