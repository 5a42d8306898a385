//! `gateway-delete-log-forwarding`, ours: a log target is forgotten with its place in the log.

use keysherd_base::Fault;
use keysherd_plane::About;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};

use super::{FORWARDER_NAME, admitted, fields};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-delete-log-forwarding",
        aliases: &[],
        success: 200,
        summary: "Forget a log target of this gateway, with its place in the log.",
        groups: &[&SESSION],
        fields: &[FORWARDER_NAME.spec()],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence("The log target was deleted"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let account = admitted(&ctx).await?;
    let name = fields::name(&args)?;
    ctx.tell(About::Name, name.as_str());
    if ctx.services().forwarding.remove(account, &name).await? {
        Answer::json(&serde_json::json!({}))
    } else {
        Err(absent(&name))
    }
}

/// There is no such target.
pub(super) fn absent(name: &str) -> Fault {
    Fault::not_found(match name {
        "" => "this gateway has no log target without a name".to_owned(),
        name => format!("this gateway has no log target '{name}'"),
    })
}
