//! `dynamic-secret-get`: how a dynamic secret is set up, without its credentials.

use keysherd_base::Fault;
use keysherd_plane::grants::{ItemRef, Purpose};
use keysherd_plane::items::ItemDescribe;
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Show, Spec};

use super::details::details;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::engines::OpenedSecret;
use crate::fields::{NAME, SESSION};

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "dynamic-secret-get",
        aliases: &[Alias {
            name: "gateway-get-producer",
            success: 200,
            reply: "DSProducerDetails",
        }],
        success: 200,
        summary: "Show how a dynamic secret is set up, without its credentials.",
        groups: &[&SESSION],
        fields: &[NAME.spec()],
        reply: "DSProducerDetails",
        access: Access::Right("item-rule", "read"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let item = ItemRef::Path(args.path(&NAME)?);
    let opened = ctx.crypt().open(&ctx, item.clone(), Purpose::Settings).await?;
    let secret = OpenedSecret::of_one(&opened.items)?;
    let view = ctx.ask(ItemDescribe { item, with_versions: false }).await?;
    Answer::json(&details(&view, &secret)?)
}
