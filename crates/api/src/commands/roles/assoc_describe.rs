//! `describe-role-am-assoc`: what is known about an association.

use std::collections::BTreeMap;

use keysherd_base::{AssocId, Fault};
use keysherd_domain::policy::sub_claims::uses_operators;
use keysherd_plane::roles::AssocGet;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::condition::ASSOC_ID;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

#[derive(Serialize)]
struct Reply<'a> {
    assoc_id: &'a str,
    role_name: &'a str,
    auth_method_name: &'a str,
    auth_method_sub_claims: &'a BTreeMap<String, Vec<String>>,
    sub_claims_case_sensitive: bool,
    is_subclaims_with_operator: bool,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "describe-role-am-assoc",
        aliases: &[],
        success: 200,
        summary: "Show what is known about an association.",
        groups: &[&SESSION],
        fields: &[ASSOC_ID.spec()],
        reply: "RoleAssociationDetails",
        access: Access::Right("role-rule", "list"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let id = AssocId(args.need(&ASSOC_ID)?.into_boxed_str());
    let view = ctx.ask(AssocGet { id }).await?;
    Answer::json(&Reply {
        assoc_id: &view.assoc.id.0,
        role_name: view.role.path.bare(),
        auth_method_name: view.method.path.bare(),
        auth_method_sub_claims: &view.assoc.sub_claims.0,
        sub_claims_case_sensitive: view.assoc.case_sensitive,
        is_subclaims_with_operator: uses_operators(&view.assoc.sub_claims),
    })
}
