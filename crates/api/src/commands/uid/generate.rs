//! `uid-generate-token`: makes the root of a method's tree of tokens.

use keysherd_base::Fault;
use keysherd_plane::uid::UidGenerate;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};

use super::fields::{AUTH_METHOD_NAME, TokenReply};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const METHOD: Field<Text> = AUTH_METHOD_NAME.required();

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "uid-generate-token",
        aliases: &[],
        success: 200,
        summary: "Make the root token of a universal identity; the tokens before it are gone.",
        groups: &[&SESSION],
        fields: &[METHOD.spec()],
        reply: "UidGenerateTokenOutput",
        access: Access::Right("auth-method-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Token: {token}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let method = args.path(&METHOD)?;
    let token = ctx.ask(UidGenerate { method }).await?.token;
    Answer::json(&TokenReply { token })
}
