//! `auth`: exchanges a credential for a token.

use std::sync::LazyLock;

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::login::{self, CREDENTIAL, Progress};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::JSON;

#[derive(Serialize)]
struct Reply {
    token: String,
    expiration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    complete_auth_link: Option<String>,
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
    Answer::json(&match login::begin(&ctx, &args).await? {
        Progress::Done(login) => Reply {
            token: login.token,
            expiration: login.expires.rfc3339(),
            complete_auth_link: None,
        },
        Progress::Browser(begun) => Reply {
            token: begun.token,
            expiration: begun.expires.rfc3339(),
            complete_auth_link: Some(begun.link),
        },
    })
}
