//! `dynamic-secret-delete`: revokes what a dynamic secret gave, and deletes it.

use keysherd_base::Fault;
use keysherd_plane::items::{DeleteVersions, ItemDelete};
use keysherd_wire::{Access, Answer, Args, Body, Command, FieldSpec, Group, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

#[derive(Serialize)]
struct Reply<'a> {
    dynamic_secret_name: &'a str,
}

#[derive(Serialize)]
struct OldReply<'a> {
    producer_name: &'a str,
}

static FIELDS: [FieldSpec; 1] = [NAME.spec()];
static GROUPS: [&Group; 1] = [&SESSION];

const fn spec(name: &'static str, reply: &'static str, summary: &'static str) -> Spec {
    Spec {
        name,
        aliases: &[],
        success: 200,
        summary,
        groups: &GROUPS,
        fields: &FIELDS,
        reply,
        access: Access::Right("item-rule", "delete"),
        body: Body::Object,
        show: Show::Sentence("The dynamic secret {name} was successfully deleted"),
    }
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: spec("dynamic-secret-delete", "DynamicSecretDeleteOutput", "Delete a dynamic secret."),
    run: &|ctx, args| {
        Box::pin(async move {
            let name = delete(&ctx, &args).await?;
            Answer::json(&Reply { dynamic_secret_name: &name })
        })
    },
};

/// The older spelling, which answers with another name.
pub(super) static OLD: ApiCommand = Command {
    spec: spec(
        "gateway-delete-producer",
        "GatewayDeleteProducerOutput",
        "Delete a dynamic secret; the older spelling of dynamic-secret-delete.",
    ),
    run: &|ctx, args| {
        Box::pin(async move {
            let name = delete(&ctx, &args).await?;
            Answer::json(&OldReply { producer_name: &name })
        })
    },
};

async fn delete(ctx: &Ctx, args: &Args) -> Result<String, Fault> {
    let delete = ItemDelete {
        path: args.path(&NAME)?,
        versions: DeleteVersions::All,
        in_days: 0,
        immediately: false,
        force: false,
    };
    Ok(ctx.ask(delete).await?.path.as_str().to_owned())
}
