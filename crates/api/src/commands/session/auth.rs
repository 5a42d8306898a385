//! `auth`: exchanges a credential for a token.

use std::sync::LazyLock;

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::login::{self, CREDENTIAL};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::JSON;

#[derive(Serialize)]
struct Reply {
    token: String,
    expiration: String,
}

/// The command.
pub(super) static COMMAND: LazyLock<ApiCommand> = LazyLock::new(|| Command {
    spec: Spec {
        name: "auth",
        aliases: &[],
        success: 200,
        summary: "Exchange a credential for a token.",
        groups: vec![&*CREDENTIAL].leak(),
        fields: const { &[JSON.spec()] },
        reply: "AuthOutput",
        access: Access::Open,
        body: Body::Object,
        show: Show::Sentence("Authentication succeeded.\nToken: {token}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
});

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let login = login::login(&ctx, &args).await?;
    Answer::json(&Reply { token: login.token, expiration: login.expires.rfc3339() })
}
