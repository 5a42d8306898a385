//! `reset-access-key`: replaces the access key of an API-key method.

use keysherd_base::Fault;
use keysherd_crypto::access_key::AccessKey;
use keysherd_plane::auth_methods::AccessKeyReset;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};
use crate::passwords;

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
        summary: "Replace the access key or password of an auth method; its tokens die.",
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
    let (public_key, text) = (key.signing_key().public().0, key.text());
    // Of what type the method is, control knows: the same text serves both.
    let password = passwords::random_password(&ctx, &text).await?;
    ctx.ask(AccessKeyReset { path: args.path(&NAME)?, public_key, password }).await?;
    Answer::json(&Reply { access_key: text.expose() })
}
