//! `target-get-details`: a target with its credentials, for those who may read it.

use keysherd_base::Fault;
use keysherd_domain::target::stored_path;
use keysherd_plane::grants::{ItemRef, Purpose};
use keysherd_plane::items::ItemDescribe;
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Field, Int, Show, Spec};
use serde::Serialize;
use serde_json::{Map, Value};

use super::get::SHOW_VERSIONS;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::engines::OpenedTarget;
use crate::fields::{NAME, SESSION};
use crate::replies::target::TargetReply;

const VERSION: Field<Int> =
    Field::int("target-version", "Only the newest is served; 0 stands for it.").default("0");

#[derive(Serialize)]
struct Reply<'a> {
    value: &'a Map<String, Value>,
    target: TargetReply<'a>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "target-get-details",
        aliases: &[Alias {
            name: "get-target-details",
            success: 200,
            reply: "GetTargetDetailsOutput",
        }],
        success: 200,
        summary: "Show a target with its credentials.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), SHOW_VERSIONS.spec(), VERSION.spec()],
        reply: "GetTargetDetailsOutput",
        access: Access::Right("target-rule", "read"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let item = ItemRef::Path(stored_path(&args.path(&NAME)?)?);
    let opened = ctx.crypt().open(&ctx, item.clone(), Purpose::Settings).await?;
    let target = OpenedTarget::of_one(&opened.items)?;
    let with_versions = args.get_or(&SHOW_VERSIONS, false)?;
    let view = ctx.ask(ItemDescribe { item, with_versions }).await?;
    let wanted = args.get_or(&VERSION, 0)?;
    if wanted > 0 && wanted != i64::from(view.item.last_version) {
        return Err(Fault::bad_request(format!(
            "version {wanted} of the target is not its newest, which is {}; leave target-version \
             out",
            view.item.last_version
        )));
    }
    let (member, details) = target.details();
    let mut value = Map::new();
    value.insert(member.to_owned(), Value::Object(details));
    let answer = Answer::json(&Reply { value: &value, target: TargetReply::new(&view)? });
    keysherd_wire::wipe(Value::Object(value));
    answer
}
