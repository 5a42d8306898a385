//! `describe-permissions`: what the caller may do on a path.

use keysherd_base::Fault;
use keysherd_plane::roles::PermissionsDescribe;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::object_kind::{self, PATH, TYPE};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

#[derive(Serialize)]
struct Reply {
    client_permissions: Vec<&'static str>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "describe-permissions",
        aliases: &[],
        success: 200,
        summary: "Show what you may do on a path.",
        groups: &[&SESSION],
        fields: &[PATH.spec(), TYPE.spec()],
        reply: "DescribePermissionsOutput",
        access: Access::Token,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let describe =
        PermissionsDescribe { kind: object_kind::kind(&args)?, path: object_kind::path(&args)? };
    let permissions = ctx.ask(describe).await?.permissions;
    let client_permissions = permissions.iter().map(|cap| cap.name()).collect();
    Answer::json(&Reply { client_permissions })
}
