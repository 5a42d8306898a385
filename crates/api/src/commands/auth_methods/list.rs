//! `auth-method-list`: the auth methods a caller may see.

use keysherd_base::Fault;
use keysherd_base::limits::PAGE_LEN;
use keysherd_plane::auth_methods::MethodList;
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Field, List, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{FILTER, PAGINATION_TOKEN, SESSION};
use crate::replies::auth_method::AuthMethodReply;
use crate::replies::page;

const TYPE: Field<List> = Field::list("type", "Only these kinds: api_key and so on.").short('t');
const ALIASES: &[Alias] =
    &[Alias { name: "list-auth-methods", success: 200, reply: "ListAuthMethodsOutput" }];

#[derive(Serialize)]
struct Reply<'a> {
    auth_methods: Option<Vec<AuthMethodReply<'a>>>,
    next_page: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "auth-method-list",
        aliases: ALIASES,
        success: 200,
        summary: "List the auth methods you may see.",
        groups: &[&SESSION],
        fields: &[FILTER.spec(), TYPE.spec(), PAGINATION_TOKEN.spec()],
        reply: "ListAuthMethodsOutput",
        access: Access::Listing("auth-method-rule"),
        body: Body::Object,
        show: Show::Table(
            "auth_methods",
            &[("NAME", "auth_method_name"), ("ACCESS ID", "auth_method_access_id")],
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let after = args.get(&PAGINATION_TOKEN)?.map(|token| page::after(&token)).transpose()?;
    let list = MethodList {
        filter: args.get(&FILTER)?,
        kinds: args.get(&TYPE)?.unwrap_or_default(),
        after,
        limit: PAGE_LEN,
    };
    let listed = ctx.ask(list).await?;
    let last = listed.methods.last().map(|view| view.method.path.as_str());
    let next_page = last.map(page::token).transpose()?.unwrap_or_default();
    let methods: Vec<_> = listed.methods.iter().map(AuthMethodReply::new).collect();
    Answer::json(&Reply { auth_methods: (!methods.is_empty()).then_some(methods), next_page })
}
