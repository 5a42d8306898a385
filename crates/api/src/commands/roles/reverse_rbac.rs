//! `reverse-rbac`: who may do what on a path.

use std::collections::BTreeMap;

use keysherd_base::Fault;
use keysherd_plane::roles::ReverseRbac;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::object_kind::{self, PATH, TYPE};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::replies::auth_method::RoleAssocReply;

#[derive(Serialize)]
struct Reply<'a> {
    clients: BTreeMap<&'a str, Client<'a>>,
}

#[derive(Serialize)]
struct Client<'a> {
    auth_method_id: i64,
    auth_method_name: &'a str,
    assocs: Vec<RoleAssocReply<'a>>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "reverse-rbac",
        aliases: &[],
        success: 200,
        summary: "Show who may do what on a path.",
        groups: &[&SESSION],
        fields: &[PATH.spec(), TYPE.spec()],
        reply: "ReverseRBACOutput",
        access: Access::Right("reverse-rbac-rule", "read"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let ask = ReverseRbac { kind: object_kind::kind(&args)?, path: object_kind::path(&args)? };
    let reply = ctx.ask(ask).await?;
    let mut clients: BTreeMap<&str, Client<'_>> = BTreeMap::new();
    for reach in &reply.reaches {
        let client = clients.entry(reach.method.access_id.as_str()).or_insert_with(|| Client {
            auth_method_id: reach.method.id,
            auth_method_name: reach.method.path.bare(),
            assocs: Vec::new(),
        });
        let ops = reach.permissions.iter().map(|cap| cap.name()).collect();
        client.assocs.push(RoleAssocReply::new(&reach.assoc, &reach.role).with_allowed_ops(ops));
    }
    Answer::json(&Reply { clients })
}
