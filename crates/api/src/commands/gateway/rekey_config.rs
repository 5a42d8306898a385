//! `gateway-rekey-config`, ours: seals the configuration of this gateway's cluster anew.

use keysherd_base::Fault;
use keysherd_plane::configs::GatewayConfigure;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const KEY: Field<Text> = Field::text(
    "config-protection-key-name",
    "Path of the key to seal under from now on, which the gateways' role may read; the one there \
     is unless given.",
);

#[derive(Serialize)]
struct Reply {
    version: u32,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-rekey-config",
        aliases: &[],
        success: 200,
        summary: "Seal the configuration of this gateway's cluster anew, under another key or the \
                  newest version of its own. Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[KEY.spec()],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("The configuration was sealed anew"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let account = ctx.ask(GatewayConfigure { signs_for: None }).await?.account;
    let version = ctx.services().configs.reseal(account, args.path_opt(&KEY)?).await?;
    Answer::json(&Reply { version })
}
