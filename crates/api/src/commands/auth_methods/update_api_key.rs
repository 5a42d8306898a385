//! `auth-method-update-api-key`: replaces what is known about an API-key method.

use keysherd_base::Fault;
use keysherd_plane::auth_methods::MethodUpdate;
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::shared::{self, SHARED};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, NEW_NAME, SESSION};

const ALIASES: &[Alias] =
    &[Alias { name: "update-auth-method", success: 200, reply: "UpdateAuthMethodOutput" }];

#[derive(Serialize)]
struct Reply<'a> {
    name: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "auth-method-update-api-key",
        aliases: ALIASES,
        success: 201,
        summary: "Replace what is known about an API-key method; its key stays.",
        groups: &[&SESSION, &SHARED],
        fields: &[NAME.spec(), NEW_NAME.spec()],
        reply: "AuthMethodUpdateOutput",
        access: Access::Right("auth-method-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Auth Method {name} successfully updated"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let new_path = args.path_opt(&NEW_NAME)?;
    let update = MethodUpdate {
        path: path.clone(),
        new_path: new_path.clone(),
        shared: Some(shared::read(&args)?),
        kind: "api_key".to_owned(),
        settings: None,
        demand_second_factor: None,
    };
    let warned = ctx.ask(update).await?;
    let reply = Answer::json(&Reply { name: new_path.unwrap_or(path).bare() })?;
    Ok(reply.with_warnings(warned.warnings))
}
