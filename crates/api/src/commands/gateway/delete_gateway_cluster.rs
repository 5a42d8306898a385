//! `delete-gateway-cluster`: forgets a cluster with its configuration.

use keysherd_base::Fault;
use keysherd_plane::clusters::ClusterDelete;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Show, Spec, Text};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const CLUSTER_NAME: Field<Text> = Field::text(
    "cluster-name",
    "Full name of the cluster, acc-.../p-.../name, or its name where only one has it.",
)
.required();
const FORCE_DELETION: Field<Flag> = Field::flag(
    "force-deletion",
    "Also while it runs: its gateways register again, as a new and empty cluster.",
);

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "delete-gateway-cluster",
        aliases: &[],
        success: 200,
        summary: "Delete a gateway cluster with its configuration.",
        groups: &[&SESSION],
        fields: &[CLUSTER_NAME.spec(), FORCE_DELETION.spec()],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("Gateway cluster {cluster-name} was deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let delete = ClusterDelete {
        name: args.need(&CLUSTER_NAME)?,
        force: args.get_or(&FORCE_DELETION, false)?,
    };
    ctx.ask(delete).await?;
    Ok(Answer::empty())
}
