//! `assoc-role-am`: gives a role to the bearers of an auth method.

use keysherd_base::Fault;
use keysherd_plane::roles::AssocCreate;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};
use serde::Serialize;

use super::condition::{self, CASE_SENSITIVE, SUB_CLAIMS};
use super::rule::ROLE_NAME;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const AM_NAME: Field<Text> =
    Field::text("am-name", "Path of the auth method.").required().short('a');

#[derive(Serialize)]
struct Reply<'a> {
    assoc_id: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "assoc-role-am",
        aliases: &[],
        success: 200,
        summary: "Give a role to the bearers of an auth method.",
        groups: &[&SESSION],
        fields: &[ROLE_NAME.spec(), AM_NAME.spec(), SUB_CLAIMS.spec(), CASE_SENSITIVE.spec()],
        reply: "CreateRoleAuthMethodAssocOutput",
        access: Access::Right("role-rule", "update"),
        body: Body::Object,
        show: Show::Sentence(
            "Role {role-name} was associated with {am-name}\n- Association ID: {assoc_id}",
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let create = AssocCreate {
        role: args.path(&ROLE_NAME)?,
        method: args.path(&AM_NAME)?,
        sub_claims: condition::sub_claims(&args)?.unwrap_or_default(),
        case_sensitive: args.get_or(&CASE_SENSITIVE, true)?,
    };
    let created = ctx.ask(create).await?;
    let reply = Answer::json(&Reply { assoc_id: &created.id.0 })?;
    Ok(reply.with_warnings(created.warnings))
}
