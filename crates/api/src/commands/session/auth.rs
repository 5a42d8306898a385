//! `auth`: exchanges a credential for a token.

use std::sync::LazyLock;

use keysherd_base::Fault;
use keysherd_plane::second_factor::{CODE_NOT_SET_UP, CODE_WANTED};
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

#[derive(Serialize)]
struct Wanted {
    creds: Creds,
}

/// The model `SystemAccessCredentialsReplyObj`, as far as it says what is missing.
#[derive(Serialize)]
struct Creds {
    required_mfa: &'static str,
    need_mfa_app_first_config: bool,
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
    let reply = match login::begin(&ctx, &args).await {
        Ok(Progress::Done(login)) => Reply {
            token: login.token,
            expiration: login.expires.rfc3339(),
            complete_auth_link: None,
        },
        Ok(Progress::Browser(begun)) => Reply {
            token: begun.token,
            expiration: begun.expires.rfc3339(),
            complete_auth_link: Some(begun.link),
        },
        Err(fault) => return second_factor_wanted(fault),
    };
    Answer::json(&reply)
}

/// A password that is right and not enough is answered with what is missing, and no token.
fn second_factor_wanted(fault: Fault) -> Result<Answer, Fault> {
    let need_mfa_app_first_config = match fault.code() {
        CODE_WANTED => false,
        CODE_NOT_SET_UP => true,
        _ => return Err(fault),
    };
    let creds = Creds { required_mfa: "auth-app", need_mfa_app_first_config };
    Answer::json(&Wanted { creds })
}
