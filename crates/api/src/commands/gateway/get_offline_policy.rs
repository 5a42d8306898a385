//! `gateway-get-offline-policy`: what may be read while control is not reached.

use keysherd_base::Fault;
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;
use crate::offline::{OfflinePolicy, policies_of};

#[derive(Serialize)]
struct Shown {
    access_id: String,
    max_minutes: u32,
    paths: Vec<String>,
}

#[derive(Serialize)]
struct Reply {
    policies: Vec<Shown>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-get-offline-policy",
        aliases: &[],
        success: 200,
        summary: "Show who may read what while control is not reached. Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let account = ctx.ask(GatewayConfigure { signs_for: None }).await?.account;
    let known = policies_of(&*ctx.services().configs, account)?.into_iter();
    let shown = |(access_id, policy)| {
        let OfflinePolicy { max_minutes, paths } = policy;
        Shown { access_id, max_minutes, paths }
    };
    Answer::json(&Reply { policies: known.map(shown).collect() })
}
