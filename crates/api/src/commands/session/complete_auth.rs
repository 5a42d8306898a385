//! `complete-auth`: waits for a login that a browser finishes, and collects its token.

use std::sync::LazyLock;
use std::time::Duration;

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, Show, Spec, Text};
use serde::Serialize;

use crate::browser::Waited;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::JSON;

/// Longest wait of one call, in seconds: shorter than what proxies allow a silent answer.
const WAIT_SECONDS_MAX: i64 = 25;

const LOGIN_TOKEN: Field<Text> =
    Field::text("login-token", "The provisional token that auth answered with its link.")
        .secret()
        .required();
const WAIT: Field<Int> =
    Field::int("wait", "Seconds to wait for the browser, at most 25.").default("0");

#[derive(Serialize)]
struct Reply {
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
}

/// The command.
pub(super) static COMMAND: LazyLock<ApiCommand> = LazyLock::new(|| Command {
    spec: Spec {
        name: "complete-auth",
        aliases: &[],
        success: 200,
        summary: "Collect the token of a login that a browser finishes.",
        groups: &[],
        fields: const { &[LOGIN_TOKEN.spec(), WAIT.spec(), JSON.spec()] },
        reply: "object",
        access: Access::Open,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
});

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let wait = args.get(&WAIT)?.unwrap_or(0);
    let seconds =
        u64::try_from(wait).ok().filter(|_| wait <= WAIT_SECONDS_MAX).ok_or_else(|| {
            Fault::bad_request(format!(
                "invalid value of 'wait': {wait}; it must be 0 to {WAIT_SECONDS_MAX} seconds"
            ))
        })?;
    let (token, services) = (args.need(&LOGIN_TOKEN)?, ctx.services());
    let waited =
        services.browser_logins.wait(&token, Duration::from_secs(seconds), services.clock.now());
    Answer::json(&match waited.await? {
        Waited::Done(login) => Reply {
            complete: true,
            token: Some(login.token),
            expiration: Some(login.expires.rfc3339()),
        },
        Waited::NotYet => Reply { complete: false, token: None, expiration: None },
    })
}
